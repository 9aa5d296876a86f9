package search

import (
	"cmp"
	"math"
	"slices"
)

// probe is one site moved to one level.
type probe struct {
	site  int
	level uint8
}

// with is a genome with one site moved; a sublayer that comes back has its layers at the base levels.
func (o *Operators) with(g Genome, p probe) Genome {
	ind := o.individual(slices.Clone(g))
	switch {
	case ind.kept(p.site):
		ind.drop(p.site)
	case ind.dropped(p.site):
		ind.keep(p.site)
	default:
		ind.put(p.site, p.level)
	}
	return ind.Levels
}

// surveyShare: the neighbours of a level in a ladder of n are n/surveyShare steps away, at least one.
const surveyShare = 8

// neighbours are every gate the other way, and every layer a step down and a step up.
func (o *Operators) neighbours(g Genome) []probe {
	var plan []probe
	for i, level := range g {
		n := len(o.space.Sites[i].Levels)
		step := max(1, n/surveyShare)
		switch {
		case o.gate[i]:
			plan = append(plan, probe{i, Drop + Keep - level})
		case !o.space.active(g, i):
		default:
			if down := int(level) - step; down >= 0 {
				plan = append(plan, probe{i, uint8(down)})
			}
			if up := int(level) + step; up < n {
				plan = append(plan, probe{i, uint8(up)})
			}
		}
	}
	return plan
}

// localDamages are those of single steps away from a genome, which has fitness[0], interpolated from its neighbours' fitness. Farther steps
// are as bad as failed ones.
func localDamages(o *Operators, g Genome, plan []probe, fitness []float64) damages {
	d := make(damages, len(g))
	for i := range d {
		d[i] = slices.Repeat([]float64{failed}, len(o.space.Sites[i].Levels))
		d[i][g[i]] = 0
	}
	for k := 0; k < len(plan); k++ {
		i := plan[k].site
		at := func(k int) (steps, harm float64) {
			if harm = fitness[k+1] - fitness[0]; !finite(harm) {
				harm = failed
			}
			return float64(plan[k].level) - float64(g[i]), harm
		}
		steps, harm := at(k)
		slope, curve := harm/steps, 0.0
		switch {
		case o.gate[i]:
			d[i][plan[k].level] = harm
			for _, layer := range o.layers[i] { // if it comes back, as it was scored
				if g[i] == Drop {
					d[layer][0], d[layer][o.base.genome[layer]] = failed, 0
				}
			}
			continue
		case k+1 < len(plan) && plan[k+1].site == i: // the parabola through three points
			k++
			up, harmUp := at(k)
			curve = (harmUp/up - harm/steps) / (up - steps)
			slope = harm/steps - curve*steps
		}
		for _, l := range []int{int(g[i]) - 1, int(g[i]) + 1} {
			if l >= 0 && l < len(d[i]) {
				by := float64(l) - float64(g[i])
				d[i][l] = slope*by + curve*by*by
			}
		}
	}
	return d
}

// allProbes are all levels of each site but its dearest.
func (o *Operators) allProbes() []probe {
	var plan []probe
	for i := range o.space.Sites {
		for l := range len(o.space.Sites[i].Levels) - 1 {
			plan = append(plan, probe{i, uint8(l)})
		}
	}
	return plan
}

// steepness stands for local errors where none are known: every step below the dearest level disturbs as much as the one before.
func (o *Operators) steepness() [][]float64 {
	errors := make([][]float64, len(o.space.Sites))
	for i := range errors {
		n := len(o.space.Sites[i].Levels)
		for l := range n {
			errors[i] = append(errors[i], square(float64(n-1-l)))
		}
	}
	return errors
}

// longLadder: of a site with more levels two are measured, else one.
const longLadder = 6

// fewProbes are of each site the level of the largest local error, and the middle of a long ladder.
func (o *Operators) fewProbes(errors [][]float64) []probe {
	var plan []probe
	for i, e := range errors {
		top := len(e) - 1
		worst := 0
		for l := range top {
			if e[l] > e[worst] {
				worst = l
			}
		}
		plan = append(plan, probe{i, uint8(worst)})
		if middle := top / 2; len(e) > longLadder && middle != worst {
			plan = append(plan, probe{i, uint8(middle)})
		}
	}
	return plan
}

// interpolated are the damages of all levels from those of a plan. What a level does to the logits is, for one site, nearly in proportion to
// what it does to the layer's outputs: between measured levels the square root of the damage is linear in that of the local error.
func interpolated(d damages, plan []probe, errors [][]float64) damages {
	type point struct{ x, y float64 }
	all := make(damages, len(d))
	next := 0 // in the plan, which is in order of sites
	for i, e := range errors {
		top := len(e) - 1
		x := func(l int) float64 { return math.Sqrt(max(0, e[l])) - math.Sqrt(max(0, e[top])) }
		points := []point{{0, 0}}
		first := next
		for ; next < len(plan) && plan[next].site == i; next++ {
			l := int(plan[next].level)
			points = append(points, point{x(l), math.Sqrt(max(0, d[i][l]))})
		}
		slices.SortFunc(points, func(a, b point) int { return cmp.Compare(a.x, b.x) })
		all[i] = slices.Clone(d[i])
		for l := range top {
			k := 1 // the segment around x(l), or the nearest
			for k < len(points)-1 && points[k].x < x(l) {
				k++
			}
			a, b := points[k-1], points[k]
			y := b.y
			if b.x > a.x {
				y = a.y + (b.y-a.y)*(x(l)-a.x)/(b.x-a.x)
			}
			all[i][l] = square(max(0, y))
		}
		for _, p := range plan[first:next] {
			all[i][p.level] = d[i][p.level]
		}
	}
	return all
}

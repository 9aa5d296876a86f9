package search

import (
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

// coarse levels are measured of a ladder that has more than twice as many; those between are interpolated.
const coarse = 4

// allProbes are all levels of each site but its dearest.
func (o *Operators) allProbes() []probe { return o.plan(math.MaxInt) }

// coarseProbes leaves levels out where a site has many.
func (o *Operators) coarseProbes() []probe { return o.plan(coarse) }

func (o *Operators) plan(most int) []probe {
	var plan []probe
	for i := range o.space.Sites {
		top := len(o.space.Sites[i].Levels) - 1
		n := top
		if n/2 > most {
			n = most
		}
		for k := range n {
			plan = append(plan, probe{i, uint8(k * top / n)})
		}
	}
	return plan
}

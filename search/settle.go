package search

import (
	"math"
	"slices"
)

// Limits pull apart where a step down for one is a step up for another, as bytes and non-zeros do between a quantized level and a
// sparse one. Then to lower levels leads to no genome within all of them: repair lessens what they are exceeded by instead.

// pullApart says whether a dearer level of some layer costs less in another limit.
func (s *Space) pullApart() bool {
	for i := range s.Sites {
		levels := s.Sites[i].Levels
		for l := 1; l < len(levels); l++ {
			for c := range s.Constraints {
				if levels[l].Costs[c] < levels[l-1].Costs[c] {
					return true
				}
			}
		}
	}
	return false
}

// violation is the sum of squares of what each limit is exceeded by, in proportion to it. It is convex and smooth in the costs: as long
// as some mixture of levels is within all limits, single steps lead towards it, as far as they are small.
func (ind *Individual) violation() float64 {
	sum := 0.0
	for c, k := range ind.Space.Constraints {
		if over := ind.cost[c] - k.Limit; over > 0 {
			share := float64(over) / float64(max(1, k.Limit))
			sum += share * share
		}
	}
	return sum
}

// load is what the limits are used by, in proportion to them.
func (ind *Individual) load() float64 {
	sum := 0.0
	for c, k := range ind.Space.Constraints {
		sum += float64(ind.cost[c]) / float64(max(1, k.Limit))
	}
	return sum
}

// settle moves random layers nearer to the limits until all hold. Where no step leads nearer, one that makes room in another limit may
// let the next; sublayers are dropped only if no layer can help. It says whether the limits hold; if not, no single step leads on.
func (ind *Individual) settle(rng Random) bool {
	n := len(ind.Levels)
	for !ind.fits() {
		over, load := ind.violation(), ind.load()
		nearer := func() bool { return ind.violation() < over }
		aside := func() bool { return ind.violation() == over && ind.load() < load }
		// The predicates leave their step in place when it helps, so a pick is also the move.
		if pick(rng, n, func(i int) bool { return ind.stepIf(i, nearer) }) < 0 &&
			pick(rng, n, func(i int) bool { return ind.stepIf(i, aside) }) < 0 &&
			pick(rng, n, func(i int) bool { return ind.dropIf(i, nearer) }) < 0 {
			return false
		}
	}
	return true
}

// stepIf moves layer i to the nearest level, of two the lower, that is accepted.
func (ind *Individual) stepIf(i int, accepted func() bool) bool {
	if !ind.isLayer(i) || !ind.Space.active(ind.Levels, i) {
		return false
	}
	was, levels, mark := int(ind.Levels[i]), len(ind.Space.Sites[i].Levels), len(ind.log)
	for d := 1; d < levels; d++ {
		for _, l := range [...]int{was - d, was + d} {
			if l < 0 || l >= levels {
				continue
			}
			if ind.put(i, uint8(l)); accepted() {
				return true
			}
			ind.rollback(mark)
		}
	}
	return false
}

// dropIf drops the sublayer of gate i if that is accepted.
func (ind *Individual) dropIf(i int, accepted func() bool) bool {
	if !ind.kept(i) {
		return false
	}
	mark := len(ind.log)
	if ind.drop(i); accepted() {
		return true
	}
	ind.rollback(mark)
	return false
}

// settle takes the step of the least damage for what it takes off the violation, to any other level of a layer or a whole sublayer,
// until every limit holds.
func (d damages) settle(ind *Individual) {
	for !ind.fits() {
		best, to, least := -1, uint8(0), math.Inf(1)
		consider := func(i int, level uint8, harm float64, step func()) {
			mark, over := len(ind.log), ind.violation()
			step()
			if less := over - ind.violation(); less > 0 && harm/less < least {
				best, to, least = i, level, harm/less
			}
			ind.rollback(mark)
		}
		for i, level := range ind.Levels {
			switch {
			case ind.kept(i):
				consider(i, Drop, d[i][Drop]-d.sublayer(ind, i), func() { ind.drop(i) })
			case ind.isLayer(i) && ind.Space.active(ind.Levels, i):
				for l := range d[i] {
					consider(i, uint8(l), d[i][l]-d[i][level], func() { ind.put(i, uint8(l)) })
				}
			}
		}
		switch {
		case best < 0: // no single step leads on
			ind.lowerToBudget(Rand(0, 0, 0))
		case ind.kept(best):
			ind.drop(best)
		default:
			ind.put(best, to)
		}
	}
}

// jumpFits raises layer i past levels that do not fit to the next that does.
func (ind *Individual) jumpFits(i int) bool {
	mark := len(ind.log)
	for ind.canRaise(i) && ind.slack() >= 0 { // dearer levels cost more of the first
		ind.put(i, ind.Levels[i]+1)
		if ind.fits() {
			return true
		}
	}
	ind.rollback(mark)
	return false
}

// findHaven is a genome within all limits, with as many sublayers as any that was found; nil if none was.
func (o *Operators) findHaven() Genome {
	var starts []Genome
	for _, u := range uniforms(o.space) {
		starts = append(starts, u.genome)
	}
	for c := range o.space.Constraints {
		starts = append(starts, o.leanest(c))
	}
	var haven Genome
	gates, most := o.gates(), -1
	for n, start := range starts {
		ind := o.individual(slices.Clone(start))
		if !ind.settle(Rand(0, 0, n)) {
			continue
		}
		kept := 0
		for _, gate := range gates {
			kept += int(ind.Levels[gate])
		}
		if kept > most {
			haven, most = ind.Levels, kept
		}
		if kept == len(gates) {
			break
		}
	}
	if lowest := make(Genome, len(o.gate)); haven == nil && o.space.within(o.space.Cost(lowest)) {
		return lowest
	}
	return haven
}

// leanest has every sublayer kept and every layer at the level that costs least of constraint c.
func (o *Operators) leanest(c int) Genome {
	g := o.dearest()
	for i := range g {
		for l, level := range o.space.Sites[i].Levels {
			if !o.gate[i] && level.Costs[c] < o.space.Sites[i].Levels[g[i]].Costs[c] {
				g[i] = uint8(l)
			}
		}
	}
	return g
}

package search

import (
	"math"
	"slices"
)

// lower takes the step down of the least damage for what it saves, a level of a layer or a whole sublayer, until every
// limit holds.
func (d damages) lower(ind *Individual) {
	if ind.ops.apart {
		d.settle(ind)
		return
	}
	for !ind.fits() {
		if !d.relieve(ind) { // costs other than the first need not fall with every step: on past such steps
			ind.lowerToBudget(Rand(0, 0, 0))
			return
		}
	}
}

// relieve does so until one of the limits that are violated holds: what is saved counts in proportion to their excesses at the
// beginning, so that the order of steps stands. It gives up, with false, where no step saves any of it.
func (d damages) relieve(ind *Individual) bool {
	over := ind.excess()
	q := newQueue(len(ind.Levels))
	consider := func(i int) {
		q.remove(i)
		if saved := ind.relief(i, over); saved > 0 {
			q.put(i, d.harm(ind, i)/saved)
		}
	}
	for i := range ind.Levels {
		consider(i)
	}
	for ind.exceeds(over) {
		i, _ := q.first()
		if i < 0 {
			return false
		}
		ind.stepDown(i)
		consider(i)
		for _, layer := range ind.ops.layers[i] {
			consider(layer)
		}
		if gate := ind.Space.Sites[i].Gate; gate >= 0 {
			consider(gate)
		}
	}
	return true
}

// harm is the damage that a step down at site i does.
func (d damages) harm(ind *Individual, i int) float64 {
	if ind.kept(i) {
		return d[i][Drop] - d.sublayer(ind, i)
	}
	return d[i][ind.Levels[i]-1] - d[i][ind.Levels[i]]
}

func (ind *Individual) stepDown(i int) {
	if ind.kept(i) {
		ind.drop(i)
	} else {
		ind.put(i, ind.Levels[i]-1)
	}
}

// excess is by how much each limit is violated, 0 if it holds.
func (ind *Individual) excess() []int64 {
	over := make([]int64, len(ind.cost))
	for c, k := range ind.Space.Constraints {
		over[c] = max(0, ind.cost[c]-k.Limit)
	}
	return over
}

// exceeds says whether every limit is still violated that was.
func (ind *Individual) exceeds(over []int64) bool {
	for c, k := range ind.Space.Constraints {
		if over[c] > 0 && ind.cost[c] <= k.Limit {
			return false
		}
	}
	return true
}

// relief is how much a step down at site i takes off the violated limits, each in proportion to its excess; 0 if there is no step.
func (ind *Individual) relief(i int, over []int64) float64 {
	sum := 0.0
	for c, excess := range over {
		if excess > 0 {
			sum += float64(ind.stepSaves(i, c)) / float64(excess)
		}
	}
	return sum
}

// stepSaves is how much of constraint c a step down at site i saves; 0 if there is none.
func (ind *Individual) stepSaves(i, c int) int64 {
	switch {
	case ind.kept(i):
		return ind.saved(i, c)
	case ind.canLower(i):
		levels, l := ind.Space.Sites[i].Levels, ind.Levels[i]
		return levels[l].Costs[c] - levels[l-1].Costs[c]
	}
	return 0
}

// raise takes the step up that heals most for what it costs while any fits, and goes on with steps that heal nothing
// only while more is unused than an individual may leave.
func (d damages) raise(ind *Individual) {
	q := newQueue(len(ind.Levels)) // of layers, by what they heal with its sign turned
	consider := func(i int) {
		q.remove(i)
		if ind.canRaise(i) {
			levels, l := ind.Space.Sites[i].Levels, ind.Levels[i]
			q.put(i, -worthwhile(d[i][l]-d[i][l+1], levels[l+1].Costs[0]-levels[l].Costs[0]))
		}
	}
	for i := range ind.Levels {
		consider(i)
	}
	dropped := slices.DeleteFunc(ind.ops.gates(), func(i int) bool { return !ind.dropped(i) })
	var full []int // layers whose step up does not fit
	for {
		best, rank := q.first()
		for best >= 0 && !ind.hasRoom(best) {
			full = append(full, best)
			q.remove(best)
			best, rank = q.first()
		}
		most := -rank
		if best < 0 {
			most = math.Inf(-1)
		}
		for _, i := range dropped {
			if value, ok := d.comeback(ind, i); ok && (value > most || value == most && i < best) {
				best, most = i, value
			}
		}
		if best < 0 || most <= 0 && !ind.wasteful() {
			return
		}
		before := slices.Clone(ind.cost)
		if !ind.raiseFits(best) {
			ind.keepFits(best)
			dropped = slices.DeleteFunc(dropped, func(i int) bool { return i == best })
		}
		consider(best)
		for _, layer := range ind.ops.layers[best] {
			consider(layer)
		}
		for c := range before {
			if ind.cost[c] < before[c] { // other costs than the first may fall as levels rise, and make room again
				for _, i := range full {
					consider(i)
				}
				full = full[:0]
				break
			}
		}
	}
}

// worthwhile is what a step heals for its cost. One that costs nothing is taken or not for what it heals alone.
func worthwhile(heals float64, cost int64) float64 { return heals / max(1, float64(cost)) }

// hasRoom says whether layer i, which is not at its highest level, can go up within the limits.
func (ind *Individual) hasRoom(i int) bool {
	levels, l := ind.Space.Sites[i].Levels, ind.Levels[i]
	for c, k := range ind.Space.Constraints {
		if ind.cost[c]+levels[l+1].Costs[c]-levels[l].Costs[c] > k.Limit {
			return false
		}
	}
	return true
}

// comeback is what it is worth to bring the sublayer of gate i back, with its layers at the levels that then fit; false if none do.
func (d damages) comeback(ind *Individual, i int) (value float64, fits bool) {
	mark, cost := len(ind.log), ind.cost[0]
	if fits = ind.keepFits(i); fits {
		value = worthwhile(d[i][Drop]-d[i][Keep]-d.sublayer(ind, i), ind.cost[0]-cost)
		ind.rollback(mark)
	}
	return value, fits
}

package search

import (
	"cmp"
	"math"
	"slices"
)

// point is a candidate between two objectives: what it costs of the first constraint, and its fitness.
type point struct {
	Candidate
	cost    int64
	full    bool    // it leaves nothing of the budget that could be used
	fitness float64 // an estimate; NaN: failed

	// of NSGA-II: the number of fronts to peel off before it is on one, and how far its neighbours there are apart
	rank     int
	crowding float64
}

// sortPoints ranks points by non-dominated sorting, and those of one rank by how alone they are, first the best: the order in which NSGA-II lets
// them live (Deb et al., IEEE Trans. Evol. Comput. 6(2), 2002). Distances are of costs alone: sizes are what a front is asked for,
// evenly, and the fitness would spread points where a model is at its worst.
func sortPoints(points []*point) {
	slices.SortStableFunc(points, func(a, b *point) int {
		return cmp.Or(cmp.Compare(a.cost, b.cost), cmp.Compare(a.fitness, b.fitness))
	})
	var fronts [][]*point // each falls in fitness as it rises in cost
	for _, p := range points {
		k := 0
		for k < len(fronts) && !(p.fitness < fronts[k][len(fronts[k])-1].fitness) {
			k++
		}
		if p.rank = k; math.IsNaN(p.fitness) {
			p.rank, p.crowding = math.MaxInt, 0
			continue
		}
		if k == len(fronts) {
			fronts = append(fronts, nil)
		}
		fronts[k] = append(fronts[k], p)
	}
	for _, front := range fronts {
		for i, p := range front {
			if p.crowding = math.Inf(1); i > 0 && i+1 < len(front) {
				p.crowding = float64(front[i+1].cost - front[i-1].cost)
			}
		}
	}
	slices.SortStableFunc(points, compareFate)
}

// thinned leaves n points of a front, by taking out the one whose neighbours are nearest to each other, again and again: whoever has lost a
// neighbour is less crowded (Kukkonen and Deb, CEC 2006).
func thinned(front []*point, n int) []*point {
	left := slices.SortedStableFunc(slices.Values(front), func(a, b *point) int { return cmp.Compare(a.cost, b.cost) })
	for len(left) > n {
		at, least := 0, int64(math.MaxInt64)
		for i := 1; i+1 < len(left); i++ {
			if gap := left[i+1].cost - left[i-1].cost; gap < least {
				at, least = i, gap
			}
		}
		left = slices.Delete(left, at, at+1)
	}
	return left
}

// compareFate is negative if a is to live rather than b.
func compareFate(a, b *point) int {
	return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(b.crowding, a.crowding))
}

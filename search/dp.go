package search

import (
	"errors"
	"math"
)

// dpBuckets is into how many parts the budget is cut, as in SPDY.
const dpBuckets = 10000

// newDP finds the least sum of measured damages under the first limit by dynamic programming over a discretised cost:
// SPDY (Frantar and Alistarh, arXiv 2201.13096) and L-GreCo (Markov et al., arXiv 2210.17357), which take local errors
// for the damages. Limits beyond the first are repaired afterwards.
func newDP(o *Operators, settings Settings, _ uint64) (Strategy, error) {
	return newSeparable(o, settings, "dp", solveDP)
}

// newDPLocal is the same on local errors, which cost no token: each is ‖ΔW·X‖²/‖W·X‖² of a layer at a level, or without X
// where no inputs were seen.
func newDPLocal(o *Operators, settings Settings, _ uint64) (Strategy, error) {
	if len(o.gates()) > 0 {
		return nil, errors.New("sublayers have no local errors: leave the level drop out")
	}
	if settings.LocalErrors == nil {
		return nil, errors.New("the local errors of levels are not known")
	}
	return scoredOnce(settings, solveDP(o, settings.LocalErrors), "dp-local"), nil
}

func solveDP(o *Operators, d damages) *Individual {
	ind := o.individual(newKnapsack(o, d).solve())
	d.lower(ind)
	d.raise(ind)
	return ind
}

// knapsack is what the sites cost beyond the cheapest genome, in units that fill the buckets. Rounding up keeps every
// solution within the limit.
type knapsack struct {
	o       *Operators
	d       damages
	unit    int64
	buckets int
	chosen  [][]uint8 // [sites][buckets], the best level with that much left for this site and those before it
}

func newKnapsack(o *Operators, d damages) *knapsack {
	slack := o.space.Constraints[0].Limit - o.space.Cost(make(Genome, len(d)))[0]
	k := &knapsack{o: o, d: d, unit: max(1, (slack+dpBuckets-1)/dpBuckets), chosen: make([][]uint8, len(d))}
	// Steps of one size, as of whole bits, are counted exactly.
	step := int64(0)
	for i := range d {
		for l := range d[i] {
			step = gcd(step, k.excess(i, uint8(l)))
		}
	}
	k.unit = max(k.unit, step)
	k.buckets = int(slack/k.unit) + 1
	return k
}

func gcd(a, b int64) int64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// excess is the cost of a level beyond the cheapest choice: for a layer its lowest level, for a gate being dropped, where
// to keep includes its layers at their lowest.
func (k *knapsack) excess(i int, level uint8) int64 {
	levels := k.o.space.Sites[i].Levels
	excess := levels[level].Costs[0] - levels[0].Costs[0]
	if k.o.gate[i] && level == Keep {
		for _, layer := range k.o.layers[i] {
			excess += k.o.space.Sites[layer].Levels[0].Costs[0]
		}
	}
	return excess
}

// weight is the excess in units, rounded up.
func (k *knapsack) weight(i int, level uint8) int {
	return int(min((k.excess(i, level)+k.unit-1)/k.unit, int64(k.buckets)))
}

// solve fills the buckets site after site, the layers of a gate right after it, and reads the genome off from the end.
func (k *knapsack) solve() Genome {
	sum := make([]float64, k.buckets) // the least damage so far, with up to so many units
	for i := range k.d {
		switch {
		case k.o.gate[i]:
			keep := k.add(sum, i, Keep)
			for _, layer := range k.o.layers[i] {
				keep = k.best(keep, layer)
			}
			drop := k.add(sum, i, Drop)
			k.chosen[i] = make([]uint8, k.buckets)
			for b := range sum {
				if sum[b] = drop[b]; keep[b] < drop[b] {
					sum[b], k.chosen[i][b] = keep[b], Keep
				}
			}
		case k.o.space.Sites[i].Gate < 0:
			sum = k.best(sum, i)
		}
	}
	g := make(Genome, len(k.d))
	left := k.buckets - 1
	take := func(i int) {
		g[i] = k.chosen[i][left]
		left -= k.weight(i, g[i])
	}
	for i := len(g) - 1; i >= 0; i-- {
		switch {
		case k.o.gate[i] && k.chosen[i][left] == Keep:
			g[i] = Keep
			for n := len(k.o.layers[i]) - 1; n >= 0; n-- {
				take(k.o.layers[i][n])
			}
			left -= k.weight(i, Keep)
		case !k.o.gate[i] && k.o.space.Sites[i].Gate < 0:
			take(i)
		}
	}
	return g
}

// add is the sums with site i at a level.
func (k *knapsack) add(sum []float64, i int, level uint8) []float64 {
	next := make([]float64, k.buckets)
	w := k.weight(i, level)
	for b := range next {
		next[b] = math.Inf(1)
		if b >= w {
			next[b] = sum[b-w] + k.d[i][level]
		}
	}
	return next
}

// best is the sums with site i at its best level for each bucket, which it remembers.
func (k *knapsack) best(sum []float64, i int) []float64 {
	best := k.add(sum, i, 0)
	k.chosen[i] = make([]uint8, k.buckets)
	for level := uint8(1); int(level) < len(k.d[i]); level++ {
		for b, damage := range k.add(sum, i, level) {
			if damage < best[b] {
				best[b], k.chosen[i][b] = damage, level
			}
		}
	}
	return best
}

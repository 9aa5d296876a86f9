package search

import (
	"math"
	"slices"
)

const (
	// priceExponents bounds the search for a price between 2^-200 and 2^200, beyond any ratio of damage to cost.
	priceExponents = 200
	// bisections halves that range until prices differ in their last digits only.
	bisections = 64
	// priceRounds is how often the price of each limit is set in turn; one does where no site counts in two limits, and more where
	// what one limit makes cheap the other makes dear.
	priceRounds, apartRounds = 2, 16
)

// newLagrangian puts a price on the cost of each limit and lets every site take the level of the least damage and price
// together (Everett, "Generalized Lagrange Multiplier Method", Operations Research 11, 1963; Shoham and Gersho, "Efficient
// Bit Allocation for an Arbitrary Set of Quantizers", IEEE ASSP 36, 1988). Prices rise until the limits hold. That finds
// the points of the lower convex hull; the gap that is left to the limit is spent greedily.
func newLagrangian(o *Operators, settings Settings, _ uint64) (Strategy, error) {
	return newSeparable(o, settings, "lagrangian", func(o *Operators, d damages) *Individual {
		prices := make([]float64, len(o.space.Constraints))
		rounds := priceRounds
		if o.apart {
			rounds = apartRounds
		}
		for range rounds {
			for c := range prices {
				prices[c] = d.price(o, prices, c)
			}
		}
		ind := o.individual(d.at(o, prices))
		d.lower(ind)
		d.raise(ind)
		return ind
	})
}

// price is the least at which limit c holds, all other prices given.
func (d damages) price(o *Operators, prices []float64, c int) float64 {
	holds := func(price float64) bool {
		trial := slices.Clone(prices)
		trial[c] = price
		return o.space.Cost(d.at(o, trial))[c] <= o.space.Constraints[c].Limit
	}
	if holds(0) {
		return 0
	}
	low, high := -float64(priceExponents), float64(priceExponents)
	for range bisections {
		if middle := (low + high) / 2; holds(math.Exp2(middle)) {
			high = middle
		} else {
			low = middle
		}
	}
	return math.Exp2(high)
}

// at is the genome of the least damage and price together; ties go to the cheaper level, and to dropping.
func (d damages) at(o *Operators, prices []float64) Genome {
	g := make(Genome, len(o.space.Sites))
	layer := func(i int) float64 {
		level, least := d.cheapest(o, i, prices)
		g[i] = level
		return least
	}
	for i := range g {
		switch {
		case o.gate[i]:
			gate := o.space.Sites[i].Levels
			keep := d[i][Keep] + worth(gate[Keep], prices)
			for _, l := range o.layers[i] {
				keep += layer(l)
			}
			if g[i] = Keep; d[i][Drop]+worth(gate[Drop], prices) <= keep {
				g[i] = Drop
			}
		case o.space.Sites[i].Gate < 0:
			layer(i)
		}
	}
	return o.space.Canonical(g)
}

// cheapest is the level of a layer with the least damage and price together.
func (d damages) cheapest(o *Operators, i int, prices []float64) (level uint8, least float64) {
	least = math.Inf(1)
	for l, each := range o.space.Sites[i].Levels {
		if sum := d[i][l] + worth(each, prices); sum < least {
			level, least = uint8(l), sum
		}
	}
	return level, least
}

func worth(level Level, prices []float64) float64 {
	sum := 0.0
	for c, cost := range level.Costs {
		sum += prices[c] * float64(cost)
	}
	return sum
}

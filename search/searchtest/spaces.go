package searchtest

import (
	"fmt"

	"github.com/finch-llm/finch/search"
)

// Axes are those that Space knows.
func Axes() []string { return []string{search.Depth, search.Sparsity, search.Bits, search.Joint} }

// Space is a small space of an axis: five blocks of two sublayers, with layers of two sizes. The limit lies halfway between the
// cheapest and the dearest genome.
func Space(axis string) *search.Space {
	s := &search.Space{Constraints: []search.Constraint{{Name: "cost"}}}
	for b := range 5 {
		for _, sublayer := range []string{"attn", "mlp"} {
			gate := -1
			if axis == search.Depth || axis == search.Joint {
				gate = len(s.Sites)
				s.Sites = append(s.Sites, search.Site{Name: fmt.Sprintf("blk.%d.%s", b, sublayer), Kind: sublayer, Block: b, Gate: -1,
					Levels: []search.Level{{Name: "drop", Costs: []int64{0}}, {Name: "keep", Costs: []int64{256}}}})
			}
			if axis == search.Depth {
				continue
			}
			for _, weights := range []int64{4096, 12288} {
				site := search.Site{Name: fmt.Sprintf("blk.%d.%s_%d", b, sublayer, weights), Kind: sublayer, Block: b, Weights: weights, Gate: gate}
				site.Levels = levels(axis, weights)
				s.Sites = append(s.Sites, site)
			}
		}
	}
	dearest := make(search.Genome, len(s.Sites))
	for i := range dearest {
		dearest[i] = uint8(len(s.Sites[i].Levels) - 1)
	}
	s.Constraints[0].Limit = (s.Cost(make(search.Genome, len(s.Sites)))[0] + s.Cost(dearest)[0]) / 2
	return s
}

// Apart is the space of an axis with levels of layers, bound once more: every other level leaves half of the weights out, and 0.3 of them
// all must be. So neither the cheapest level is within the second limit, nor does a dearer one cost more of it.
func Apart(axis string) *search.Space {
	s := Space(axis)
	weights := int64(0)
	for i := range s.Sites {
		site := &s.Sites[i]
		weights += site.Weights
		for l := range site.Levels {
			nonZeros := int64(0) // of a gate
			if !site.IsGate() {
				nonZeros = site.Weights / int64(1+l%2)
			}
			site.Levels[l].Costs = append(site.Levels[l].Costs, nonZeros)
		}
	}
	s.Constraints = append(s.Constraints, search.Constraint{Name: "non-zeros", Limit: weights * 7 / 10})
	return s
}

// levels are a ladder of equal steps, or the K-quants.
func levels(axis string, weights int64) (list []search.Level) {
	if axis == search.Sparsity {
		for step := int64(-3); step <= 3; step++ {
			nonZeros := weights*2/5 + 64*step
			list = append(list, search.Level{Name: fmt.Sprintf("sparse-%.4f", 1-float64(nonZeros)/float64(weights)), Costs: []int64{nonZeros}})
		}
		return list
	}
	for bits, bytes := range []int64{84, 110, 144, 176, 210} { // of 256 weights
		list = append(list, search.Level{Name: fmt.Sprintf("q%d_k", 2+bits), Costs: []int64{weights / 256 * bytes}})
	}
	return list
}

package search

import (
	"errors"
	"math"
	"slices"
)

// newWindow drops consecutive blocks, as few as meet the limits and those between whose ends the residual stream turns least
// (Gromov et al., "The Unreasonable Ineffectiveness of the Deeper Layers", arXiv 2403.17887). It is scored once.
func newWindow(o *Operators, settings Settings, _ uint64) (Strategy, error) {
	if err := o.onlyDepth(); err != nil {
		return nil, err
	}
	if settings.Distances == nil {
		return nil, errors.New("the distances between blocks are not known: set Distances")
	}
	ind := o.window(settings.Distances)
	if ind == nil {
		return nil, errors.New("no run of blocks meets the budget unless all go: allow more")
	}
	return scoredOnce(settings, ind, "sliding window"), nil
}

// window drops the shortest run of blocks without which every limit holds, of all such runs the one of the least distance, and
// brings back single sublayers of it that still fit. Blocks of which a sublayer has to stay are in no run. It is nil if there is none.
func (o *Operators) window(distances [][]float64) *Individual {
	blocks := len(distances) - 1
	gates := make([]int, blocks)
	for _, gate := range o.gates() {
		gates[o.space.Sites[gate].Block]++
	}
	all := slices.Max(gates)
	for length := range blocks {
		var best *Individual
		least := math.Inf(1)
		for first := 0; first+length <= blocks; first++ {
			if slices.ContainsFunc(gates[first:first+length], func(n int) bool { return n < all }) {
				continue
			}
			ind := o.individual(o.dearest())
			for _, gate := range o.gates() {
				if b := o.space.Sites[gate].Block; b >= first && b < first+length {
					ind.drop(gate)
				}
			}
			if d := distances[first][first+length]; ind.fits() && d < least {
				best, least = ind, d
			}
		}
		if best != nil {
			for _, gate := range o.gates() {
				best.keepFits(gate)
			}
			return best
		}
	}
	return nil
}

package search

import (
	"errors"
	"slices"
)

// newShortGPT drops the sublayers of the least importance, which for its block influence is 1 − cos(h_in, h_out) of the
// block (Men et al., "ShortGPT", arXiv 2403.03853). It is scored once.
func newShortGPT(o *Operators, settings Settings, _ uint64) (Strategy, error) {
	if err := o.onlyDepth(); err != nil {
		return nil, err
	}
	ind, err := o.dropRanked(settings.Importance)
	if err != nil {
		return nil, err
	}
	return scoredOnce(settings, ind, "shortgpt"), nil
}

// onlyDepth refuses spaces with other choices than which sublayers stay.
func (o *Operators) onlyDepth() error {
	if _, ok := o.axis.(depth); !ok {
		return errors.New(`it drops sublayers and chooses no levels: write levels = ["drop"]`)
	}
	return nil
}

// dropRanked drops sublayers, the least important first [gates], until every limit holds. Where they differ in cost the last may have
// saved more than it had to: what fits then comes back, the most important first.
func (o *Operators) dropRanked(importance []float64) (*Individual, error) {
	ind := o.individual(o.dearest())
	if err := ind.dropByImportance(importance); err != nil {
		return nil, err
	}
	if importance != nil {
		for _, gate := range slices.Backward(o.ranked(importance)) {
			ind.keepFits(gate)
		}
	}
	return ind, nil
}

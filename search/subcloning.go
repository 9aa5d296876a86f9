package search

import "errors"

// newSubcloning drops the sublayers of the blocks that change the residual stream least, by ‖h_out − h_in‖ / ‖h_out‖ (Samragh et
// al., "Weight subcloning", arXiv 2312.09299). Unlike ShortGPT's cosine it sees changes of length. It is scored once.
func newSubcloning(o *Operators, settings Settings, _ uint64) (Strategy, error) {
	if err := o.onlyDepth(); err != nil {
		return nil, err
	}
	if settings.Change == nil {
		return nil, errors.New("how much each sublayer's block changes the residual stream is not known: set Change")
	}
	ind, err := o.dropRanked(settings.Change)
	if err != nil {
		return nil, err
	}
	return scoredOnce(settings, ind, "subcloning"), nil
}

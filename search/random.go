package search

// newRandom is the baseline that evolution has to beat: the best of N feasible genomes drawn from the whole space, all
// scored on one slice of the last stage's length, with N from the tokens that evopress would use with these settings.
func newRandom(o *Operators, settings Settings, seed uint64) (Strategy, error) {
	tokens := settings.lastTokens()
	n := max(1, int(settings.TotalTokens()/int64(tokens)))
	s := newSteps(Effort{Tokens: int64(n) * int64(tokens)})
	batch := Batch{Tokens: tokens}
	seen := make(map[string]bool)
	for slot := range n {
		rng := Rand(seed, 0, slot)
		sample := distinct(seen, func() *Individual { return o.Sample(rng) })
		if sample == nil {
			break
		}
		batch.Candidates = append(batch.Candidates, s.candidate(0, slot, sample.Levels, -1, "random"))
	}
	s.ask(batch, s.choose)
	return s, nil
}

package search

// newRandom is the baseline that evolution has to beat: the best of N feasible genomes drawn from the whole space, all
// scored on one slice of the last stage's length, with N from the tokens that evopress would use with these settings.
func newRandom(o *Operators, settings Settings, seed uint64) (Strategy, error) {
	tokens := settings.Tokens[len(settings.Tokens)-1]
	n := max(1, int(settings.TotalTokens()/int64(tokens)))
	s := &oneShot{batch: Batch{Tokens: tokens}, best: none}
	seen := make(map[string]bool)
	for slot := range n {
		rng := Rand(seed, 0, slot)
		sample := distinct(seen, func() *Individual { return o.Sample(rng) })
		if sample == nil {
			break
		}
		s.batch.Candidates = append(s.batch.Candidates,
			Candidate{ID: slot, Slot: slot, Genome: sample.Levels, Parent: -1, Operator: "random"})
	}
	return s, nil
}

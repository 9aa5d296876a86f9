package search

const (
	// sureness is how many standard deviations a child must be better than its parent, or the two are scored again.
	sureness = 2
	// duelShare: a slice to score two again takes no more than this part of all tokens so far. Small differences can wait.
	duelShare = 100
)

// duel is a child that seems better than the parent.
type duel struct {
	child               Candidate
	measured, predicted float64 // how much worse it is
	tokens              int     // that measured is the mean over
}

// decide scores the parent, which comes last, and the best children on a slice of the last stage's length. By these scores and the
// surrogate's predictions together the best of all goes on. The children's excess in the first stage tells how noisy scores are.
func (f *finch) decide(stage int, race []Candidate, excess map[int]float64) {
	f.model.fit()
	parent := f.model.predict(f.parent.Genome)
	tokens := f.settings.lastTokens()
	f.batch(Batch{Generation: f.generation, Stage: stage, Tokens: tokens, Candidates: race}, func(candidates []Candidate, fitness []float64) {
		children := len(candidates) - 1
		f.stalled++
		var best *duel
		least := 0.0
		for i, c := range candidates[:children] {
			d := duel{child: c, measured: fitness[i] - fitness[children], predicted: f.model.predict(c.Genome) - parent, tokens: tokens}
			if !finite(d.measured) {
				continue
			}
			f.noise.observe(excess[c.ID]-d.measured, f.settings.Tokens[0], tokens)
			variance := f.noise.variance(tokens)
			if estimate, _ := f.trust.combine(d.measured, d.predicted, variance); estimate < least {
				best, least = &d, estimate
			}
			f.trust.observe(d.measured, d.predicted, variance)
		}
		f.learn(candidates[:children], fitness[:children], fitness[children], tokens)
		if best == nil {
			f.next()
			return
		}
		f.duel(stage+1, *best)
	})
}

// longestDuel is how long a slice to score two again may be by now.
func (f *finch) longestDuel() int {
	return int(min(int64(f.settings.Text), (f.effort.Tokens-f.left)/duelShare))
}

// duelTokens is what a generation's duel takes at most.
func (f *finch) duelTokens() int64 {
	sum := int64(0)
	for scored := f.settings.lastTokens(); 2*scored <= f.longest; scored *= 3 {
		sum += 2 * int64(2*scored)
	}
	return sum
}

// duel makes a child the next parent if it is surely better. If it is not so sure, the two are scored again, on twice as much text, for as
// long as there is some and the search is old enough to care; then the child need only be more likely to be better than not. So near-ties
// get more tokens than others, as in a Hoeffding race (Maron and Moore, 1994).
func (f *finch) duel(stage int, d duel) {
	estimate, variance := f.trust.combine(d.measured, d.predicted, f.noise.variance(d.tokens))
	if estimate >= 0 {
		f.next()
		return
	}
	tokens := 2 * d.tokens
	if square(estimate) > square(sureness)*variance || tokens > f.longest {
		f.parent, f.best, f.stalled = d.child, d.child, 0
		f.next()
		return
	}
	f.batch(Batch{Generation: f.generation, Stage: stage, Tokens: tokens, Candidates: []Candidate{d.child, f.parent}}, func(candidates []Candidate, fitness []float64) {
		f.learn(candidates[:1], fitness[:1], fitness[1], tokens)
		d.measured = (d.measured*float64(d.tokens) + (fitness[0]-fitness[1])*float64(tokens)) / float64(d.tokens+tokens)
		d.tokens += tokens
		if !finite(d.measured) {
			f.next()
			return
		}
		f.duel(stage+1, d)
	})
}

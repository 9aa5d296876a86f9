package search

// steps is a strategy that asks one batch after the other, each following from what the one before was told.
type steps struct {
	next *Batch                                          // nil: finished
	then func(candidates []Candidate, fitness []float64) // learns the answer, and may set what comes next

	effort   Effort
	asked    bool
	proposed int // candidates so far
	best     Candidate
}

// newSteps begins with the best candidate unknown; the first batch and what follows are the caller's to set.
func newSteps(most Effort) *steps { return &steps{best: none, effort: most} }

// scoredOnce proposes an individual that was found without a score.
func scoredOnce(settings Settings, ind *Individual, operator string) Strategy {
	s := newSteps(Effort{Tokens: int64(settings.lastTokens())})
	s.propose(settings, 0, ind, operator)
	return s
}

// ask makes a batch the next, and says what to do with the answer.
func (s *steps) ask(b Batch, then func([]Candidate, []float64)) { s.next, s.then = &b, then }

// candidate numbers a new genome for a batch of this generation.
func (s *steps) candidate(generation, slot int, g Genome, parent int, operator string) Candidate {
	c := Candidate{ID: s.proposed, Generation: generation, Slot: slot, Genome: g, Parent: parent, Operator: operator}
	s.proposed++
	return c
}

// propose asks for the score of an individual, with which the search ends.
func (s *steps) propose(settings Settings, stage int, ind *Individual, operator string) {
	s.ask(Batch{
		Stage: stage, Tokens: settings.lastTokens(),
		Candidates: []Candidate{s.candidate(0, s.proposed, ind.Levels, -1, operator)},
	}, s.choose)
}

func (s *steps) Ask() (Batch, bool) {
	if s.next == nil {
		return Batch{}, false
	}
	s.asked = true
	return *s.next, true
}

func (s *steps) Tell(fitness []float64) {
	if !s.asked {
		checkTold(nil, fitness)
	}
	checkTold(s.next, fitness)
	candidates := s.next.Candidates
	s.next, s.asked = nil, false
	s.then(candidates, fitness)
}

// choose ends the search with the fittest, or with the first if all failed.
func (s *steps) choose(candidates []Candidate, fitness []float64) {
	s.best = candidates[0]
	if winner := fittest(candidates, fitness, 1); len(winner) > 0 {
		s.best = winner[0]
	}
}

func (s *steps) Best() Candidate { return s.best }

func (s *steps) Effort() Effort { return s.effort }

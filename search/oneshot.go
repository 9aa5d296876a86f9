package search

// oneShot scores a fixed set of candidates on one slice and keeps the best.
type oneShot struct {
	batch Batch
	asked bool
	told  bool
	best  Candidate
}

func (s *oneShot) Ask() (Batch, bool) {
	s.asked = !s.told
	if s.told {
		return Batch{}, false
	}
	return s.batch, true
}

func (s *oneShot) Tell(fitness []float64) {
	if !s.asked {
		checkTold(nil, fitness)
	}
	checkTold(&s.batch, fitness)
	s.asked, s.told = false, true
	s.best = s.batch.Candidates[0] // if all failed
	if winner := fittest(s.batch.Candidates, fitness, 1); len(winner) > 0 {
		s.best = winner[0]
	}
}

func (s *oneShot) Best() Candidate { return s.best }

package search

import "slices"

// newShortened drops the sublayers without which, each by itself, the model scores best (Kim et al., "Shortened LLaMA",
// arXiv 2402.02834; its score is perplexity).
func newShortened(o *Operators, settings Settings, _ uint64) (Strategy, error) {
	if err := o.onlyDepth(); err != nil {
		return nil, err
	}
	gates := o.gates()
	count := 1 + len(gates)
	tokens, err := settings.affordable(count, "scores of single sublayers dropped")
	if err != nil {
		return nil, err
	}
	s := newSteps(settings.measuring(count, tokens))
	plan := o.allProbes()
	s.ask(Batch{Tokens: tokens, Candidates: s.probes(o, plan), Probe: true}, func(_ []Candidate, fitness []float64) {
		d := measured(o, plan, fitness)
		importance := make([]float64, len(gates))
		for k, i := range gates {
			importance[k] = d[i][Drop]
		}
		ind, err := o.dropRanked(importance)
		if err != nil {
			panic(err) // for want of an importance alone
		}
		s.propose(settings, 1, ind, "shortened")
	})
	return s, nil
}

// newShortenedIterative does the same one sublayer at a time, and scores those that are left again each time.
func newShortenedIterative(o *Operators, settings Settings, _ uint64) (Strategy, error) {
	if err := o.onlyDepth(); err != nil {
		return nil, err
	}
	count, left := 1, len(o.gates())
	for range o.mostDrops() {
		count += left
		left--
	}
	tokens, err := settings.affordable(count, "scores of sublayers dropped one after the other")
	if err != nil {
		return nil, err
	}
	s := newSteps(settings.measuring(count, tokens))
	shorten(s, settings, o.individual(o.dearest()), none.ID, 0, tokens)
	return s, nil
}

// shorten asks which sublayer to drop next, or proposes what has become of the model. Each step is a stage with text of its own.
func shorten(s *steps, settings Settings, ind *Individual, parent, step, tokens int) {
	if ind.fits() {
		for _, i := range ind.ops.gates() {
			ind.keepFits(i)
		}
		s.propose(settings, step, ind, "shortened")
		return
	}
	batch := Batch{Stage: step, Tokens: tokens, Probe: true}
	var dropped []int // parallel to the candidates
	for _, i := range ind.ops.gates() {
		if ind.kept(i) && ind.dropHelps(i) {
			child := ind.Clone()
			child.drop(i)
			batch.Candidates = append(batch.Candidates,
				s.candidate(0, s.proposed, child.Levels, parent, describe(ind.Space, ind.Levels, child.Levels)))
			dropped = append(dropped, i)
		}
	}
	s.ask(batch, func(candidates []Candidate, fitness []float64) {
		best := 0 // if all failed
		if winner := fittest(candidates, fitness, 1); len(winner) > 0 {
			best = slices.IndexFunc(candidates, func(c Candidate) bool { return c.ID == winner[0].ID })
		}
		ind.drop(dropped[best])
		shorten(s, settings, ind, candidates[best].ID, step+1, tokens)
	})
}

// mostDrops bounds how many sublayers are dropped one after the other, each because a limit does not hold: for each limit as
// many as it takes if they are those that save least.
func (o *Operators) mostDrops() int {
	ind := o.individual(o.dearest())
	most := 0
	for c, k := range o.space.Constraints {
		var savings []int64
		for _, i := range o.gates() {
			if saved := ind.saved(i, c); saved > 0 {
				savings = append(savings, saved)
			}
		}
		slices.Sort(savings)
		over := ind.cost[c] - k.Limit
		for _, saved := range savings {
			if over <= 0 {
				break
			}
			over -= saved
			most++
		}
	}
	return min(most, len(o.gates()))
}

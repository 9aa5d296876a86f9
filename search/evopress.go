package search

// evopress is the (1+λ) evolution of arXiv 2410.14649, algorithm 1: mutation only, elitist, a fixed number
// of generations, and selection in stages that score fewer candidates on more tokens. Each stage has a fresh slice,
// whose scores compare with no other, so the parent joins the last stage and is scored again there.
type evopress struct {
	ops      *Operators
	settings Settings
	seed     uint64

	generation, stage int         // of the next batch; generation 0 scores the starts
	pool              []Candidate // still in the race, without the parent
	parent            Candidate
	pending           *Batch
	proposed          int // candidates so far
}

func newEvoPress(o *Operators, settings Settings, seed uint64) (Strategy, error) {
	e := &evopress{ops: o, settings: settings, seed: seed, parent: none}
	e.pool = e.starts()
	return e, nil
}

// starts are the warm start, or random ones, as many as are distinct.
func (e *evopress) starts() []Candidate {
	if e.settings.Start.Genome != nil {
		return []Candidate{e.candidate(0, e.ops.space.Canonical(e.settings.Start.Genome), "start")}
	}
	var starts []Candidate
	seen := make(map[string]bool)
	for slot := range e.settings.Start.Candidates {
		rng := Rand(e.seed, 0, slot)
		start := distinct(seen, func() *Individual { return e.ops.Start(rng) })
		if start == nil {
			break
		}
		starts = append(starts, e.candidate(slot, start.Levels, "start"))
	}
	return starts
}

// offspring mutates the parent; fewer than λ where its neighbourhood holds no more.
func (e *evopress) offspring() []Candidate {
	parent := e.ops.individual(e.parent.Genome)
	seen := map[string]bool{string(parent.Levels): true}
	var children []Candidate
	for slot := range e.settings.Offspring {
		rng := Rand(e.seed, e.generation, slot)
		child := distinct(seen, func() *Individual {
			child := parent.Clone()
			child.Mutate(rng)
			return child
		})
		if child == nil {
			break
		}
		children = append(children, e.candidate(slot, child.Levels, describe(e.ops.space, parent.Levels, child.Levels)))
	}
	return children
}

// candidate numbers a new genome.
func (e *evopress) candidate(slot int, g Genome, operator string) Candidate {
	c := Candidate{ID: e.proposed, Generation: e.generation, Slot: slot, Genome: g, Parent: e.parent.ID, Operator: operator}
	e.proposed++
	return c
}

func (e *evopress) Ask() (Batch, bool) {
	if e.pending == nil {
		if e.generation > e.settings.Generations {
			return Batch{}, false
		}
		e.pending = e.batch()
	}
	return *e.pending, true
}

func (e *evopress) batch() *Batch {
	if e.generation == 0 {
		return &Batch{Tokens: e.settings.Start.Tokens, Candidates: e.pool}
	}
	if e.stage == 0 {
		e.pool = e.offspring()
	}
	if len(e.pool) == 0 {
		e.stage = e.lastStage() // nothing to select from: only the parent is scored
	}
	candidates := e.pool
	if e.stage == e.lastStage() {
		candidates = append(candidates[:len(candidates):len(candidates)], e.parent)
	}
	return &Batch{Generation: e.generation, Stage: e.stage, Tokens: e.settings.Tokens[e.stage], Candidates: candidates}
}

func (e *evopress) lastStage() int { return len(e.settings.Tokens) - 1 }

func (e *evopress) Tell(fitness []float64) {
	checkTold(e.pending, fitness)
	candidates := e.pending.Candidates
	e.pending = nil
	if e.generation > 0 && e.stage < e.lastStage() {
		e.pool = fittest(candidates, fitness, e.settings.Survivors[e.stage])
		e.stage++
		return
	}
	// On a tie the child replaces its parent, which comes last: neutral moves are how a plateau is crossed.
	if winner := fittest(candidates, fitness, 1); len(winner) > 0 {
		e.parent = winner[0]
	} else if e.generation == 0 {
		e.parent = candidates[0] // every start failed: any child that can be scored will replace it
	}
	e.generation, e.stage = e.generation+1, 0
}

func (e *evopress) Best() Candidate { return e.parent }

func (e *evopress) Effort() Effort {
	return Effort{Tokens: e.settings.TotalTokens(), Generations: e.settings.Generations}
}

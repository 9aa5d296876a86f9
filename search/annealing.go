package search

import "math"

const (
	// annealingTrials is how many neighbours of the start set the first temperature.
	annealingTrials = 16
	// annealingEnd is the last temperature as a share of the first: by then hardly any step up is taken.
	annealingEnd = 1e-3
)

// annealing is simulated annealing (Kirkpatrick, Gelatt and Vecchi, Science 220, 1983): a mutation of the current candidate replaces
// it if it is fitter, or else with probability exp(−Δ/T), while T falls geometrically from the mean Δ of the first
// neighbours. Both are scored on one slice of the first stage's length, a fresh one at each step. The candidate at the end is the winner.
type annealing struct {
	*steps
	ops      *Operators
	settings Settings
	seed     uint64

	moves int     // in all
	first float64 // temperature
}

func newAnnealing(o *Operators, settings Settings, seed uint64) (Strategy, error) {
	tokens := int64(settings.Tokens[0])
	moves := max(0, settings.TotalTokens()-(1+annealingTrials)*tokens) / (2 * tokens)
	effort := Effort{Tokens: (1 + annealingTrials + 2*moves) * tokens, Generations: int(moves)}
	a := &annealing{steps: newSteps(effort), ops: o, settings: settings, seed: seed, moves: int(moves)}
	start := settings.Start.Genome
	if start == nil {
		start = o.Start(Rand(seed, 0, 0)).Levels
	}
	a.best = a.candidate(0, 0, o.space.Canonical(start), none.ID, "start")
	batch := Batch{Tokens: settings.Tokens[0], Candidates: []Candidate{a.best}}
	seen := map[string]bool{string(a.best.Genome): true}
	for slot := range annealingTrials {
		child := a.neighbour(seen, 0, 1+slot)
		if child == nil {
			break
		}
		batch.Candidates = append(batch.Candidates, *child)
	}
	current := a.best
	a.best = none // until it has been scored
	a.ask(batch, func(candidates []Candidate, fitness []float64) {
		a.first = temperature(fitness)
		if a.best = current; math.IsNaN(fitness[0]) || math.IsInf(fitness[0], 0) {
			a.choose(candidates, fitness)
		}
		a.move(1)
	})
	return a, nil
}

// neighbour is a mutation of the current candidate, or nil if there is none but those seen.
func (a *annealing) neighbour(seen map[string]bool, generation, slot int) *Candidate {
	parent := a.ops.individual(a.best.Genome)
	rng := Rand(a.seed, generation, slot)
	child := distinct(seen, func() *Individual {
		child := parent.Clone()
		child.Mutate(rng)
		return child
	})
	if child == nil {
		return nil
	}
	c := a.candidate(generation, slot, child.Levels, a.best.ID, describe(a.ops.space, parent.Levels, child.Levels))
	return &c
}

// temperature is the mean difference that neighbours make to the start, which comes first; failed ones do not count.
func temperature(fitness []float64) float64 {
	sum, n := 0.0, 0.0
	for _, f := range fitness[1:] {
		if d := math.Abs(f - fitness[0]); !math.IsNaN(d) && !math.IsInf(d, 0) {
			sum, n = sum+d, n+1
		}
	}
	return sum / max(n, 1)
}

// move asks for the score of a neighbour beside that of the current candidate.
func (a *annealing) move(step int) {
	if step > a.moves {
		return
	}
	child := a.neighbour(map[string]bool{string(a.best.Genome): true}, step, 0)
	if child == nil {
		return
	}
	batch := Batch{Generation: step, Tokens: a.settings.Tokens[0], Candidates: []Candidate{*child, a.best}}
	a.ask(batch, func(candidates []Candidate, fitness []float64) {
		t := a.first * math.Pow(annealingEnd, float64(step-1)/max(1, float64(a.moves-1)))
		if a.accepts(fitness[0], fitness[1], t, step) {
			a.best = candidates[0]
		}
		a.move(step + 1)
	})
}

// accepts draws from a slot of the step that no candidate has.
func (a *annealing) accepts(child, current, t float64, step int) bool {
	switch {
	case math.IsNaN(child) || math.IsInf(child, 0):
		return false
	case math.IsNaN(current) || math.IsInf(current, 0) || child <= current:
		return true
	}
	return t > 0 && Rand(a.seed, step, 1).Float64() < math.Exp((current-child)/t)
}

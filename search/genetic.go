package search

import (
	"fmt"
	"math"
)

const (
	// crossoverShare of the children have two parents, mutationShare are mutated; those with one parent always are.
	crossoverShare, mutationShare = 0.7, 0.5
	// finalists are scored on the last stage's tokens at the end, if that is affordable.
	finalists = 4
)

// genetic is the generational algorithm (Holland, "Adaptation in Natural and Artificial Systems", 1975; Goldberg and Deb, FOGA 1991,
// for tournaments): a population of λ, parents by tournaments of two, uniform crossover and mutation, both of
// which keep to the budget. The fittest lives on. Every generation is scored whole on a fresh slice of the first stage's length, for
// as many generations as evopress's tokens pay for.
type genetic struct {
	*steps
	ops      *Operators
	settings Settings
	seed     uint64

	generations int // after the first
	finalists   int
}

func newGenetic(o *Operators, settings Settings, seed uint64) (Strategy, error) {
	one, last := int64(settings.Offspring)*int64(settings.Tokens[0]), int64(settings.lastTokens())
	left := settings.TotalTokens() - one
	final := min(finalists, left/last)
	generations := (left - final*last) / one
	effort := Effort{Tokens: (1+generations)*one + final*last, Generations: int(generations)}
	g := &genetic{steps: newSteps(effort), ops: o, settings: settings, seed: seed, generations: int(generations), finalists: int(final)}
	seen := make(map[string]bool)
	var population []Candidate
	if warm := settings.Start.Genome; warm != nil {
		population = append(population, g.candidate(0, 0, o.space.Canonical(warm), none.ID, "start"))
		seen[string(population[0].Genome)] = true
	}
	for slot := len(population); slot < settings.Offspring; slot++ {
		rng := Rand(seed, 0, slot)
		sample := distinct(seen, func() *Individual { return o.Sample(rng) })
		if sample == nil {
			break
		}
		population = append(population, g.candidate(0, slot, sample.Levels, none.ID, "random"))
	}
	g.score(0, population)
	return g, nil
}

// score asks for the scores of a population, and breeds the next or chooses among the fittest.
func (g *genetic) score(generation int, population []Candidate) {
	batch := Batch{Generation: generation, Tokens: g.settings.Tokens[0], Candidates: population}
	g.ask(batch, func(candidates []Candidate, fitness []float64) {
		g.choose(candidates, fitness)
		if generation < g.generations {
			g.score(generation+1, g.breed(generation+1, candidates, fitness))
			return
		}
		if best := fittest(candidates, fitness, g.finalists); len(best) > 0 {
			g.ask(Batch{Generation: generation, Stage: 1, Tokens: g.settings.lastTokens(), Candidates: best}, g.choose)
		}
	})
}

// breed is the next population: the fittest and children, all different.
func (g *genetic) breed(generation int, parents []Candidate, fitness []float64) []Candidate {
	next := []Candidate{g.best}
	seen := map[string]bool{string(g.best.Genome): true}
	for slot := range g.settings.Offspring - 1 {
		rng := Rand(g.seed, generation, slot)
		var parent Candidate
		var operator string
		child := distinct(seen, func() *Individual {
			parent = tournament(parents, fitness, rng)
			other := tournament(parents, fitness, rng)
			child := g.ops.individual(parent.Genome).Clone()
			crossed := rng.Float64() < crossoverShare && other.ID != parent.ID
			if crossed {
				child.Crossover(g.ops.individual(other.Genome).Clone(), rng)
				operator = fmt.Sprintf("crossover with %d", other.ID+1)
			} else {
				operator = "mutation"
			}
			if !crossed || rng.Float64() < mutationShare {
				child.Mutate(rng)
			}
			return child
		})
		if child == nil {
			break
		}
		next = append(next, g.candidate(generation, slot, child.Levels, parent.ID, operator))
	}
	return next
}

// tournament is the fitter of two drawn at random.
func tournament(candidates []Candidate, fitness []float64, rng Random) Candidate {
	a, b := rng.IntN(len(candidates)), rng.IntN(len(candidates))
	if fb := fitness[b]; fb < fitness[a] && !math.IsInf(fb, -1) || math.IsNaN(fitness[a]) || math.IsInf(fitness[a], 0) {
		return candidates[b]
	}
	return candidates[a]
}

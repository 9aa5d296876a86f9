package eaopt

import (
	"math/rand"

	"github.com/MaxHalford/eaopt"

	"github.com/finch-llm/finch/search"
)

var _ eaopt.Genome = (*genome)(nil)

// genome is a finch individual as eaopt sees it. Its operators keep to the budget.
type genome struct {
	*search.Individual
	of *strategy
}

// genome makes one of levels that are within the budget, as all are that were candidates.
func (s *strategy) genome(levels search.Genome) *genome {
	ind, err := s.ops.Individual(levels)
	if err != nil {
		panic("eaopt: " + err.Error())
	}
	return &genome{ind, s}
}

func (g *genome) Evaluate() (float64, error) { return g.of.evaluate(g.Levels) }

func (g *genome) Mutate(rng *rand.Rand) { g.Individual.Mutate(search.Intn(rng)) }

func (g *genome) Crossover(mate eaopt.Genome, rng *rand.Rand) {
	g.Individual.Crossover(mate.(*genome).Individual, search.Intn(rng))
}

func (g *genome) Clone() eaopt.Genome { return &genome{g.Individual.Clone(), g.of} }

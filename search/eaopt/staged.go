package eaopt

import (
	"cmp"
	"math"
	"math/rand"
	"slices"

	"github.com/MaxHalford/eaopt"
)

var _ eaopt.Model = staged{}

// staged is one generation of EvoPress as an eaopt.Model: the population is the parent, which has λ mutated children; each stage
// scores those that are left on more tokens and keeps the best. The parent joins the last stage.
type staged struct{ *strategy }

func (staged) Validate() error { return nil }

func (m staged) Apply(pop *eaopt.Population) error {
	parent := pop.Individuals[0]
	pool := m.offspring(parent.Genome.(*genome), pop.RNG)
	for stage := range m.settings.Tokens {
		if stage == len(m.settings.Tokens)-1 {
			pool = append(pool, parent)
		}
		if len(pool) == 0 {
			continue
		}
		m.stage, m.racing = stage, nil
		for i := range pool {
			pool[i].Evaluated = false // in an earlier stage, on another slice
			m.racing = append(m.racing, m.made[string(pool[i].Genome.(*genome).Levels)])
		}
		if err := pool.Evaluate(false); err != nil {
			return err
		}
		pool = fittest(pool, m.settings.Survivors[stage])
	}
	if len(pool) > 0 {
		pop.Individuals[0] = pool[0]
	}
	return nil
}

// offspring are λ children, or fewer where the parent's neighbourhood holds no more.
func (m staged) offspring(parent *genome, rng *rand.Rand) (children eaopt.Individuals) {
	for slot := range m.settings.Offspring {
		child, fresh := m.fresh(func() *genome {
			child := parent.Clone().(*genome)
			child.Mutate(rng)
			return child
		})
		if !fresh {
			break
		}
		m.candidate(child, slot, m.ops.Describe(parent.Levels, child.Levels))
		children = append(children, eaopt.NewIndividual(child, rng))
	}
	return children
}

// fittest are the best n of those that could be scored. On a tie the earlier is better: the parent, which comes last, gives way.
func fittest(pool eaopt.Individuals, n int) eaopt.Individuals {
	pool = slices.DeleteFunc(pool, func(i eaopt.Individual) bool { return math.IsInf(i.Fitness, 1) })
	slices.SortStableFunc(pool, func(a, b eaopt.Individual) int { return cmp.Compare(a.Fitness, b.Fitness) })
	return pool[:min(n, len(pool))]
}

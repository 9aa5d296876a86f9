package search

import (
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
)

// reached is how many tokens a search scores until its best is at most so bad, or -1.
func reached(s Strategy, f landscape, truth func(Genome) float64, goal float64) int64 {
	tokens := int64(0)
	for {
		b, ok := s.Ask()
		if !ok {
			return -1
		}
		fitness := make([]float64, len(b.Candidates))
		for i, c := range b.Candidates {
			fitness[i] = f(c.Genome, b)
			tokens += int64(b.Tokens)
		}
		s.Tell(fitness)
		if best := s.Best(); best.ID >= 0 && truth(best.Genome) <= goal {
			return tokens
		}
	}
}

// On noisy landscapes with pair terms finch gets where evopress ends with a fifth of its tokens, and does not fall behind it afterwards.
func TestFinchNeedsFewerTokens(t *testing.T) {
	settings := Settings{Generations: 60, Offspring: 16, Survivors: []int{2, 1}, Tokens: []int{512, 4096}, Start: Start{Candidates: 16, Tokens: 512}}
	for _, each := range []struct {
		name  string
		space *Space
	}{{"bits", intSpace(6, 3.5)}, {"depth", depthSpace(12, 3, 3)}, {"joint", bytesSpace(4, 3.5, true)}} {
		t.Run(each.name, func(t *testing.T) {
			settings := settings
			settings.Importance = withImportance(each.space).Importance
			o := mustOperators(t, each.space, "", "")
			for seed := range uint64(3) {
				rng := rand.New(rand.NewPCG(seed, 9))
				d, truth := quadratic(o, rng)
				settings.LocalErrors = roughly(d, rng)
				f := noisy(func(g Genome, _ Batch) float64 { return truth(g) }, 0.05)
				reference := mustNew(t, "evopress", each.space, settings, seed)
				run(t, reference, f)
				goal := truth(reference.Best().Genome)
				tokens := reached(mustNew(t, "finch", each.space, settings, seed), f, truth, goal)
				if most := reference.Effort().Tokens / 5; tokens < 0 || tokens > most {
					t.Errorf("seed %d: %d tokens to reach %.4f, of %d allowed", seed, tokens, goal, most)
				}
				s := mustNew(t, "finch", each.space, settings, seed)
				run(t, s, f)
				if final := truth(s.Best().Genome); final > goal*1.02 {
					t.Errorf("seed %d: ends at %.4f, evopress at %.4f", seed, final, goal)
				}
			}
		})
	}
}

// roughly are local errors of layers with such damages: what a layer's error does to the logits differs from site to site threefold or so,
// and by a tenth from level to level.
func roughly(d damages, rng *rand.Rand) [][]float64 {
	errors := make([][]float64, len(d))
	for i := range d {
		scale := math.Exp(0.6 * rng.NormFloat64())
		for _, damage := range d[i] {
			errors[i] = append(errors[i], scale*damage*math.Exp(0.1*rng.NormFloat64()))
		}
	}
	return errors
}

// Where tokens do not pay for the measurements finch is evopress, and a run of it does not go on with so many that they do.
func TestFinchWithFewTokens(t *testing.T) {
	space := intSpace(4, 3.5)
	settings := Settings{Generations: 1, Offspring: 2, Survivors: []int{1}, Tokens: []int{512}, Start: Start{Candidates: 1, Tokens: 512}}
	f := noisy(additive(plant(t, space, 9)), 5)
	got, _ := run(t, mustNew(t, "finch", space, settings, 1), f)
	want, _ := run(t, mustNew(t, "evopress", space, settings, 1), f)
	if !reflect.DeepEqual(got, want) {
		t.Error("not what evopress asks")
	}
	settings.Generations = 2
	if !Extends("finch", space, settings, 1) {
		t.Error("from 1 to 2 generations it does not extend")
	}
	settings.Generations = 4000
	if Extends("finch", space, settings, 1) {
		t.Error("from 1 to 4000 generations it extends")
	}
	if !Extends("finch", space, settings, 2000) {
		t.Error("from 2000 to 4000 generations it does not extend")
	}
}

package search

import (
	"math"
	"slices"
	"testing"
)

// Annealing and the genetic algorithm come near a planted optimum, where random search does not, also through noise.
func TestAnnealingAndGenetic(t *testing.T) {
	for _, each := range []struct {
		name  string
		space *Space
		noise float64
	}{
		{"depth", depthSpace(10, 3, 4), 0},
		{"bits", intSpace(12, 3.5), 0},
		{"sparsity", sparsitySpace(2, 2), 0},
		{"joint", bytesSpace(2, 3.5, true), 0},
		{"noisy bits", intSpace(20, 3.5), 5},
	} {
		for seed := range uint64(3) {
			truth := pairwise(plant(t, each.space, seed))
			f := truth
			if each.noise > 0 {
				f = noisy(truth, each.noise)
			}
			settings := fast
			settings.Generations = 200
			left := map[string]float64{}
			for _, method := range []string{"annealing", "genetic", "random"} {
				s := mustNew(t, method, each.space, settings, seed)
				run(t, s, f)
				left[method] = truth(s.Best().Genome, Batch{})
			}
			if left["annealing"] >= left["random"]/2 || left["genetic"] >= left["random"]/2 {
				t.Errorf("%s seed %d: %v left", each.name, seed, left)
			}
		}
	}
}

func TestAnnealingCools(t *testing.T) {
	a := &annealing{seed: 1}
	hot, cold := 0, 0
	for step := range 1000 {
		if a.accepts(2, 1, 1, step) {
			hot++
		}
		if a.accepts(2, 1, annealingEnd, step) {
			cold++
		}
		if !a.accepts(1, 1, 0, step) || !a.accepts(0, 1, 0, step) || a.accepts(2, 1, 0, step) {
			t.Fatal("at no temperature a step is taken or refused wrongly")
		}
	}
	if want := 1000 / math.E; math.Abs(float64(hot)-want) > 60 || cold > 0 {
		t.Errorf("%d of 1000 steps up are taken hot and %d cold, want %.0f and none", hot, cold, want)
	}
	if a.accepts(math.NaN(), 1, 1, 0) || !a.accepts(1, math.NaN(), 1, 0) || a.accepts(math.Inf(-1), 1, 1, 0) {
		t.Error("failed scores")
	}
	if got := temperature([]float64{5, 3, 8, math.NaN()}); got != 2.5 {
		t.Errorf("first temperature %v, want the mean of 2 and 3", got)
	}
}

// The fittest lives on under its number, children have two parents or one, and the final chooses among four.
func TestGeneticProtocol(t *testing.T) {
	space := intSpace(12, 3.5)
	s := mustNew(t, "genetic", space, fast, 1)
	f := additive(plant(t, space, 1))
	asked, told := run(t, s, f)
	crossed := 0
	for k := 1; k < len(asked)-1; k++ {
		before := asked[k-1]
		fitter := before.Candidates[slices.Index(told[k-1], slices.Min(told[k-1]))]
		if asked[k].Candidates[0].ID != fitter.ID || asked[k].Tokens != fast.Tokens[0] || len(asked[k].Candidates) != fast.Offspring {
			t.Fatalf("generation %d begins with %+v, want %d", k, asked[k].Candidates[0], fitter.ID)
		}
		for _, c := range asked[k].Candidates[1:] {
			if !slices.ContainsFunc(before.Candidates, func(p Candidate) bool { return p.ID == c.Parent }) {
				t.Fatalf("candidate %d has the parent %d of another generation", c.ID, c.Parent)
			}
			if c.Operator != "mutation" {
				crossed++
			}
		}
	}
	if last := asked[len(asked)-1]; last.Stage != 1 || len(last.Candidates) != finalists || last.Tokens != fast.Tokens[1] {
		t.Errorf("the final is %+v", last)
	}
	if share := float64(crossed) / float64((len(asked)-2)*(fast.Offspring-1)); math.Abs(share-crossoverShare) > 0.15 {
		t.Errorf("%.2f of the children have two parents", share)
	}
}

package experiment

import (
	"math"
	"testing"

	"github.com/finch-llm/finch/search"
)

func TestFaultsInARow(t *testing.T) {
	nan := math.NaN()
	infeasible := map[int]bool{99: true}
	batch := func(f *faults, fitness ...float64) error {
		b := &search.Batch{Generation: 3}
		for i := range fitness {
			id := i
			if math.IsInf(fitness[i], 1) { // stands for an infeasible candidate here
				id, fitness[i] = 99, nan
			}
			b.Candidates = append(b.Candidates, search.Candidate{ID: id})
		}
		return f.count(b, fitness, infeasible)
	}
	f := &faults{}
	for range 3 { // nine, and one that is finite
		if err := batch(f, nan, nan, nan, nan, nan, nan, nan, nan, nan, 1); err != nil {
			t.Fatal(err)
		}
	}
	if err := batch(f, nan, nan, nan, nan, nan, math.Inf(1), nan, nan); err != nil {
		t.Fatalf("an infeasible candidate counts: %v", err)
	}
	fails(t, batch(f, math.Inf(1), nan, nan, nan, 1), "10 scores in a row are not finite, the last that of candidate 4 in generation 3")
}

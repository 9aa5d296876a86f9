package store

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
)

// The front of one run is that of the longest slice, of two as long of the one with more scores, which candidates of other slices are no part of.
func TestParetoOfARun(t *testing.T) {
	db := newTest(t)
	run, err := db.BeginRun(ctx, testRun("front", 1))
	must(t, err)
	sites, levels := testSpace()
	must(t, db.PutSpace(ctx, run, sites, levels))
	genome := strings.Repeat("00", len(sites))
	next := int64(0)
	batch := func(generation int, tokens int64, points ...[2]float64) { // bytes and fitness
		b := BatchRecord{Generation: generation, Slice: Slice{Tokens: tokens, Hash: fmt.Sprint(generation)}}
		for slot, p := range points {
			next++
			b.Candidates = append(b.Candidates, Candidate{ID: next, Slot: slot, Genome: genome, Operator: "start", FileBytes: int64(p[0]), Status: CandidateScored})
			b.Scores = append(b.Scores, Score{Candidate: next, Fitness: p[1], KL: p[1], PPL: 2, Tokens: tokens, KernelPath: "portable"})
		}
		must(t, db.RecordBatch(ctx, run, b))
	}
	batch(0, 100, [2]float64{1, 0.001}) // on little text
	batch(1, 200, [2]float64{50, 0.5}, [2]float64{40, 0.6}, [2]float64{60, 0.55}, [2]float64{40, 0.7}, [2]float64{70, math.NaN()}, [2]float64{80, 0.1}, [2]float64{90, 0.1})
	batch(2, 200, [2]float64{1, 0.001})
	for _, name := range []string{"front", "1"} {
		got := column(t, ask(t, db, "pareto", map[string]any{"run": name}), "candidate")
		if want := []any{int64(3), int64(2), int64(7)}; !slices.Equal(got, want) {
			t.Errorf("%s: candidates %v, want %v", name, got, want)
		}
	}
	if got := ask(t, db, "pareto", nil).Rows; len(got) > 0 {
		t.Errorf("a run without results has %v", got)
	}
}

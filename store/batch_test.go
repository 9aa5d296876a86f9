package store

import (
	"errors"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestRecordBatch(t *testing.T) {
	db := newTest(t)
	run, err := db.BeginRun(ctx, testRun("a", 1))
	must(t, err)
	sites, levels := testSpace()
	must(t, db.PutSpace(ctx, run, sites, levels))
	if _, ok, err := db.Batch(ctx, run, 0, 0); ok || err != nil {
		t.Errorf("batch before it was recorded: %v, %v", ok, err)
	}
	stages, _ := testGeneration(0, 1, 1)
	b := stages[0]
	must(t, db.RecordBatch(ctx, run, b))
	before, err := db.FingerprintRun(ctx, run)
	must(t, err)

	got, ok, err := db.Batch(ctx, run, 0, 0)
	must(t, err)
	if !ok || conflict(got, b.canonical()) != nil || got.Scores[0].Seconds != 1 {
		t.Errorf("batch comes back as %+v", got)
	}
	again := b
	again.Scores = slices.Clone(b.Scores)
	slices.Reverse(again.Scores)
	for i := range again.Scores {
		again.Scores[i].Seconds, again.Scores[i].Memo = 99, true
	}
	again.Candidates = slices.Clone(b.Candidates)
	again.Candidates[0].Status = ""
	must(t, db.RecordBatch(ctx, run, again))
	kept, _, err := db.Batch(ctx, run, 0, 0)
	must(t, err)
	if kept.Scores[0].Seconds != 1 || kept.Scores[0].Memo {
		t.Error("a recorded batch was written again")
	}
	after, err := db.FingerprintRun(ctx, run)
	must(t, err)
	if after != before {
		t.Error("recording again changed the fingerprint")
	}
}

func TestRecordBatchConflicts(t *testing.T) {
	db := newTest(t)
	run, err := db.BeginRun(ctx, testRun("a", 1))
	must(t, err)
	stages, _ := testGeneration(0, 1, 1)
	must(t, db.RecordBatch(ctx, run, stages[0]))
	before, err := db.FingerprintRun(ctx, run)
	must(t, err)
	for _, c := range []struct {
		name   string
		change func(*BatchRecord)
		want   string
	}{
		{"fitness", func(b *BatchRecord) { b.Scores[1].Fitness = math.Nextafter(b.Scores[1].Fitness, 9) }, "fitness of candidate 2"},
		{"failed", func(b *BatchRecord) { b.Scores[1].Fitness = math.NaN() }, "fitness of candidate 2"},
		{"KL", func(b *BatchRecord) { b.Scores[0].KL++ }, "KL of candidate 1"},
		{"perplexity", func(b *BatchRecord) { b.Scores[0].PPL = 7 }, "perplexity of candidate 1"},
		{"tokens", func(b *BatchRecord) { b.Scores[0].Tokens++ }, "tokens of candidate 1"},
		{"kernel path", func(b *BatchRecord) { b.Scores[2].KernelPath = "avx2" }, "kernel path of candidate 3"},
		{"slice", func(b *BatchRecord) { b.Slice.Hash = "other" }, "slice"},
		{"genome", func(b *BatchRecord) { b.Candidates[0].Genome = "02020202" }, "candidate 1"},
		{"fewer candidates", func(b *BatchRecord) { b.Candidates = b.Candidates[:2] }, "number of new candidates"},
		{"more scores", func(b *BatchRecord) { b.Scores = append(b.Scores, Score{Candidate: 4}) }, "number of scores"},
		{"other candidate", func(b *BatchRecord) { b.Scores[2].Candidate = 9 }, "candidate 9"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := stages[0]
			b.Candidates, b.Scores = slices.Clone(b.Candidates), slices.Clone(b.Scores)
			c.change(&b)
			err := db.RecordBatch(ctx, run, b)
			if !errors.Is(err, ErrConflict) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "--fresh") {
				t.Errorf("%v, want ErrConflict about %q", err, c.want)
			}
		})
	}
	if after, err := db.FingerprintRun(ctx, run); err != nil || after != before {
		t.Errorf("a refused batch changed the record: %v", err)
	}
}

func TestRecordBatchInvalid(t *testing.T) {
	db := newTest(t)
	run, err := db.BeginRun(ctx, testRun("a", 1))
	must(t, err)
	sites, levels := testSpace()
	must(t, db.PutSpace(ctx, run, sites, levels))
	for _, c := range []struct {
		name   string
		change func(*BatchRecord)
	}{
		{"gap in the ids", func(b *BatchRecord) { b.Candidates[2].ID = 9 }},
		{"short genome", func(b *BatchRecord) { b.Candidates[0].Genome = "00" }},
		{"odd genome", func(b *BatchRecord) { b.Candidates[0].Genome = "000" }},
		{"upper-case genome", func(b *BatchRecord) { b.Candidates[0].Genome = "0A000000" }},
		{"later parent", func(b *BatchRecord) { b.Candidates[0].Parent = 2 }},
		{"unknown status", func(b *BatchRecord) { b.Candidates[0].Status = "tired" }},
		{"score of no candidate", func(b *BatchRecord) { b.Scores[0].Candidate = 77 }},
		{"two scores", func(b *BatchRecord) { b.Scores[0].Candidate = 2 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			stages, _ := testGeneration(0, 1, 1)
			c.change(&stages[0])
			if err := db.RecordBatch(ctx, run, stages[0]); !errors.Is(err, ErrInvalid) {
				t.Errorf("%v, want ErrInvalid", err)
			}
			if _, ok, err := db.Batch(ctx, run, 0, 0); ok || err != nil {
				t.Errorf("half a batch stayed: %v", err)
			}
		})
	}
}

// Infinities and NaN come back as they went in.
func TestScoresNotFinite(t *testing.T) {
	db := newTest(t)
	run, err := db.BeginRun(ctx, testRun("a", 1))
	must(t, err)
	b := BatchRecord{
		Candidates: []Candidate{{ID: 1, Genome: "00", Status: CandidateFailed}, {ID: 2, Genome: "01", Status: CandidateInfeasible}},
		Scores:     []Score{{Candidate: 1, Fitness: math.NaN(), KL: math.Inf(1), PPL: math.MaxFloat64, KernelPath: "portable"}},
	}
	must(t, db.RecordBatch(ctx, run, b))
	must(t, db.RecordBatch(ctx, run, b))
	got, _, err := db.Batch(ctx, run, 0, 0)
	must(t, err)
	s := got.Scores[0]
	if !math.IsNaN(s.Fitness) || !math.IsInf(s.KL, 1) || s.PPL != math.MaxFloat64 || !reflect.DeepEqual(got.Candidates, b.Candidates) {
		t.Errorf("comes back as %+v", got)
	}
	_, err = db.CloseGeneration(ctx, run, Generation{BestFitness: math.NaN()})
	must(t, err)
	wantProblems(t, db)
}

func TestCloseGeneration(t *testing.T) {
	db := newTest(t)
	run, err := db.BeginRun(ctx, testRun("a", 1))
	must(t, err)
	if _, err := db.CloseGeneration(ctx, run, Generation{Generation: 1}); !errors.Is(err, ErrInvalid) {
		t.Errorf("generation 1 first: %v, want ErrInvalid", err)
	}
	first := putGeneration(t, db, run, 0, 1, 1)
	if first.Candidates != 3 || first.Evaluations != 4 || first.Tokens != 3*512+4096 || len(first.Chain) != 64 {
		t.Errorf("closed as %+v", first)
	}
	if again := putGeneration(t, db, run, 0, 1, 7); again != first {
		t.Errorf("closed again as %+v, was %+v", again, first)
	}
	other := first
	other.BestFitness++
	if _, err := db.CloseGeneration(ctx, run, other); !errors.Is(err, ErrConflict) {
		t.Errorf("another best: %v, want ErrConflict", err)
	}
	if err := db.RecordBatch(ctx, run, BatchRecord{Generation: 0, Stage: 5}); !errors.Is(err, ErrConflict) {
		t.Errorf("batch in a closed generation: %v, want ErrConflict", err)
	}
	second := putGeneration(t, db, run, 1, 1, 1)
	if closed, err := db.Generations(ctx, run); err != nil || !slices.Equal(closed, []Generation{first, second}) {
		t.Errorf("generations %+v, %v", closed, err)
	}
}

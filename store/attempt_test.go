package store

import (
	"errors"
	"math"
	"reflect"
	"testing"
)

// Attempts at one batch add up until the run stops in order.
func TestAttempt(t *testing.T) {
	db := newTest(t)
	run, err := db.BeginRun(ctx, testRun("a", 1))
	must(t, err)
	before, err := db.Fingerprint(ctx)
	must(t, err)
	want := func(generation, stage, killed int) {
		t.Helper()
		if got, err := db.Attempt(ctx, run, generation, stage); err != nil || got != killed {
			t.Errorf("generation %d stage %d: %d were killed, %v; want %d", generation, stage, got, err, killed)
		}
	}
	want(0, 0, 0)
	want(0, 0, 1)
	must(t, db.ResumeRun(ctx, run)) // a process died
	want(0, 0, 2)
	want(0, 1, 0)
	want(1, 1, 0)
	want(1, 1, 1)
	if after, err := db.Fingerprint(ctx); err != nil || after != before {
		t.Errorf("attempts show in the fingerprint: %v", err)
	}
	must(t, db.InterruptRun(ctx, run, 1))
	if _, err := db.Attempt(ctx, run, 1, 1); !errors.Is(err, ErrRunState) {
		t.Errorf("an attempt of a run that was interrupted: %v", err)
	}
	must(t, db.ResumeRun(ctx, run))
	want(1, 1, 0)
	wantProblems(t, db)
}

// Reasons come back with their batch; neither they nor keys make another record.
func TestFaults(t *testing.T) {
	db := newTest(t)
	var prints []string
	for _, reason := range []string{"panic: no weights", "no score after 12m0s"} {
		run, err := db.BeginRun(ctx, testRun("a", 1))
		must(t, err)
		stages, closing := testGeneration(0, 1, 1)
		failed := &stages[0].Scores[1]
		failed.Fitness, failed.KL, failed.Key, failed.Fault = math.NaN(), math.NaN(), "", reason
		stages[0].Candidates[1].Status = CandidateFailed
		for _, b := range stages {
			must(t, db.RecordBatch(ctx, run, b))
		}
		if b, _, err := db.Batch(ctx, run, 0, 0); err != nil || b.Scores[1].Fault != reason || b.Scores[0].Fault != "" {
			t.Errorf("read back as %+v, %v", b.Scores, err)
		}
		failed.Fault = "another"
		must(t, db.RecordBatch(ctx, run, stages[0])) // the same batch
		_, err = db.CloseGeneration(ctx, run, closing)
		must(t, err)
		want := [][]any{{run, "a", int64(1), "score", int64(2), int64(0), int64(0), "start", reason}}
		if got := ask(t, db, "failures", map[string]any{"run": run}).Rows; !reflect.DeepEqual(got, want) {
			t.Errorf("failures %v, want %v", got, want)
		}
		print, err := db.FingerprintRun(ctx, run)
		must(t, err)
		prints = append(prints, print)
		must(t, db.SupersedeRuns(ctx, run))
	}
	if prints[0] != prints[1] {
		t.Error("the fingerprint depends on the reason")
	}
	wantProblems(t, db)
}

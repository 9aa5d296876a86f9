package store

import (
	"math"
	"path/filepath"
	"reflect"
	"testing"
)

// A score is found by its key whatever became of its run, and by no other.
func TestMemo(t *testing.T) {
	db := newTest(t)
	begin := func(experiment string) int64 {
		run, err := db.BeginRun(ctx, testRun(experiment, 1))
		must(t, err)
		return run
	}
	record := func(run int64, scores ...Score) {
		b := BatchRecord{Scores: scores}
		for _, s := range scores {
			b.Candidates = append(b.Candidates, Candidate{ID: s.Candidate})
		}
		must(t, db.RecordBatch(ctx, run, b))
	}
	score := func(candidate int64, key string) Score {
		return Score{Candidate: candidate, Fitness: 0.5 + float64(candidate), KL: 1 / 3.0, PPL: math.NaN(), Tokens: 512, Seconds: 2, KernelPath: "portable", Key: key}
	}
	failed := score(2, "failed")
	failed.Fitness, failed.KL = math.NaN(), math.Inf(1)
	taken := score(1, "nowhere computed")
	taken.Memo = true
	superseded, running := begin("superseded"), begin("running")
	record(superseded, score(1, "superseded"), failed, score(3, ""))
	must(t, db.SupersedeRuns(ctx, superseded))
	record(running, taken, score(2, "running"))

	got, err := db.Memo(ctx, []string{"superseded", "running", "failed", "running", "nowhere computed", "unknown", ""})
	must(t, err)
	if len(got) != 3 {
		t.Errorf("found %+v", got)
	}
	for _, want := range []Score{score(1, "superseded"), score(2, "running"), failed} {
		is := got[want.Key]
		if !is.Memo || is.Seconds != 0 || is.Candidate != 0 || is.Key != want.Key || is.Tokens != want.Tokens || is.KernelPath != want.KernelPath ||
			!sameFloat(is.Fitness, want.Fitness) || !sameFloat(is.KL, want.KL) || !sameFloat(is.PPL, want.PPL) {
			t.Errorf("found %+v, want %+v", is, want)
		}
	}
	if got, err := db.Memo(ctx, nil); err != nil || len(got) > 0 {
		t.Errorf("no keys: %v, %v", got, err)
	}
	if b, _, err := db.Batch(ctx, running, 0, 0); err != nil || b.Scores[1].Key != "running" || !b.Scores[0].Memo {
		t.Errorf("the batch comes back as %+v, %v", b, err)
	}
}

// Scores from before there was a memo stay as they are, and are not found.
func TestMemoOfOldDatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "finch.db")
	oldDatabase(t, path, 2)
	pool := openPool(path, writeOptions, 1)
	_, err := pool.Exec(`
		INSERT INTO slices VALUES (7, 1, 0, 0, 512, 'hash');
		INSERT INTO candidates VALUES (7, 1, 0, 0, 0, '00', NULL, 'start', 100, 3.5, 64, 'scored');
		INSERT INTO scores VALUES (7, 1, 1, 0, 0.25, 0.25, 3.5, 512, 1.5, '', 0)`)
	must(t, err)
	must(t, pool.Close())
	db := openTest(t, path)
	b, _, err := db.Batch(ctx, 7, 0, 0)
	must(t, err)
	want := []Score{{Candidate: 1, Fitness: 0.25, KL: 0.25, PPL: 3.5, Tokens: 512, Seconds: 1.5}}
	if !reflect.DeepEqual(b.Scores, want) {
		t.Errorf("scores %+v, want %+v", b.Scores, want)
	}
	if got, err := db.Memo(ctx, []string{""}); err != nil || len(got) > 0 {
		t.Errorf("found %v, %v", got, err)
	}
	wantProblems(t, db)
}

package store

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// Two runs recorded one after the other, in turn, in the other order, killed and resumed: the same fingerprints.
func TestFingerprint(t *testing.T) {
	const generations = 4
	straight := newTest(t)
	one := putRun(t, straight, "a", 1, generations, 1)
	putRun(t, straight, "a", 2, generations, 1)
	want, err := straight.Fingerprint(ctx)
	must(t, err)
	wantOne, err := straight.FingerprintRun(ctx, one)
	must(t, err)

	mixed := newTest(t)
	var runs []int64
	seeds := []int64{2, 1}
	for _, seed := range seeds {
		run, err := mixed.BeginRun(ctx, testRun("a", seed))
		must(t, err)
		sites, levels := testSpace()
		must(t, mixed.PutSpace(ctx, run, sites, levels))
		runs = append(runs, run)
	}
	for g := range generations {
		for i, run := range runs {
			if g == 2 { // killed in the middle of a generation, and resumed
				stages, _ := testGeneration(g, seeds[i], 1)
				must(t, mixed.RecordBatch(ctx, run, stages[0]))
				must(t, mixed.InterruptRun(ctx, run, 3))
				must(t, mixed.ResumeRun(ctx, run))
			}
			putGeneration(t, mixed, run, g, seeds[i], 2.5)
		}
	}
	if got, err := mixed.Fingerprint(ctx); err != nil || got == want {
		t.Errorf("unfinished runs have the fingerprint of finished ones: %v", err)
	}
	for i, run := range runs {
		putResults(t, mixed, run, seeds[i], 3*generations)
		must(t, mixed.FinishRun(ctx, run, 100))
	}
	if got, err := mixed.Fingerprint(ctx); err != nil || got != want {
		t.Errorf("fingerprint %s, want %s: %v", got, want, err)
	}
	if got, err := mixed.FingerprintRun(ctx, runs[1]); err != nil || got != wantOne {
		t.Errorf("fingerprint of seed 1 %s, want %s: %v", got, wantOne, err)
	}
	if got, _ := mixed.FingerprintRun(ctx, runs[0]); got == wantOne {
		t.Error("two seeds have one fingerprint")
	}
	if _, err := mixed.FingerprintRun(ctx, 99); !errors.Is(err, ErrNotFound) {
		t.Errorf("no run: %v, want ErrNotFound", err)
	}
	tamper(t, mixed, "UPDATE scores SET seconds = 9, memo = 1")
	if got, _ := mixed.Fingerprint(ctx); got != want {
		t.Error("timings count in the fingerprint")
	}
	tamper(t, mixed, "UPDATE scores SET tokens = tokens + 1 WHERE run_id = 1 AND slice = 2 AND candidate = 3")
	if got, _ := mixed.Fingerprint(ctx); got == want {
		t.Error("a changed score does not count in the fingerprint")
	}
}

func TestCheckSound(t *testing.T) {
	db := newTest(t)
	putRun(t, db, "a", 1, 3, 1)
	putRun(t, db, "a", 2, 0, 1)
	run, err := db.BeginRun(ctx, testRun("b", 1))
	must(t, err)
	stages, _ := testGeneration(0, 1, 1)
	must(t, db.RecordBatch(ctx, run, stages[0]))
	wantProblems(t, db)
}

// Every value changed behind the store's back is seen.
func TestCheckFinds(t *testing.T) {
	whole := filepath.Join(t.TempDir(), "whole.db")
	db := openTest(t, whole)
	putRun(t, db, "a", 1, 3, 1)
	putRun(t, db, "other", 1, 3, 2) // from the memo
	must(t, db.Close())
	sound, err := os.ReadFile(whole)
	must(t, err)
	for _, c := range []struct{ name, statement, want string }{
		{"fitness", "UPDATE scores SET fitness = fitness * (1 + 1e-15) WHERE slice = 3 AND candidate = 5", "generation 1 have changed"},
		{"tokens of a score", "UPDATE scores SET tokens = 1 WHERE slice = 1 AND candidate = 1", "generation 0 have changed"},
		{"removed score", "DELETE FROM scores WHERE slice = 4", "generation 1 have changed"},
		{"operator", "UPDATE candidates SET operator = 'swap' WHERE id = 4", "generation 1 have changed"},
		{"moved candidate", "UPDATE candidates SET generation = 0 WHERE id = 4", "generation 0 have changed"},
		{"slice", "UPDATE slices SET hash = 'x' WHERE id = 6", "generation 2 have changed"},
		{"best fitness", "UPDATE generations SET best_fitness = 0 WHERE generation = 2", "generation 2 have changed"},
		{"chain", "UPDATE generations SET chain = 'x' WHERE generation = 1", "generation 1 have changed"},
		{"removed generation", "DELETE FROM generations WHERE generation = 1", "generation 1 is missing"},
		{"removed last generation", "DELETE FROM generations WHERE generation = 2", "seal"},
		{"seed", "UPDATE runs SET seed = 9", "generation 0 have changed"},
		{"level", "UPDATE levels SET bytes = bytes - 1 WHERE site = 0 AND idx = 0", "generation 0 have changed"},
		{"result", "UPDATE results SET kl = kl / 2 WHERE role = 'winner'", "seal"},

		{"run status", "UPDATE runs SET status = 'lost'", "status is lost"},
		{"candidate status", "UPDATE candidates SET status = 'lost' WHERE id = 2", "candidate 2 has status lost"},
		{"no winner", "DELETE FROM results WHERE role = 'winner'", "finished with 0 winners"},
		{"ids", "UPDATE candidates SET id = 99 WHERE id = 9", "9 candidates, numbered 1 to 99"},
		{"no parent", "UPDATE candidates SET parent = 77 WHERE id = 4", "parent 77, which does not exist"},
		{"later parent", "UPDATE candidates SET parent = 9 WHERE id = 4", "parent 9, which comes later"},
		{"genome", "UPDATE candidates SET genome = '00' WHERE id = 4", "2 digits for 4 sites"},
		{"sum", "UPDATE generation_costs SET tokens = tokens + 1 WHERE generation = 1", "the sums kept of generation 1 are not those of its scores"},
		{"lost sums", "DELETE FROM generation_costs WHERE generation = 1", "the sums kept of generation 1 are not those of its scores"},
		{"count", "UPDATE operator_counts SET improved = improved + 1 WHERE operator = 'swap'", "the counts kept of swap at 0 sites are not those of its candidates"},
		{"score without slice", "DELETE FROM slices WHERE id = 2", "score without a slice (2)"},
		{"score without candidate", "DELETE FROM candidates WHERE id = 9", "score without a candidate (9)"},
		{"infeasible", "UPDATE candidates SET status = 'infeasible' WHERE id = 2", "infeasible and was scored"},
		{"candidate over budget", "UPDATE candidates SET file_bytes = 2001 WHERE id = 3", "2001 bytes of 2000"},
		{"winner over budget", "UPDATE results SET file_bytes = 2001 WHERE role = 'winner'", "the winner takes 2001 bytes"},
		{"kernel path", "UPDATE scores SET kernel_path = 'avx2' WHERE slice = 1", "3 scores were computed with avx2"},
		{"score from the memo", "UPDATE scores SET kl = kl / 2 WHERE run_id = 2 AND slice = 3 AND candidate = 5",
			"candidate 5 has another score on slice 3 than candidate 5 of run 1 on its slice 3"},
		{"foreign key", "UPDATE events SET run_id = 88", "events refers to a missing row of runs"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "finch.db")
			must(t, os.WriteFile(path, sound, 0o644))
			db := openTest(t, path)
			tamper(t, db, "PRAGMA synchronous = 0")
			tamper(t, db, "PRAGMA foreign_keys = 0")
			tamper(t, db, "PRAGMA ignore_check_constraints = 1")
			tamper(t, db, c.statement)
			wantProblems(t, db, c.want)
		})
	}
}

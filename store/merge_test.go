package store

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// mergeAll merges every run of a database, live or not.
func mergeAll(t *testing.T, db, from *DB) (copied int) {
	t.Helper()
	for _, row := range ask(t, from, "SELECT id FROM runs ORDER BY id", nil).Rows {
		_, new, err := db.Merge(ctx, from, row[0].(int64))
		must(t, err)
		if new {
			copied++
		}
	}
	return copied
}

// Whatever runs are recorded here and whatever there, in whatever order: merged they are the record of one database.
func TestMergeOfParts(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 0))
			whole, here, there := newTest(t), newTest(t), newTest(t)
			all := []*DB{whole, here, there}
			moved := 0
			for _, i := range rng.Perm(6) {
				experiment, run, generations := fmt.Sprint("experiment-", i/2), int64(i%2), i/2+rng.IntN(3)
				putRun(t, whole, experiment, run, generations, 1)
				switch rng.IntN(3) {
				case 0:
					putRun(t, here, experiment, run, generations, 2.5)
				case 1:
					putRun(t, there, experiment, run, generations, 0.5)
					moved++
				default: // both have it
					putRun(t, here, experiment, run, generations, 2.5)
					putRun(t, there, experiment, run, generations, 0.5)
				}
			}
			if copied := mergeAll(t, here, there); copied != moved {
				t.Errorf("%d runs were copied, want %d", copied, moved)
			}
			if copied := mergeAll(t, here, there); copied != 0 {
				t.Errorf("%d runs were copied again", copied)
			}
			want, err := whole.Fingerprint(ctx)
			must(t, err)
			if got, err := here.Fingerprint(ctx); err != nil || got != want {
				t.Errorf("fingerprint %s, want %s: %v", got, want, err)
			}
			for _, db := range all {
				wantProblems(t, db)
			}
		})
	}
}

// A copy has every row and every column of the run but the run's id, and that of an event.
func TestMergeCopiesAll(t *testing.T) {
	here, there := newTest(t), newTest(t)
	putRun(t, here, "a", 1, 1, 1)
	putRun(t, here, "a", 2, 1, 1)
	run := putRun(t, there, "b", 1, 3, 2.5)
	tamper(t, there, "INSERT INTO faults VALUES (?, 1, 1, 'a panic')", run)
	must(t, there.PutArtifact(ctx, Artifact{run, "out.gguf", "gguf", "00ff", 1500}))
	id, new, err := here.Merge(ctx, there, run)
	must(t, err)
	if id != 3 || !new {
		t.Errorf("run %d, %v", id, new)
	}
	tables := []string{"generation_costs", "operator_counts"} // kept by triggers
	tables = append(tables, runTables...)
	var all []string
	for _, name := range column(t, ask(t, there, `SELECT DISTINCT m.name FROM sqlite_schema m JOIN pragma_table_info(m.name) c
		WHERE m.type = 'table' AND c.name = 'run_id'`, nil), "name") {
		all = append(all, name.(string))
	}
	// Attempts are of processes on a database, and stay there.
	if want := append(slices.Clone(tables), "attempts"); !slices.Equal(slices.Sorted(slices.Values(all)), slices.Sorted(slices.Values(want))) {
		t.Fatalf("tables of runs are %v, and copied are %v", all, tables)
	}
	for _, table := range append(tables, "runs") {
		key := "run_id"
		if table == "runs" {
			key = "id"
		}
		query := fmt.Sprintf("SELECT * FROM %s WHERE %s = :id", table, key)
		was, is := ask(t, there, query, map[string]any{"id": run}), ask(t, here, query, map[string]any{"id": id})
		if len(was.Rows) == 0 || len(was.Rows) != len(is.Rows) {
			t.Errorf("%s: %d rows, want %d", table, len(is.Rows), len(was.Rows))
			continue
		}
		for i := range was.Rows {
			for k, name := range was.Columns {
				if name != key && !(table == "events" && name == "id") && was.Rows[i][k] != is.Rows[i][k] {
					t.Errorf("%s row %d: %s is %v, want %v", table, i, name, is.Rows[i][k], was.Rows[i][k])
				}
			}
		}
	}
	if got, want := fingerprintOf(t, here, id), fingerprintOf(t, there, run); got != want {
		t.Errorf("fingerprint %s, want %s", got, want)
	}
	wantProblems(t, here)
}

func fingerprintOf(t *testing.T, db *DB, run int64) string {
	t.Helper()
	f, err := db.FingerprintRun(ctx, run)
	must(t, err)
	return f
}

// Runs that go on, that were killed, and that were set aside.
func TestMergeUnfinished(t *testing.T) {
	here, there := newTest(t), newTest(t)
	run, err := there.BeginRun(ctx, testRun("a", 1))
	must(t, err)
	putGeneration(t, there, run, 0, 1, 1)
	id, new, err := here.Merge(ctx, there, run)
	must(t, err)
	if r, err := here.Run(ctx, id); err != nil || !new || r.Status != Interrupted {
		t.Errorf("a run that was running is %s, %v", r.Status, err)
	}
	if again, new, err := here.Merge(ctx, there, run); err != nil || new || again != id {
		t.Errorf("again: run %d, new %v, %v", again, new, err)
	}

	// The two go on, each for itself, the same way and differently far.
	must(t, here.ResumeRun(ctx, id))
	putGeneration(t, here, id, 1, 1, 1)
	if _, _, err := here.Merge(ctx, there, run); !errors.Is(err, ErrConflict) || !strings.Contains(err.Error(), "slices: generation 1, stage 0: it is missing") {
		t.Errorf("%v, want ErrConflict", err)
	}
	before := fingerprintOf(t, here, id)
	must(t, there.SupersedeRuns(ctx, run))
	aside, new, err := here.Merge(ctx, there, run)
	must(t, err)
	if r, err := here.Run(ctx, aside); err != nil || !new || !r.Superseded {
		t.Errorf("a run that was set aside is %+v, %v", r, err)
	}
	if fingerprintOf(t, here, id) != before {
		t.Error("the run that was here has changed")
	}
	wantProblems(t, here)
}

func TestMergeRefuses(t *testing.T) {
	for _, c := range []struct {
		name, change string // to what is merged
		want         error
		says         string
	}{
		{"another score", "UPDATE scores SET fitness = 0.5 WHERE slice = 4 AND candidate = 6", ErrConflict, "run 1 is of the same experiment and seed; from it to the other: scores: generation 1, stage 1, candidate 6: fitness was"},
		{"another model", "UPDATE runs SET model_hash = 'x'", ErrConflict, "run: model_hash was beef and is x"},
		{"fewer candidates", "DELETE FROM scores WHERE candidate = 9; DELETE FROM candidates WHERE id = 9", ErrConflict, "candidates: generation 2, id 9: it is missing"},
		{"damaged", "UPDATE runs SET seed = 7; UPDATE scores SET tokens = 1 WHERE slice = 3", ErrDamaged, "the rows of generation 0 have changed"},
		{"damaged seal", "UPDATE runs SET superseded = 1; UPDATE results SET kl = 0 WHERE role = 'winner'", ErrDamaged, "seal"},
		{"memo", "UPDATE runs SET superseded = 1; UPDATE scores SET ppl = 7; UPDATE runs SET status = 'interrupted'; DELETE FROM generations", ErrConflict, "which has the same key"},
	} {
		t.Run(c.name, func(t *testing.T) {
			here, there := newTest(t), newTest(t)
			id := putRun(t, here, "a", 1, 3, 1)
			run := putRun(t, there, "a", 1, 3, 1)
			before := fingerprintOf(t, here, id)
			tamper(t, there, "PRAGMA foreign_keys = 0")
			tamper(t, there, c.change)
			_, _, err := here.Merge(ctx, there, run)
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, want %v that says %q", err, c.want, c.says)
			}
			if runs, err := here.Runs(ctx); err != nil || len(runs) != 1 || fingerprintOf(t, here, id) != before {
				t.Errorf("what was refused left %d runs, %v", len(runs), err)
			}
			wantProblems(t, here)
		})
	}
	here, there := newTest(t), newTest(t)
	if _, _, err := here.Merge(ctx, there, 1); !errors.Is(err, ErrNotFound) {
		t.Errorf("no run: %v", err)
	}
	reader, err := OpenReadOnly(ctx, here.Path())
	must(t, err)
	defer reader.Close()
	run := putRun(t, there, "a", 1, 1, 1)
	if _, _, err := reader.Merge(ctx, there, run); !errors.Is(err, ErrReadOnly) {
		t.Errorf("into a database that is open for reading: %v", err)
	}
}

// What is merged may be open for reading only, in the middle of a write-ahead log.
func TestMergeFromReader(t *testing.T) {
	path := filepath.Join(t.TempDir(), "there.db")
	there := openTest(t, path)
	run := putRun(t, there, "a", 1, 2, 1)
	reader, err := OpenReadOnly(ctx, path)
	must(t, err)
	defer reader.Close()
	here := newTest(t)
	id, _, err := here.Merge(ctx, reader, run)
	must(t, err)
	if fingerprintOf(t, here, id) != fingerprintOf(t, there, run) {
		t.Error("the copy has another fingerprint")
	}
}

package store

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"
)

func TestRunLife(t *testing.T) {
	db := newTest(t)
	want := testRun("a", 1)
	run, err := db.BeginRun(ctx, want)
	must(t, err)
	if _, err := db.BeginRun(ctx, want); !errors.Is(err, ErrRunExists) {
		t.Errorf("second begin: %v, want ErrRunExists", err)
	}
	if _, err := db.FindRun(ctx, "a", 2); !errors.Is(err, ErrNotFound) {
		t.Errorf("another seed: %v, want ErrNotFound", err)
	}
	want.ID, want.Status, want.CreatedAt = run, Running, time.Date(2025, 1, 2, 3, 4, 6, 0, time.UTC)
	if got, err := db.FindRun(ctx, "a", 1); err != nil || got != want {
		t.Errorf("got %+v, %v\nwant %+v", got, err, want)
	}

	must(t, db.InterruptRun(ctx, run, 10))
	if err := db.InterruptRun(ctx, run, 10); !errors.Is(err, ErrRunState) {
		t.Errorf("second interrupt: %v, want ErrRunState", err)
	}
	if err := db.RecordBatch(ctx, run, BatchRecord{}); !errors.Is(err, ErrRunState) {
		t.Errorf("batch of an interrupted run: %v, want ErrRunState", err)
	}
	must(t, db.ResumeRun(ctx, run))
	must(t, db.FailRun(ctx, run, 5, errors.New("out of memory")))
	if got, err := db.Run(ctx, run); err != nil || got.Status != Failed || got.Error != "out of memory" || got.Seconds != 15 {
		t.Errorf("failed run: %+v, %v", got, err)
	}
	must(t, db.ResumeRun(ctx, run))
	must(t, db.ResumeRun(ctx, run)) // the process died
	if err := db.FinishRun(ctx, run, 1); !errors.Is(err, ErrRunState) {
		t.Errorf("finish without a winner: %v, want ErrRunState", err)
	}
	if got, _ := db.Run(ctx, run); got.Status != Running || got.Error != "" {
		t.Errorf("after a refused finish: %+v", got)
	}
	putResults(t, db, run, 1, 0)
	must(t, db.FinishRun(ctx, run, 1))
	if got, err := db.Run(ctx, run); err != nil || got.Status != Finished || got.FinishedAt.IsZero() || got.Seconds != 16 {
		t.Errorf("finished run: %+v, %v", got, err)
	}
	if err := db.ResumeRun(ctx, run); !errors.Is(err, ErrRunState) {
		t.Errorf("resume of a finished run: %v, want ErrRunState", err)
	}
	if err := db.ResumeRun(ctx, 99); !errors.Is(err, ErrNotFound) {
		t.Errorf("resume of no run: %v, want ErrNotFound", err)
	}
	wantProblems(t, db)
}

func TestSupersede(t *testing.T) {
	db := newTest(t)
	old := putRun(t, db, "a", 1, 2, 1)
	alone, err := db.Fingerprint(ctx)
	must(t, err)
	must(t, db.SupersedeRuns(ctx, old))
	fresh := putRun(t, db, "a", 1, 2, 1)
	if again, err := db.Fingerprint(ctx); err != nil || again != alone {
		t.Errorf("a superseded run counts in the fingerprint: %v", err)
	}
	for _, q := range Queries() {
		table, err := db.Query(ctx, q.Name, nil)
		must(t, err)
		for i, column := range table.Columns {
			for _, row := range table.Rows {
				if column == "run_id" && row[i] != fresh {
					t.Errorf("%s shows run %v", q.Name, row[i])
				}
			}
		}
	}
	if r, err := db.Run(ctx, old); err != nil || !r.Superseded {
		t.Errorf("old run: %+v, %v", r, err)
	}
	unfinished, err := db.BeginRun(ctx, testRun("b", 1))
	must(t, err)
	must(t, db.SupersedeRuns(ctx, unfinished))
	if r, _ := db.Run(ctx, unfinished); r.Status != Interrupted {
		t.Errorf("superseded run is %s", r.Status)
	}
	wantProblems(t, db)
}

func TestSpaceAndResults(t *testing.T) {
	db := newTest(t)
	run, err := db.BeginRun(ctx, testRun("a", 1))
	must(t, err)
	sites, levels := testSpace()
	levels[2].RelativeError = math.NaN()
	for range 2 {
		must(t, db.PutSpace(ctx, run, sites, levels))
		putResults(t, db, run, 1, 0)
	}
	gotSites, gotLevels, err := db.Space(ctx, run)
	must(t, err)
	if len(gotSites) != testSites || gotSites[1] != sites[1] || len(gotLevels) != testSites*testLevels || !sameLevel(gotLevels[2], levels[2]) {
		t.Errorf("space comes back as %+v, %+v", gotSites, gotLevels)
	}
	levels[0].Bytes++
	if err := db.PutSpace(ctx, run, sites, levels); !errors.Is(err, ErrConflict) {
		t.Errorf("changed level: %v, want ErrConflict", err)
	}
	winner, err := db.Result(ctx, run, Winner)
	must(t, err)
	winner.KL += 1e-15
	if err := db.PutResult(ctx, run, winner); !errors.Is(err, ErrConflict) {
		t.Errorf("changed result: %v, want ErrConflict", err)
	}
	if _, err := db.Result(ctx, 99, Winner); !errors.Is(err, ErrNotFound) {
		t.Errorf("no run: %v, want ErrNotFound", err)
	}
	a := Artifact{run, "out.gguf", "gguf", "00ff", 1500}
	must(t, db.PutArtifact(ctx, a))
	a.Bytes++
	must(t, db.PutArtifact(ctx, a))
	if got, err := db.Artifacts(ctx); err != nil || len(got) != 1 || got[0] != a {
		t.Errorf("artifacts %+v, %v", got, err)
	}
}

func TestExtend(t *testing.T) {
	db := newTest(t)
	run := putRun(t, db, "a", 1, 2, 1)
	must(t, db.ExtendRun(ctx, run, `{"name":"more"}`, "decaf"))
	if r, err := db.Run(ctx, run); err != nil || r.Status != Running || r.ConfigHash != "decaf" || !r.FinishedAt.IsZero() {
		t.Errorf("%+v, %v", r, err)
	}
	if results, err := db.Results(ctx, run); err != nil || len(results) > 0 {
		t.Errorf("results of the shorter search are left: %v, %v", results, err)
	}
	events := ask(t, db, "SELECT message FROM events WHERE kind = 'extended'", nil)
	if len(events.Rows) != 1 || !strings.Contains(events.Rows[0][0].(string), "was finished with settings "+testRun("a", 1).ConfigHash+"; candidate 6 had won with a KL of 0.101") {
		t.Errorf("events: %v", events.Rows)
	}
	wantProblems(t, db)
	putGeneration(t, db, run, 2, 1, 1)
	putResults(t, db, run, 1, 9)
	must(t, db.FinishRun(ctx, run, 1))
	wantProblems(t, db)

	other := newTest(t)
	whole := testRun("a", 1)
	whole.ConfigHash = "decaf"
	id, err := other.BeginRun(ctx, whole)
	must(t, err)
	sites, levels := testSpace()
	must(t, other.PutSpace(ctx, id, sites, levels))
	for g := range 3 {
		putGeneration(t, other, id, g, 1, 1)
	}
	putResults(t, other, id, 1, 9)
	must(t, other.FinishRun(ctx, id, 1))
	want, err := other.Fingerprint(ctx)
	must(t, err)
	if got, err := db.Fingerprint(ctx); err != nil || got != want {
		t.Errorf("fingerprint %s, %v, want %s", got, err, want)
	}

	// Extending must not seal what somebody has changed.
	tamper(t, db, "UPDATE scores SET fitness = fitness + 1 WHERE candidate = 2")
	if err := db.ExtendRun(ctx, run, "{}", "tea"); !errors.Is(err, ErrDamaged) {
		t.Errorf("after tampering: %v, want ErrDamaged", err)
	}
	if r, _ := db.Run(ctx, run); r.ConfigHash != "decaf" || r.Status != Finished {
		t.Errorf("a refused extension left %+v", r)
	}
	if err := db.ExtendRun(ctx, 99, "{}", "tea"); !errors.Is(err, ErrNotFound) {
		t.Errorf("no run: %v, want ErrNotFound", err)
	}
}

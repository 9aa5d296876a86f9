//go:build unix

package cmd_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/finch-llm/finch/internal/filelock"
)

// halves are two folders with the database of one experiment of testdata/two.toml each.
func halves(t *testing.T) (depth, joint string) {
	t.Helper()
	finishedRun(t)
	depth, joint = experiments(t), experiments(t)
	done(t, depth, "run", "two.toml", "--only", "depth")
	done(t, joint, "run", "two.toml", "--only", "joint")
	return depth, joint
}

// TestMerge joins what was run apart: killed in between, again, and with what is there already.
func TestMerge(t *testing.T) {
	dir, other := halves(t)
	there := filepath.Join(other, "finch.db")
	before, err := os.ReadFile(there)
	if err != nil {
		t.Fatal(err)
	}
	killedAt(t, "merge.written", dir, "db", "merge", "finch.db", there)
	if r := done(t, dir, "status"); strings.Contains(r.stdout, "joint") {
		t.Errorf("a transaction that was not committed left\n%s", r.stdout)
	}
	killedAt(t, "merge.committed", dir, "db", "merge", "finch.db", there)
	if r := done(t, dir, "db", "merge", "finch.db", there); r.stdout != "run 1 (joint, seed 1) is here already, as run 2\n" {
		t.Errorf("again: %s", r.stdout)
	}
	if after, err := os.ReadFile(there); err != nil || string(after) != string(before) {
		t.Errorf("merge has changed the database that it reads, %v", err)
	}
	if got := fingerprint(t, dir); got != finished.fingerprint {
		t.Errorf("fingerprint %swant %s", got, finished.fingerprint)
	}
	done(t, dir, "check")
	if r := done(t, dir, "best"); r.stdout != finished.run.stdout {
		t.Errorf("best:\n%s\nwant:\n%s", r.stdout, finished.run.stdout)
	}
	if r := done(t, dir, "run", "two.toml"); r.stderr != "all 2 runs are done already; --fresh starts anew\n" {
		t.Errorf("run: %s", r.stderr)
	}
	done(t, dir, "export", "joint", "-o", "joint.packed") // its levels are built again
}

func TestMergeConflicts(t *testing.T) {
	dir := copyOf(t, finishedRun(t))
	other := t.TempDir()
	write(t, other, "two.toml", strings.Replace(twoExperiments(t), "generations = 12", "generations = 2", 1))
	done(t, other, "run", "two.toml", "--only", "depth")
	r := finch(t, dir, "db", "merge", "finch.db", filepath.Join(other, "finch.db"))
	if want := "run 1 (depth, seed 1) is left out: "; r.code != 1 || !strings.HasPrefix(r.stdout, want) || !strings.Contains(r.stdout, "from it to the other: run: config_hash was ") {
		t.Errorf("exit code %d, %s", r.code, r.stdout)
	}
	r.explains(t, "1 of 1 runs were not merged", "--fresh")
	if fingerprint(t, dir) != finished.fingerprint {
		t.Error("the database has changed")
	}

	// Set aside there, it has a place here.
	edit(t, other, "UPDATE runs SET superseded = 1")
	if r := done(t, dir, "db", "merge", "finch.db", filepath.Join(other, "finch.db")); r.stdout != "run 1 (depth, seed 1) is run 3 here\n" {
		t.Errorf("set aside: %s", r.stdout)
	}
	if fingerprint(t, dir) != finished.fingerprint {
		t.Error("a run that was set aside counts")
	}
	done(t, dir, "check")
}

func TestMergeRefuses(t *testing.T) {
	dir, other := copyOf(t, finishedRun(t)), copyOf(t, finishedRun(t))
	there := filepath.Join(other, "finch.db")
	finch(t, dir, "db", "merge", "finch.db").fails(t, 2, "2 arg")
	finch(t, dir, "db", "merge", "finch.db", "nowhere.db").fails(t, 2, "nowhere.db")
	finch(t, dir, "db", "merge", "nowhere.db", "finch.db").fails(t, 2, "nowhere.db")
	finch(t, dir, "db", "merge", "finch.db", "./finch.db").fails(t, 2, "one file")
	finch(t, dir, "db", "merge", "finch.db", "two.toml").fails(t, 1, "two.toml", "not a finch database")
	lock, err := filelock.Acquire(filepath.Join(dir, "finch.db.lock"))
	if err != nil {
		t.Fatal(err)
	}
	finch(t, dir, "db", "merge", "finch.db", there).fails(t, 1, "another finch is running on finch.db")
	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}

	// What another finch is working on is left for later.
	edit(t, other, "UPDATE runs SET status = 'running', experiment = 'later' WHERE id = 1")
	if lock, err = filelock.Acquire(there + ".lock"); err != nil {
		t.Fatal(err)
	}
	if r := done(t, dir, "db", "merge", "finch.db", there); r.stdout != "run 1 (later, seed 1) is running there: merge again when it has ended\nrun 2 (joint, seed 1) is here already, as run 2\n" {
		t.Errorf("%s", r.stdout)
	}
	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}

	edit(t, other, "PRAGMA user_version = 99")
	finch(t, dir, "db", "merge", "finch.db", there).fails(t, 1, "schema 99")
	edit(t, other, "PRAGMA user_version = 4")
	finch(t, dir, "db", "merge", "finch.db", there).fails(t, 1, "older schema")
	if fingerprint(t, dir) != finished.fingerprint {
		t.Error("the database has changed")
	}
}

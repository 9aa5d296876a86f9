//go:build unix

package cmd_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/finch-llm/finch/internal/failpoint"
)

// More of it: go test ./cmd -run TestFailpoints -v -args -passes 10
var passes = flag.Int("passes", 1, "TestFailpoints kills a process at its first so many passes of each point")

// startAt begins a finch that ends, or hangs, at a point.
func startAt(t *testing.T, point, dir string, args ...string) *process {
	t.Helper()
	return startWith(t, []string{failpoint.Variable + "=" + point}, dir, args...)
}

// killedAt runs finch until it ends at a point, and fails if it does not get there.
func killedAt(t *testing.T, point, dir string, args ...string) {
	t.Helper()
	if r := startAt(t, point, dir, args...).end(); r.code != -1 {
		t.Fatalf("%s: finch %s was not killed: exit code %d\n%s", point, strings.Join(args, " "), r.code, r.stderr)
	}
}

// committed lists the scores that are in the database with the time that each took, which no two evaluations share.
func committed(t *testing.T, dir string) []string {
	t.Helper()
	if _, err := os.Stat(dir + "/finch.db"); err != nil {
		return nil
	}
	r := finch(t, dir, "query", "SELECT run_id, slice, candidate, fitness, kl, ppl, seconds FROM scores ORDER BY 1, 2, 3", "--format", "csv")
	if r.code != 0 { // killed while the database was made
		return nil
	}
	return strings.Split(strings.TrimSpace(r.stdout), "\n")[1:]
}

// keeps fails if a score is gone, or was computed again.
func keeps(t *testing.T, what string, before, after []string) {
	t.Helper()
	for _, score := range before {
		if _, ok := slices.BinarySearch(slices.Sorted(slices.Values(after)), score); !ok {
			t.Errorf("%s: the committed score %s is gone", what, score)
		}
	}
}

// nothingRuns fails if a run is left as running in the database.
func nothingRuns(t *testing.T, dir string) {
	t.Helper()
	if r := done(t, dir, "query", "SELECT count(*) AS n FROM runs WHERE status = 'running'", "--format", "csv"); r.stdout != "n\n0\n" {
		t.Errorf("runs that are left running: %s", r.stdout)
	}
}

// TestFailpoints kills one run after the other at every point that a search passes, in the order in which it does, and
// wants in the end what a run leaves that nobody killed.
func TestFailpoints(t *testing.T) {
	finishedRun(t)
	dir := experiments(t)
	var kept []string
	kill := func(step failpoint.Step, args ...string) {
		t.Helper()
		second := failpoint.Committed
		if slices.Contains(failpoint.Files(), step) {
			second = failpoint.Renamed
		}
		for _, phase := range []failpoint.Phase{failpoint.Written, second} {
			for pass := range *passes {
				if pass > 0 && !slices.Contains([]failpoint.Step{failpoint.Batch, failpoint.File}, step) {
					break // a process passes the others once or twice
				}
				point := fmt.Sprintf("%s.%s:%d", step, phase, pass+1)
				killedAt(t, point, dir, append([]string{"run", "two.toml"}, args...)...)
				now := committed(t, dir)
				keeps(t, point, kept, now)
				kept = now
			}
		}
	}
	for _, step := range []failpoint.Step{failpoint.Migration, failpoint.Begin, failpoint.Space, failpoint.Attempt, failpoint.Batch} {
		kill(step, "--only", "depth")
	}
	kill(failpoint.Stop, "--only", "depth", "--time-limit", "1ns")
	for _, step := range []failpoint.Step{failpoint.Generation, failpoint.Resume, failpoint.Result} {
		kill(step, "--only", "depth")
	}
	kill(failpoint.File, "--only", "joint")
	kill(failpoint.Batch, "--only", "joint")
	kill(failpoint.Finish, "--only", "depth")
	wantSame(t, dir, "run", "two.toml")
	keeps(t, "the end", kept, committed(t, dir))
	nothingRuns(t, dir)
}

// TestKilledInOneBatch kills process after process in the same batch: no more than ten, and whatever they were killed by, it is not held
// against the candidates.
func TestKilledInOneBatch(t *testing.T) {
	finishedRun(t)
	dir := experiments(t)
	for range 10 {
		killedAt(t, "attempt.committed", dir, "run", "two.toml")
	}
	r := finch(t, dir, "run", "two.toml")
	if r.code != 1 || !strings.Contains(r.stderr, "finch: 10 processes in a row were killed while they scored generation 0 stage 0") {
		t.Errorf("exit code %d\n%s", r.code, r.stderr)
	}
	if got := done(t, dir, "query", "SELECT count(*) AS n FROM runs WHERE status = 'failed' AND error LIKE '10 processes in a row were killed %'", "--format", "csv").stdout; got != "n\n1\n" {
		t.Errorf("runs that failed for that reason: %s", got)
	}
	for range 2 {
		killedAt(t, "attempt.committed", dir, "run", "two.toml")
	}
	wantSame(t, dir, "run", "two.toml")
	if got := done(t, dir, "query", "SELECT message FROM events WHERE kind = 'fault'", "--format", "csv").stdout; got != "message\ngeneration 0 stage 0: 2 processes were killed: each candidate is scored by itself\n" {
		t.Errorf("events: %s", got)
	}
	nothingRuns(t, dir)
}

// TestFailpointsOfFresh kills the command that sets runs aside.
func TestFailpointsOfFresh(t *testing.T) {
	dir := copyOf(t, finishedRun(t))
	before := committed(t, dir)
	killedAt(t, "supersede.written", dir, "run", "two.toml", "--fresh")
	if fingerprint(t, dir) != finished.fingerprint {
		t.Error("the runs were set aside by a transaction that was not committed")
	}
	killedAt(t, "supersede.committed", dir, "run", "two.toml", "--fresh")
	wantSame(t, dir, "run", "two.toml")
	keeps(t, "set aside", before, committed(t, dir))
	nothingRuns(t, dir)
}

// TestFailpointsOfExtending kills runs that go on with more generations.
func TestFailpointsOfExtending(t *testing.T) {
	more := strings.Replace(twoExperiments(t), "generations = 12", "generations = 16", 1)
	whole := copyOf(t, finishedRun(t))
	write(t, whole, "two.toml", more)
	done(t, whole, "run", "two.toml", "--only", "depth", "--fresh")
	want := done(t, whole, "query", "SELECT chain FROM generations JOIN runs ON id = run_id WHERE superseded = 0 AND experiment = 'depth'", "--format", "csv").stdout

	dir := copyOf(t, finishedRun(t))
	write(t, dir, "two.toml", more)
	before := committed(t, dir)
	for _, point := range []string{"extend.written", "extend.committed"} {
		killedAt(t, point, dir, "run", "two.toml", "--only", "depth")
		done(t, dir, "check")
	}
	done(t, dir, "run", "two.toml", "--only", "depth")
	done(t, dir, "check")
	if got := done(t, dir, "query", "SELECT chain FROM generations JOIN runs ON id = run_id WHERE superseded = 0 AND experiment = 'depth'", "--format", "csv").stdout; got != want {
		t.Errorf("the chain is\n%swant\n%s", got, want)
	}
	keeps(t, "extended", before, committed(t, dir))
	nothingRuns(t, dir)
}

// toSchema2 takes a database back to what finch once wrote.
const toSchema2 = `
	ALTER TABLE runs DROP COLUMN engine; ALTER TABLE runs DROP COLUMN architecture;
	DROP TRIGGER candidate_counted; DROP TRIGGER score_counted; DROP TRIGGER generation_counted;
	DROP VIEW cost; DROP VIEW comparisons; DROP VIEW mutations; DROP TABLE operator_counts; DROP TABLE generation_costs; CREATE VIEW cost AS SELECT 1;
	CREATE INDEX scores_by_candidate ON scores (run_id, candidate);
	DROP TABLE attempts; DROP TABLE faults;
	DROP INDEX scores_failed; DROP INDEX candidates_infeasible;
	DROP INDEX scores_by_key; ALTER TABLE scores DROP COLUMN key;
	PRAGMA user_version = 2`

// TestFailpointsOfMigration kills what brings a database of schema 2 up to date.
func TestFailpointsOfMigration(t *testing.T) {
	dir := copyOf(t, finishedRun(t))
	before := committed(t, dir)
	edit(t, dir, toSchema2)
	for _, point := range []string{"backup.written", "backup.renamed", "migration.written", "migration.committed"} {
		killedAt(t, point, dir, "run", "two.toml")
	}
	wantSame(t, dir, "run", "two.toml")
	keeps(t, "migrated", before, committed(t, dir))
	if files := names(t, dir); !strings.Contains(files, "finch.db.bak-v2") {
		t.Errorf("no copy of the old database among %s", files)
	}
}

// TestFailpointsOfExport kills what writes a winner: the name has nothing, or all of it.
func TestFailpointsOfExport(t *testing.T) {
	dir := copyOf(t, finishedRun(t))
	done(t, dir, "export", "depth", "--output", "whole.finch")
	for _, point := range []string{"file.written", "file.renamed", "note.written", "note.committed"} {
		killedAt(t, point, dir, "export", "depth", "--output", "killed.finch")
		_, err := os.Stat(dir + "/killed.finch")
		if there := err == nil; there != (point != "file.written") {
			t.Errorf("%s: the file is there: %v", point, there)
		}
		if point == "file.written" {
			continue
		}
		if !sameFile(t, dir+"/killed.finch", dir+"/whole.finch") {
			t.Errorf("%s: the file is not whole", point)
		}
		if err := os.Remove(dir + "/killed.finch"); err != nil {
			t.Fatal(err)
		}
	}
	for _, point := range []string{"folder.written", "folder.renamed"} {
		killedAt(t, point, dir, "export", "depth", "--format", "safetensors", "--output", "folder")
		_, err := os.Stat(dir + "/folder")
		if there := err == nil; there != (point == "folder.renamed") {
			t.Errorf("%s: the folder is there: %v", point, there)
		}
	}
	done(t, dir, "export", "depth", "--output", "killed.finch")
	if !sameFile(t, dir+"/killed.finch", dir+"/whole.finch") {
		t.Error("the file differs")
	}
	if fingerprint(t, dir) != finished.fingerprint {
		t.Error("the fingerprint has changed")
	}
}

func sameFile(t *testing.T, a, b string) bool {
	t.Helper()
	x, err := os.ReadFile(a)
	if err != nil {
		t.Fatal(err)
	}
	y, err := os.ReadFile(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(x) == string(y)
}

// TestSecondInterrupt sends Ctrl-C to a process that does not hear it, and again.
func TestSecondInterrupt(t *testing.T) {
	dir := experiments(t)
	p := startAt(t, "batch.committed:3:hang", dir, "run", "two.toml")
	if !p.reaches(3) {
		t.Fatalf("the run ended too early:\n%s", p.end().stderr)
	}
	p.Process.Signal(os.Interrupt)
	time.Sleep(300 * time.Millisecond)
	if !p.running() {
		t.Fatalf("the first Ctrl-C ended a process that hangs: %d", p.end().code)
	}
	for p.running() {
		p.Process.Signal(os.Interrupt)
		time.Sleep(50 * time.Millisecond)
	}
	p.end()
	if status := p.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() || status.Signal() != syscall.SIGINT {
		t.Errorf("ended by %v, want SIGINT", status)
	}
	before := committed(t, dir)
	if len(before) == 0 {
		t.Error("nothing is committed")
	}
	wantSame(t, dir, "run", "two.toml")
	keeps(t, "interrupted twice", before, committed(t, dir))
}

// TestTimeLimit gives a search no time: each command gets one batch further.
func TestTimeLimit(t *testing.T) {
	finishedRun(t)
	dir := experiments(t)
	for n := 1; n <= 2; n++ {
		r := finch(t, dir, "run", "two.toml", "--time-limit", "1ns")
		lines := strings.Split(strings.TrimSpace(r.stderr), "\n")
		const want = "finch: the time limit was reached (1ns): what was scored is in finch.db; the same command goes on from there"
		if r.code != 124 || r.stdout != "" || lines[len(lines)-1] != want {
			t.Fatalf("exit code %d, stdout %q, stderr:\n%s", r.code, r.stdout, r.stderr)
		}
		const query = "SELECT status, (SELECT count(*) FROM slices) AS slices FROM runs"
		if got := done(t, dir, "query", query, "--format", "csv").stdout; got != fmt.Sprintf("status,slices\ninterrupted,%d\n", n) {
			t.Errorf("after %d commands: %s", n, got)
		}
	}
	wantSame(t, dir, "run", "two.toml", "--time-limit", "1h")
	finch(t, dir, "run", "two.toml", "--time-limit", "-1s").fails(t, 2, "--time-limit -1s", "such as 6h")
}

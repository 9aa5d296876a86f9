//go:build unix

package cmd_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	_ "github.com/mattn/go-sqlite3"

	"github.com/finch-llm/finch/internal/failpoint"
	"github.com/finch-llm/finch/store"
)

// TestInterrupt sends the signal of Ctrl-C.
func TestInterrupt(t *testing.T) {
	whole := progressOf(finishedRun(t))
	for _, test := range []struct {
		name   string
		signal os.Signal
		moment float64
	}{
		{"search", os.Interrupt, 0.1 * whole},
		{"levels", syscall.SIGTERM, 0.45 * whole},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := experiments(t)
			p := start(t, dir, "run", "two.toml")
			if !p.reaches(test.moment) {
				t.Fatalf("the run ended too early:\n%s", p.end().stderr)
			}
			p.Process.Signal(test.signal)
			r := p.end()
			lines := strings.Split(strings.TrimSpace(r.stderr), "\n")
			const want = "finch: interrupted: what was scored is in finch.db; the same command goes on from there"
			if r.code != 130 || r.stdout != "" || lines[len(lines)-1] != want {
				t.Errorf("exit code %d, stdout %q, stderr:\n%s", r.code, r.stdout, r.stderr)
			}
			if status := done(t, dir, "status").stdout; strings.Contains(status, "running") {
				t.Errorf("nothing is running:\n%s", status)
			}
			wantSame(t, dir, "run", "two.toml")
		})
	}
}

// TestBegun resumes a run of which only the beginning was committed: the moment between two transactions that no kill
// would hit.
func TestBegun(t *testing.T) {
	dir := experiments(t)
	p := start(t, dir, "run", "two.toml")
	p.reaches(1)
	p.Process.Kill()
	p.end()
	edit(t, dir, "DELETE FROM generation_costs; DELETE FROM operator_counts; DELETE FROM generations; DELETE FROM scores; DELETE FROM slices; DELETE FROM candidates; DELETE FROM levels; DELETE FROM sites")
	wantSame(t, dir, "run", "two.toml")
}

// TestSecond starts a run beside one.
func TestSecond(t *testing.T) {
	dir := experiments(t)
	p := start(t, dir, "run", "two.toml")
	if !p.reaches(1) {
		t.Fatalf("the run ended too early:\n%s", p.end().stderr)
	}
	second := finch(t, dir, "run", "two.toml")
	reader := finch(t, dir, "status")
	p.Process.Kill()
	if p.end().code != -1 {
		t.Skip("the first run ended before the second began")
	}
	if status := done(t, dir, "status").stdout; strings.Contains(status, "running") || !strings.Contains(status, "interrupted") {
		t.Errorf("the run was killed:\n%s", status)
	}
	second.fails(t, 1, "another finch is running on finch.db", fmt.Sprintf("process %d", p.Process.Pid), "wait for it, or use another --db")
	if reader.code != 0 || !strings.Contains(reader.stdout, "running") {
		t.Errorf("status beside the run: exit code %d\n%s%s", reader.code, reader.stdout, reader.stderr)
	}
}

// TestAgain gives the command again when all is done.
func TestAgain(t *testing.T) {
	dir := finishedRun(t)
	r := done(t, dir, "run", "two.toml")
	if r.stdout != finished.run.stdout || r.stderr != "all 2 runs are done already; --fresh starts anew\n" {
		t.Errorf("stdout:\n%s\nstderr:\n%s", r.stdout, r.stderr)
	}
	if fingerprint(t, dir) != finished.fingerprint {
		t.Error("the fingerprint has changed")
	}
}

// TestFresh sets all runs aside before it begins the first anew, so that an interruption cannot leave old ones among them.
func TestFresh(t *testing.T) {
	dir := copyOf(t, finishedRun(t))
	p := start(t, dir, "run", "two.toml", "--fresh", "--no-memo")
	for p.running() && !strings.Contains(done(t, dir, "query", "SELECT count(*) AS n FROM runs WHERE status = 'running'", "--format", "csv").stdout, "1") {
		time.Sleep(time.Millisecond)
	}
	p.Process.Signal(os.Interrupt)
	r := p.end()
	if r.code != 130 || !strings.HasSuffix(r.stderr, "; the same command without --fresh goes on from there\n") {
		t.Errorf("exit code %d\n%s", r.code, r.stderr)
	}
	if status := done(t, dir, "status").stdout; strings.Contains(status, "finished") {
		t.Errorf("an old run is left:\n%s", status)
	}
	wantSame(t, dir, "run", "two.toml")
}

// TestMemo begins anew beside what was scored before, with the memo and without: only the work is another.
func TestMemo(t *testing.T) {
	dir := copyOf(t, finishedRun(t))
	for _, test := range []struct {
		args     []string
		computed string
	}{
		{[]string{"run", "two.toml", "--fresh"}, "0"},
		{[]string{"run", "two.toml", "--fresh", "--no-memo"}, "1"},
	} {
		wantSame(t, dir, test.args...)
		got := done(t, dir, "query", "SELECT DISTINCT computed_tokens * 1.0 / tokens AS computed FROM cost", "--format", "csv").stdout
		if got != "computed\n"+test.computed+"\n" {
			t.Errorf("%v: share of tokens that were computed: %s", test.args, got)
		}
	}
}

// wantSame runs the experiments in a folder to their end, and wants what the uninterrupted run gave.
func wantSame(t *testing.T, dir string, args ...string) {
	t.Helper()
	finishedRun(t)
	r := done(t, dir, args...)
	if r.stdout != finished.run.stdout {
		t.Errorf("printed:\n%s\nwant:\n%s", r.stdout, finished.run.stdout)
	}
	if got := fingerprint(t, dir); got != finished.fingerprint {
		t.Errorf("fingerprint %swant %s", got, finished.fingerprint)
	}
	if r := done(t, dir, "check"); !strings.HasPrefix(r.stdout, "finch.db is sound; 168 level files") {
		t.Errorf("check: %s", r.stdout)
	}
}

// process is a finch that runs meanwhile.
type process struct {
	*exec.Cmd
	ended  chan struct{}
	result func() result
}

func start(t *testing.T, dir string, args ...string) *process {
	t.Helper()
	return startWith(t, nil, dir, args...)
}

// startWith adds to the environment.
func startWith(t *testing.T, environment []string, dir string, args ...string) *process {
	t.Helper()
	c, r := command(t, dir, args...)
	c.Env = append(c.Environ(), environment...)
	return begin(t, c, r)
}

// telling prepares a finch that tells of the points that it passes.
func telling(t *testing.T, dir string, args ...string) (c *exec.Cmd, r func() result) {
	t.Helper()
	c, r = command(t, dir, args...)
	c.Env = append(c.Environ(), failpoint.Variable+"="+failpoint.Tell)
	return c, r
}

// startTold begins a finch that tells of the points that it passes.
func startTold(t *testing.T, dir string, args ...string) (*process, *points) {
	t.Helper()
	c, r := telling(t, dir, args...)
	told := &points{Writer: c.Stderr, told: make(chan string, 1<<16)}
	c.Stderr = told
	return begin(t, c, r), told
}

func begin(t *testing.T, c *exec.Cmd, r func() result) *process {
	t.Helper()
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{c, make(chan struct{}), r}
	go func() {
		c.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() { // after a failure
		c.Process.Kill()
		<-p.ended
	})
	return p
}

func (p *process) running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// reaches waits until the run in the process's folder is so far, and says whether the process still runs then.
func (p *process) reaches(moment float64) bool {
	for p.running() && progressOf(p.Dir) < moment {
		time.Sleep(2 * time.Millisecond)
	}
	return p.running()
}

func (p *process) end() result {
	<-p.ended
	return p.result()
}

// progressOf counts what a run has left in its folder: 1 for each batch of scores, 1 for 8 levels, 6 for the end of a
// search and 6 for the end of its measuring, which gives about equal times equal weights.
func progressOf(dir string) float64 {
	levels, _ := filepath.Glob(filepath.Join(dir, "finch.levels", "*.level"))
	progress := float64(len(levels)) / 8
	ctx := context.Background()
	db, err := store.OpenReadOnly(ctx, filepath.Join(dir, "finch.db"))
	if err != nil {
		return progress // there is none yet
	}
	defer db.Close()
	table, err := db.Query(ctx, `
		SELECT (SELECT count(*) FROM slices)
		     + 6 * (SELECT count(*) FROM runs JOIN generations ON run_id = id AND generation = json_extract(config, '$.search.generations'))
		     + 6 * (SELECT count(*) FROM runs WHERE status = 'finished')`, nil)
	if err != nil {
		return progress
	}
	return progress + float64(table.Rows[0][0].(int64))
}

// edit changes the database in a folder behind finch's back.
func edit(t *testing.T, dir, statements string) {
	t.Helper()
	db, err := sql.Open("sqlite3", filepath.Join(dir, "finch.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(statements); err != nil {
		t.Fatal(err)
	}
}

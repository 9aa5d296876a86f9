//go:build unix

package cmd_test

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"
)

// Longer: go test ./cmd -run BesideARun -v -timeout 0 -args -reading 5m
var reading = flag.Duration("reading", 3*time.Second, "how long readers look on in each of the tests of readers beside a run")

// othersRead is a program with an SQLite of its own: it holds one state of the database all the time, and looks at another ten times a
// second, for which it never waits. It ends with its input, and prints how often it looked and how many states it saw.
const othersRead = `
import select, sqlite3, sys
def connect():
    c = sqlite3.connect("file:finch.db?mode=ro", uri=True, isolation_level=None, timeout=5)
    c.execute("BEGIN")
    scores = c.execute("SELECT count(*) FROM scores").fetchone()[0] # a transaction begins with its first look
    c.execute("PRAGMA busy_timeout = 0")
    return c, scores
def look(c): return c.execute("SELECT count(*) FROM scores").fetchone()[0]
holder, held = connect()
reader, last = connect()
looks, states = 0, {last}
while not select.select([sys.stdin], [], [], 0.1)[0]:
    reader.execute("COMMIT")
    reader.execute("BEGIN")
    now = look(reader)
    assert now >= last, f"{now} scores after {last}"
    assert look(holder) == held, "a state that was held has changed"
    reader.execute("SELECT * FROM cost").fetchall()
    assert look(reader) == now, "two looks in one transaction differ"
    last = now
    looks += 1
    states.add(now)
print(looks, len(states))
`

// besideRuns has read called meanwhile runs write to the database in a folder, one after the other until the time is over. Their record must be
// that of a run nobody looked at: a reader that made them wait would make them fail, since it never lets go.
func besideRuns(t *testing.T, read func(dir string, stop <-chan struct{})) {
	t.Helper()
	finishedRun(t)
	dir := experiments(t)
	until := time.Now().Add(*reading)
	p := start(t, dir, "run", "two.toml")
	if !p.reaches(1) {
		t.Fatalf("the run ended too early:\n%s", p.end().stderr)
	}
	stop := make(chan struct{})
	var reader sync.WaitGroup
	reader.Go(func() { read(dir, stop) })
	defer reader.Wait()
	defer close(stop)
	if r := p.end(); r.code != 0 {
		t.Errorf("exit code %d\n%s", r.code, r.stderr)
	}
	wantSame(t, dir, "run", "two.toml")
	for time.Now().Before(until) {
		wantSame(t, dir, "run", "two.toml", "--fresh", "--no-memo")
	}
}

// TestQueriesBesideARun has finch itself look ten times a second.
func TestQueriesBesideARun(t *testing.T) {
	var seen []string
	besideRuns(t, func(dir string, stop <-chan struct{}) {
		for tick := time.NewTicker(time.Second / 10); ; {
			select {
			case <-stop:
				return
			case <-tick.C:
				r := finch(t, dir, "query", "SELECT count(*) FROM scores", "--format", "csv")
				if r.code != 0 {
					t.Errorf("exit code %d\n%s", r.code, r.stderr)
				}
				seen = append(seen, r.stdout)
			}
		}
	})
	states := len(slices.Compact(slices.Clone(seen)))
	t.Logf("looked %d times, saw %d states", len(seen), states)
	if len(seen) < 5 || states < 3 {
		t.Error("that is too little to tell")
	}
}

// TestOthersBesideARun has Python look, which brings another version of SQLite.
func TestOthersBesideARun(t *testing.T) {
	python := cmp.Or(os.Getenv("FINCH_PYTHON"), "python3")
	if out, err := exec.Command(python, "-c", "import sqlite3").CombinedOutput(); err != nil {
		t.Skipf("no Python with sqlite3, set FINCH_PYTHON to one: %v\n%s", err, out)
	}
	besideRuns(t, func(dir string, stop <-chan struct{}) {
		other := exec.Command(python, "-c", othersRead)
		other.Dir = dir
		input, output := io.Pipe()
		other.Stdin = input
		go func() {
			<-stop
			output.Close()
		}()
		var failed bytes.Buffer
		other.Stderr = &failed
		said, err := other.Output()
		if err != nil {
			t.Errorf("%v\n%s", err, failed.String())
			return
		}
		var looks, states int
		if _, err := fmt.Sscan(string(said), &looks, &states); err != nil || looks < 5 || states < 3 {
			t.Errorf("said %q: %v", said, err)
		}
		t.Logf("looked %d times, saw %d states", looks, states)
	})
}

//go:build linux

package store

import (
	"errors"
	"flag"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/finch-llm/finch/internal/disktest"
	"github.com/finch-llm/finch/internal/failpoint"
)

// More of it: go test ./store -run TestPowerLoss -v -args -cuts 3000 -seed 7
var (
	cuts = flag.Int("cuts", 150, "at how many moments TestPowerLoss takes the power away, on average")
	seed = flag.Uint64("seed", 0, "seed of the moments; 0: others each time")
)

// TestPowerLoss takes the power away while a process commits, with the log folded into the file now and then. Synced at every
// commit, as finch does, nothing that was committed is lost. Synced when the log is folded, which SQLite calls NORMAL, the last
// commits may be: then the database is as it was after an earlier one. That this does happen shows that the disk forgets.
func TestPowerLoss(t *testing.T) {
	const options = "FINCH_TEST_POWER_OPTIONS"
	if o := os.Getenv(options); o != "" {
		commitGenerations(t, "finch.db", o)
		return
	}
	program, err := filepath.Abs(os.Args[0])
	must(t, err)
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	for _, mode := range []string{"FULL", "NORMAL"} {
		full := mode == "FULL"
		t.Run(mode, func(t *testing.T) {
			dir := t.TempDir()
			disk, err := disktest.Load(dir)
			must(t, err)
			c := exec.Command(program, "-test.run=^TestPowerLoss$")
			c.Dir = dir
			c.Env = append(c.Environ(), failpoint.Variable+"="+failpoint.Tell, options+"="+strings.Replace(writeOptions, "FULL", mode, 1))
			var ops []disktest.Op
			err = disktest.Run(c, dir, func(op disktest.Op) syscall.Errno {
				ops = append(ops, op)
				return 0
			})
			if errors.Is(err, errors.ErrUnsupported) {
				t.Skip(err)
			}
			must(t, err)

			t.Logf("-seed %d: %d changes", *seed, len(ops))
			rng := rand.New(rand.NewPCG(*seed, 0))
			committed, lost := 0, 0
			for i, op := range ops {
				if op.Kind == disktest.Print {
					committed += strings.Count(string(op.Data), ".committed\n")
				}
				must(t, disk.Apply(op))
				if rng.Float64() >= float64(*cuts)/float64(len(ops)) {
					continue
				}
				crashed := filepath.Join(t.TempDir(), "crashed")
				must(t, disk.Crash(crashed, rng))
				switch found := commitsIn(t, filepath.Join(crashed, "finch.db")); {
				case found > committed+1:
					t.Errorf("after %v, change %d: %d commits, but only %d were begun", op, i+1, found, committed+1)
				case found < committed && full:
					t.Errorf("after %v, change %d: %d commits of %d", op, i+1, found, committed)
				case found < committed:
					lost++
				}
			}
			if !full && lost == 0 {
				t.Error("no commit was ever lost without syncs: this disk forgets nothing")
			}
		})
	}
}

// commitGenerations commits a run of some generations to a database that is opened with options.
func commitGenerations(t *testing.T, path, options string) {
	t.Helper()
	db := &DB{path: path, clock: clock(), write: openPool(path, options, 1)}
	must(t, db.migrate(ctx, latestSchema()))
	tamper(t, db, "PRAGMA wal_autocheckpoint = 40") // pages, so that the log is folded into the file every few commits
	putRun(t, db, "a", 1, 20, 1)
	must(t, db.Close())
}

// commitsIn counts the transactions of commitGenerations that are in a database, which must be sound.
func commitsIn(t *testing.T, path string) int {
	t.Helper()
	db, err := OpenReadOnly(ctx, path)
	if errors.Is(err, ErrMissing) || errors.Is(err, ErrOlderSchema) {
		return 0
	}
	must(t, err)
	defer db.Close()
	wantProblems(t, db)
	table, err := db.Query(ctx, `
		SELECT 1 + (SELECT count(*) FROM runs) + (SELECT count(DISTINCT run_id) FROM sites) + (SELECT count(*) FROM slices)
		     + (SELECT count(*) FROM generations) + (SELECT count(*) FROM results) + (SELECT count(*) FROM events)
		     + (SELECT count(*) FROM runs WHERE status = 'finished')`, nil)
	must(t, err)
	return int(table.Rows[0][0].(int64))
}

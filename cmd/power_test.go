//go:build linux

package cmd_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/finch-llm/finch/internal/disktest"
	"github.com/finch-llm/finch/store"
)

// More of it: go test ./cmd -run TestPowerLoss -v -args -cuts 3000 -seed 7
var (
	cuts   = flag.Int("cuts", 300, "at how many moments TestPowerLoss takes the power away")
	goneOn = flag.Int("resumed", 4, "after how many of them it goes on with the run")
)

// recording is all that some commands did to the files of a folder.
type recording struct {
	dir  string
	ops  []disktest.Op
	ends []int // how many ops there were when each command had ended
}

// run runs finch and records it, points told.
func (r *recording) run(t *testing.T, args ...string) {
	t.Helper()
	result := shown(t, r.dir, func(op disktest.Op) syscall.Errno {
		r.ops = append(r.ops, op)
		return 0
	}, args...)
	if result.code != 0 {
		t.Fatalf("finch %s: exit code %d\n%s", strings.Join(args, " "), result.code, result.stderr)
	}
	r.ends = append(r.ends, len(r.ops))
}

// shown runs finch and shows what it does to its files and what it tells of points.
func shown(t *testing.T, dir string, see func(disktest.Op) syscall.Errno, args ...string) result {
	t.Helper()
	c, r := telling(t, dir, args...)
	err := disktest.Run(c, dir, see)
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	if c.ProcessState == nil {
		t.Fatalf("finch %s: %v", strings.Join(args, " "), err)
	}
	return r()
}

// acknowledges says whether an op tells of a transaction that was committed.
func acknowledges(op disktest.Op) bool {
	return op.Kind == disktest.Print && strings.HasPrefix(string(op.Data), "failpoint ") && strings.HasSuffix(string(op.Data), ".committed\n")
}

// TestPowerLoss takes the power away from a disk at random moments of a search and two exports: of what was not synced, the
// disk keeps what it likes. All that was committed must be there, and each file whole or not at all.
func TestPowerLoss(t *testing.T) {
	finishedRun(t)
	rng := draws(t)
	r := recording{dir: experiments(t)}
	disk, database := load(t, r.dir), load(t, r.dir)
	start := time.Now()
	r.run(t, "run", "two.toml")
	r.run(t, "export", "depth", "--output", "whole.finch")
	r.run(t, "export", "depth", "--format", "safetensors", "--output", "folder")
	t.Logf("%d changes recorded in %v", len(r.ops), time.Since(start))

	history := []string{""} // what the database held after each commit
	var commits []int       // how many were acknowledged before each change
	for _, op := range r.ops {
		apply(t, disk, op)
		if strings.HasPrefix(op.Path, "finch.db") { // the other files take most of the time
			apply(t, database, op)
		}
		commits = append(commits, len(history)-1)
		if acknowledges(op) {
			if now := contents(t, now(t, database)); now != history[len(history)-1] {
				history = append(history, now)
			}
		}
	}
	commits = append(commits, len(history)-1)
	whole := tree(t, r.dir)
	if got := tree(t, now(t, disk)); !maps.Equal(got, whole) {
		t.Fatalf("what was recorded leads to %v, not to %v", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(whole)))
	}

	disk = load(t, experiments(t))
	next := 0
	for i := range *cuts {
		cut := int((float64(i) + rng.Float64()) / float64(*cuts) * float64(len(r.ops)+1))
		for ; next < cut; next++ {
			apply(t, disk, r.ops[next])
		}
		dir := filepath.Join(t.TempDir(), "crashed")
		if err := disk.Crash(dir, rng); err != nil {
			t.Fatal(err)
		}
		left := contents(t, dir)
		// The commit that the process was at may be there or not.
		if state := slices.Index(history, left); state < commits[cut] || state > commits[cut]+1 {
			t.Errorf("the database is as after %d commits of %d", state, commits[cut])
		}
		if left != "" {
			if r := inProcess("check", filepath.Join(dir, "finch.db")); r.code != 0 {
				t.Errorf("check: %s%s", r.stdout, r.stderr)
			}
		}
		for k, export := range []string{"whole.finch", "folder"} {
			got := tree(t, filepath.Join(dir, export))
			if absent := len(got) == 0; absent && cut >= r.ends[k+1] || !absent && !maps.Equal(got, tree(t, filepath.Join(r.dir, export))) {
				t.Errorf("%s is not whole: %v", export, slices.Sorted(maps.Keys(got)))
			}
		}
		if (i+1)*(*goneOn) / *cuts > i*(*goneOn) / *cuts {
			wantSame(t, dir, "run", "two.toml")
		}
		if t.Failed() {
			t.Fatalf("-seed %d: when the power was lost before change %d of %d: %v", *seed, cut+1, len(r.ops), names(t, dir))
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}
}

func load(t *testing.T, dir string) *disktest.Disk {
	t.Helper()
	disk, err := disktest.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return disk
}

func apply(t *testing.T, disk *disktest.Disk, op disktest.Op) {
	t.Helper()
	if err := disk.Apply(op); err != nil {
		t.Fatal(err)
	}
}

// now writes what processes see of a disk into a folder.
func now(t *testing.T, disk *disktest.Disk) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "now")
	if err := disk.Now(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// contents is a hash over every value in the database of a folder, empty if there is no database or none with tables.
func contents(t *testing.T, dir string) string {
	t.Helper()
	ctx := context.Background()
	db, err := store.OpenReadOnly(ctx, filepath.Join(dir, "finch.db"))
	if errors.Is(err, store.ErrMissing) || errors.Is(err, store.ErrOlderSchema) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	hash := sha256.New()
	ask := func(query string) [][]any {
		t.Helper()
		table, err := db.Query(ctx, query, nil)
		if err != nil {
			t.Fatal(err)
		}
		return table.Rows
	}
	for _, table := range ask("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY 1") {
		fmt.Fprintln(hash, table, ask(fmt.Sprintf("SELECT * FROM %s", table...)))
	}
	return fmt.Sprintf("%x", hash.Sum(nil))
}

// tree is what lies at a path: the content of each file, by its name below; nothing if nothing is there.
func tree(t *testing.T, path string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(path, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var content []byte
		if !e.IsDir() {
			content, err = os.ReadFile(name)
		}
		name, _ = filepath.Rel(path, name)
		files[name] = string(content)
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return files
}

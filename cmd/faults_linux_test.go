package cmd_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/finch-llm/finch/internal/disktest"
)

// Advice of the command line, see remedy, and of the store.
const (
	freeSpace   = "free space on"
	checkDisk   = "check th"
	permissions = "change its permissions"
	otherPlace  = "choose a place that can be written to"
	writable    = "make finch.db and its folder writable"
)

// TestFaults has changes of files fail from a moment of a run on, as they do on a disk that is full, broken, or not ours to write
// to. The run says which file it was and what to do; what is there is sound; and once the disk is as it should be, the same command
// ends the run as if nothing had been.
func TestFaults(t *testing.T) {
	finishedRun(t)
	for _, f := range []struct {
		name   string
		kind   disktest.Kind
		path   string // a part of it
		nth    int    // this one of them fails, and all after it
		errno  syscall.Errno
		advice string
	}{
		{"disk full from the beginning", disktest.Write, "", 1, syscall.ENOSPC, freeSpace},
		{"disk full while the database is made", disktest.Write, "finch.db-wal", 1, syscall.ENOSPC, freeSpace},
		{"disk full at scores", disktest.Write, "finch.db-wal", 60, syscall.ENOSPC, freeSpace},
		{"disk full at levels", disktest.Write, "finch.levels/", 30, syscall.ENOSPC, freeSpace},
		{"log not synced", disktest.Sync, "finch.db-wal", 20, syscall.EIO, checkDisk},
		{"database not synced", disktest.Sync, "finch.db", 1, syscall.EIO, checkDisk},
		{"level not synced", disktest.Sync, "finch.levels/", 10, syscall.EIO, checkDisk},
		{"level not renamed", disktest.Rename, "finch.levels/", 5, syscall.EIO, checkDisk},
		{"folder not ours", disktest.Create, "", 1, syscall.EACCES, permissions},
		{"folder read-only", disktest.Create, "", 1, syscall.EROFS, otherPlace},
		{"log read-only", disktest.Create, "finch.db-wal", 1, syscall.EACCES, writable},
		{"levels read-only", disktest.Mkdir, "finch.levels", 1, syscall.EROFS, otherPlace},
		{"levels read-only later", disktest.Create, "finch.levels/", 20, syscall.EROFS, otherPlace},
	} {
		t.Run(f.name, func(t *testing.T) {
			dir := experiments(t)
			passed, failed := 0, ""
			r := shown(t, dir, func(op disktest.Op) syscall.Errno {
				if op.Kind != f.kind || !strings.Contains(op.Path, f.path) {
					return 0
				}
				if passed++; passed < f.nth {
					return 0
				}
				if failed == "" {
					failed = op.Path
				}
				return f.errno
			}, "run", "two.toml")
			file, _, _ := strings.Cut(failed, "-") // the database, whose log and journal the user need not know
			file, _, _ = strings.Cut(file, "/")
			wantAdvice(t, r, file, f.advice)
			wantSound(t, dir)
			wantSame(t, dir, "run", "two.toml")
			nothingRuns(t, dir)
		})
	}
}

// wantAdvice wants a run that failed, and in its last line the file and what to do.
func wantAdvice(t *testing.T, r result, file, advice string) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(r.stderr, "\n"), "\n")
	last := lines[len(lines)-1]
	if r.code != 1 || r.stdout != "" {
		t.Errorf("exit code %d, want 1; stdout %q", r.code, r.stdout)
	}
	if !strings.HasPrefix(last, "finch: ") || !strings.Contains(last, file) || strings.Count(last, advice) != 1 {
		t.Errorf("the last line does not name %q, or does not say once %q:\n%s", file, advice, last)
	}
}

// wantSound wants nothing damaged in a folder: neither the database, if there is one, nor a level file.
func wantSound(t *testing.T, dir string) {
	t.Helper()
	if contents(t, dir) != "" {
		done(t, dir, "check")
	}
}

// TestTooManyFiles gives a run fewer files than it needs, which is 17 as a rule; once 16 were enough.
func TestTooManyFiles(t *testing.T) {
	finishedRun(t)
	for _, limit := range []string{"8", "12", "14"} {
		t.Run(limit, func(t *testing.T) {
			dir := experiments(t)
			c, r := command(t, dir, "run", "two.toml")
			c.Path, c.Args = "/bin/sh", append([]string{"sh", "-c", "ulimit -n " + limit + `; exec "$0" "$@"`}, c.Args...)
			c.Run()
			wantAdvice(t, r(), "finch.", "more files")
			wantSound(t, dir)
			wantSame(t, dir, "run", "two.toml")
		})
	}
}

// TestFullDisk fills a disk.
func TestFullDisk(t *testing.T) {
	whole := progressOf(finishedRun(t))
	for _, test := range []struct {
		name, size   string
		moment       float64 // of the run, when nothing more goes onto the disk
		file, advice string
	}{
		{"too small for a database", "64k", 0, "finch.db", freeSpace},
		{"too small for what the plan knows of", "4m", 0, "--db", "make room"},
		{"filled during a search", "32m", 0.05, "finch.db", freeSpace},
		{"filled while levels are made", "32m", 0.4, "finch.levels", freeSpace},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := syscall.Mount("finch", dir, "tmpfs", 0, "size="+test.size); err != nil {
				t.Skipf("a small disk needs the right to mount one: %v", err)
			}
			defer syscall.Unmount(dir, syscall.MNT_DETACH)
			write(t, dir, "two.toml", twoExperiments(t))
			p := start(t, dir, "run", "two.toml")
			if test.moment > 0 && p.reaches(test.moment*whole) {
				if err := os.WriteFile(filepath.Join(dir, "filler"), make([]byte, 32<<20), 0o666); !errors.Is(err, syscall.ENOSPC) {
					t.Fatalf("the disk is not full: %v", err)
				}
			}
			wantAdvice(t, p.end(), test.file, test.advice)
			wantSound(t, dir)
			if err := syscall.Mount("finch", dir, "tmpfs", syscall.MS_REMOUNT, "size=64m"); err != nil {
				t.Fatal(err)
			}
			wantSame(t, dir, "run", "two.toml")
			nothingRuns(t, dir)
		})
	}
}

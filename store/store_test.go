package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestOpenFromScratch(t *testing.T) {
	for _, name := range []string{"finch.db", "with space.db", "per%cent?and#hash.db"} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), name)
			db := openTest(t, path)
			for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1",
				"user_version": fmt.Sprint(latestSchema()), "application_id": fmt.Sprint(applicationID)} {
				var got string
				must(t, db.write.QueryRow("PRAGMA "+pragma).Scan(&got))
				if got != want {
					t.Errorf("%s = %s, want %s", pragma, got, want)
				}
			}
			if _, err := os.Stat(path); err != nil {
				t.Error(err)
			}
			wantProblems(t, db)
			must(t, db.Close())
			again := openTest(t, path)
			wantProblems(t, again)
			if copies, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "*.bak*")); len(copies) > 0 {
				t.Errorf("copies without a migration: %v", copies)
			}
		})
	}
}

func TestOpenEmptyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "finch.db")
	must(t, os.WriteFile(path, nil, 0o644))
	putRun(t, openTest(t, path), "a", 1, 1, 1)
}

func TestOpenTogether(t *testing.T) {
	path := filepath.Join(t.TempDir(), "finch.db")
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			db, err := Open(ctx, path, Options{})
			if err != nil {
				t.Error(err)
				return
			}
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

// oldDatabase makes a file with an earlier schema.
func oldDatabase(t *testing.T, path string, version int) {
	t.Helper()
	pool := openPool(path, writeOptions, 1)
	must(t, (&DB{path: path, write: pool}).migrate(ctx, version))
	_, err := pool.Exec(`INSERT INTO runs (id, experiment, method, seed, config, config_hash, model, model_hash,
		calibration_hash, evaluation_hash, target, budget, kernel_path, version, status, created_at)
		VALUES (7, 'old', 'dp', 1, '{}', '', '', '', '', '', 'gguf', '', '', '', 'interrupted', '2025-01-01T00:00:00.000Z')`)
	must(t, err)
	must(t, pool.Close())
}

func TestMigrateOldDatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "finch.db")
	oldDatabase(t, path, 1)
	must(t, os.WriteFile(path+".bak-v1", []byte("an earlier copy"), 0o644))

	if _, err := OpenReadOnly(ctx, path); !errors.Is(err, ErrOlderSchema) {
		t.Errorf("read-only: %v, want ErrOlderSchema", err)
	}
	db := openTest(t, path)
	wantProblems(t, db)
	if r, err := db.Run(ctx, 7); err != nil || r.Experiment != "old" {
		t.Errorf("run 7 = %+v, %v", r, err)
	}
	if kept, _ := os.ReadFile(path + ".bak-v1"); string(kept) != "an earlier copy" {
		t.Error("the earlier copy was overwritten")
	}
	copied := openPool(path+".bak-v1.1", readOptions, 1)
	defer copied.Close()
	var version, runs, application int
	must(t, copied.QueryRow("PRAGMA user_version").Scan(&version))
	must(t, copied.QueryRow("PRAGMA application_id").Scan(&application))
	must(t, copied.QueryRow("SELECT count(*) FROM runs").Scan(&runs))
	if version != 1 || runs != 1 || application != applicationID {
		t.Errorf("copy has version %d, %d runs, application %x", version, runs, application)
	}
}

func TestNewerSchemaRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "finch.db")
	db := openTest(t, path)
	tamper(t, db, "PRAGMA user_version = 99")
	must(t, db.Close())
	before, err := os.ReadFile(path)
	must(t, err)
	_, writing := Open(ctx, path, Options{})
	_, reading := OpenReadOnly(ctx, path)
	for _, err := range []error{writing, reading} {
		if !errors.Is(err, ErrNewerSchema) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "99") ||
			!strings.Contains(err.Error(), fmt.Sprint(latestSchema())) {
			t.Errorf("%v: want ErrNewerSchema with both versions", err)
		}
	}
	after, err := os.ReadFile(path)
	must(t, err)
	if !bytes.Equal(before, after) {
		t.Error("a refused file was changed")
	}
}

func TestRefusedFiles(t *testing.T) {
	foreign := func(t *testing.T, path string) {
		pool := openPool(path, "", 1)
		_, err := pool.Exec("CREATE TABLE notes (x)")
		must(t, err)
		must(t, pool.Close())
	}
	content := func(b []byte) func(*testing.T, string) {
		return func(t *testing.T, path string) { must(t, os.WriteFile(path, b, 0o644)) }
	}
	for _, c := range []struct {
		name string
		make func(*testing.T, string)
		want error
	}{
		{"text", content([]byte("GGUF, or something else that is no database at all")), ErrNotDatabase},
		{"short", content([]byte("SQLite")), ErrNotDatabase},
		{"header only", content([]byte("SQLite format 3\x00")), ErrNotDatabase},
		{"header and noise", content(append([]byte("SQLite format 3\x00"), bytes.Repeat([]byte{0xa5}, 8000)...)), ErrNotDatabase},
		{"directory", func(t *testing.T, path string) { must(t, os.Mkdir(path, 0o755)) }, ErrDirectory},
		{"another program's", foreign, ErrNotDatabase},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.db")
			c.make(t, path)
			before, _ := os.ReadFile(path)
			_, writing := Open(ctx, path, Options{})
			_, reading := OpenReadOnly(ctx, path)
			for _, err := range []error{writing, reading} {
				if !errors.Is(err, c.want) || !strings.Contains(err.Error(), "--db") || !strings.Contains(err.Error(), path) {
					t.Errorf("%v, want %v and advice", err, c.want)
				}
			}
			if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
				t.Error("a refused file was changed")
			}
		})
	}
}

func TestMissing(t *testing.T) {
	folder := t.TempDir()
	if _, err := OpenReadOnly(ctx, filepath.Join(folder, "no.db")); !errors.Is(err, ErrMissing) {
		t.Errorf("read-only: %v, want ErrMissing", err)
	}
	if _, err := Open(ctx, filepath.Join(folder, "no", "finch.db"), Options{}); !errors.Is(err, ErrCannotOpen) {
		t.Errorf("no such folder: %v, want ErrCannotOpen", err)
	}
	if files, _ := os.ReadDir(folder); len(files) > 0 {
		t.Errorf("files were made: %v", files)
	}
}

func TestReadOnlyFolder(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may write to every folder")
	}
	folder := t.TempDir()
	path := filepath.Join(folder, "finch.db")
	db := openTest(t, path)
	putRun(t, db, "a", 1, 1, 1)
	must(t, db.Close())
	must(t, os.Chmod(path, 0o444))
	must(t, os.Chmod(folder, 0o555))
	defer os.Chmod(folder, 0o755)
	if _, err := Open(ctx, path, Options{}); !errors.Is(err, ErrReadOnly) && !errors.Is(err, ErrCannotOpen) {
		t.Errorf("writing: %v", err)
	}
	reader, err := OpenReadOnly(ctx, path)
	must(t, err)
	defer reader.Close()
	wantProblems(t, reader)
}

func TestReaderRefusesToWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "finch.db")
	openTest(t, path)
	reader, err := OpenReadOnly(ctx, path)
	must(t, err)
	defer reader.Close()
	if _, err := reader.BeginRun(ctx, testRun("a", 1)); !errors.Is(err, ErrReadOnly) {
		t.Errorf("%v, want ErrReadOnly", err)
	}
}

func TestFullDisk(t *testing.T) {
	db := newTest(t)
	run := putRun(t, db, "a", 1, 1, 1)
	before, err := db.Fingerprint(ctx)
	must(t, err)
	var pages int
	must(t, db.write.QueryRow("PRAGMA page_count").Scan(&pages))
	tamper(t, db, fmt.Sprintf("PRAGMA max_page_count = %d", pages))
	for range 1000 {
		if err = db.Event(ctx, run, "note", strings.Repeat("x", 4096)); err != nil {
			break
		}
	}
	if !errors.Is(err, ErrFull) || !strings.Contains(err.Error(), "free space") {
		t.Fatalf("%v, want ErrFull and advice", err)
	}
	if after, err := db.Fingerprint(ctx); err != nil || after != before {
		t.Errorf("the record has changed: %v", err)
	}
	wantProblems(t, db)
}

func TestCancelled(t *testing.T) {
	db := newTest(t)
	done, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := db.BeginRun(done, testRun("a", 1)); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want context.Canceled", err)
	}
	if runs, err := db.Runs(ctx); err != nil || len(runs) != 0 {
		t.Errorf("%v, %v", runs, err)
	}
}

// Readers and a writer at full speed: no "database is locked" on either side.
func TestReaderBesideWriter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "finch.db")
	db := openTest(t, path)
	reading, stop := context.WithCancel(ctx)
	var readers sync.WaitGroup
	for range 2 {
		reader, err := OpenReadOnly(ctx, path)
		must(t, err)
		defer reader.Close()
		readers.Go(func() {
			for reading.Err() == nil {
				if _, err := reader.Query(ctx, "best", nil); err != nil {
					t.Errorf("reader: %v", err)
				}
				if _, err := reader.Query(ctx, "SELECT count(*), sum(fitness) FROM scores", nil); err != nil {
					t.Errorf("reader: %v", err)
				}
			}
		})
	}
	putRun(t, db, "a", 1, 10, 1)
	stop()
	readers.Wait()
	wantProblems(t, db)
}

// Two processes that write wait for each other.
func TestTwoWriters(t *testing.T) {
	path := filepath.Join(t.TempDir(), "finch.db")
	var writers sync.WaitGroup
	for seed := range int64(2) {
		db := openTest(t, path)
		writers.Go(func() {
			run, err := db.BeginRun(ctx, testRun("a", seed))
			for i := 0; i < 40 && err == nil; i++ {
				err = db.Event(ctx, run, "note", "busy")
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	writers.Wait()
	var events int
	must(t, openTest(t, path).read.QueryRow("SELECT count(*) FROM events").Scan(&events))
	if events != 80 {
		t.Errorf("%d events, want 80", events)
	}
}

func TestBusy(t *testing.T) {
	path := filepath.Join(t.TempDir(), "finch.db")
	db := openTest(t, path)
	tamper(t, db, "PRAGMA busy_timeout = 10")
	other := openTest(t, path)
	err := transact(ctx, other.write, func(*sql.Tx) error {
		_, err := db.BeginRun(ctx, testRun("a", 1))
		return err
	})
	if !errors.Is(err, ErrBusy) {
		t.Errorf("%v, want ErrBusy", err)
	}
}

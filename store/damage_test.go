package store

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// A damaged page is found, by an error of its type or by Check, and never repaired or removed.
func TestDamagedPages(t *testing.T) {
	path := filepath.Join(t.TempDir(), "finch.db")
	db := openTest(t, path)
	putRun(t, db, "a", 1, 20, 1)
	must(t, db.Close())
	sound, err := os.ReadFile(path)
	must(t, err)
	rng := rand.New(rand.NewPCG(1, 2))
	const page = 4096
	for p := 0; p < len(sound)/page; p++ {
		damaged := bytes.Clone(sound)
		for i := range page {
			if p > 0 || i >= 100 { // page 1 begins with the header of the file
				damaged[p*page+i] = byte(rng.Uint32())
			}
		}
		wantDamage(t, fmt.Sprintf("page %d", p+1), damaged)
	}
	wantDamage(t, "cut off", sound[:len(sound)/page/2*page])
}

func wantDamage(t *testing.T, name string, content []byte) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "finch.db")
	must(t, os.WriteFile(path, content, 0o644))
	found := false
	db, err := OpenReadOnly(ctx, path)
	if err == nil {
		defer db.Close()
		var problems []Problem
		problems, err = db.Check(ctx)
		found = len(problems) > 0
	}
	if err != nil {
		found = errors.Is(err, ErrDamaged) || errors.Is(err, ErrNotDatabase)
	}
	if !found {
		t.Errorf("%s: damage not seen: %v", name, err)
	}
	if after, _ := os.ReadFile(path); !bytes.Equal(after, content) {
		t.Errorf("%s: the file was changed", name)
	}
}

// What a killed process leaves is a file and its log. A cut or lost log loses its last transactions, and nothing else.
func TestKilledAndTruncatedLog(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "finch.db")
	db := openTest(t, path)
	run, err := db.BeginRun(ctx, testRun("a", 1))
	must(t, err)
	putGeneration(t, db, run, 0, 1, 1)
	tamper(t, db, "PRAGMA wal_checkpoint(TRUNCATE)")
	for g := 1; g < 5; g++ {
		putGeneration(t, db, run, g, 1, 1)
	}
	file, err := os.ReadFile(path)
	must(t, err)
	log, err := os.ReadFile(path + "-wal")
	must(t, err)
	for _, c := range []struct {
		name     string
		log      []byte
		atLeast  int
		complete bool
	}{
		{"whole", log, 5, true},
		{"cut in a frame", log[:len(log)-100], 1, false},
		{"half", log[:len(log)/2], 1, false},
		{"header only", log[:32], 1, false},
		{"missing", nil, 1, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "finch.db")
			must(t, os.WriteFile(path, file, 0o644))
			if c.log != nil {
				must(t, os.WriteFile(path+"-wal", c.log, 0o644))
			}
			reader, err := OpenReadOnly(ctx, path)
			must(t, err)
			wantProblems(t, reader)
			must(t, reader.Close())

			killed := openTest(t, path)
			wantProblems(t, killed)
			closed, err := killed.Generations(ctx, run)
			must(t, err)
			if len(closed) < c.atLeast || c.complete && len(closed) != 5 {
				t.Errorf("%d generations", len(closed))
			}
			must(t, killed.ResumeRun(ctx, run))
			for g := range 5 {
				putGeneration(t, killed, run, g, 1, 3)
			}
			want, err := db.FingerprintRun(ctx, run)
			must(t, err)
			if got, err := killed.FingerprintRun(ctx, run); err != nil || got != want {
				t.Errorf("resumed run differs: %v", err)
			}
		})
	}
}

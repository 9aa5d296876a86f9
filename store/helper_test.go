package store

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var ctx = context.Background()

// clock ticks a second at every look.
func clock() func() time.Time {
	now := time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC)
	return func() time.Time {
		now = now.Add(time.Second)
		return now
	}
}

func openTest(t testing.TB, path string) *DB {
	t.Helper()
	db, err := Open(ctx, path, Options{Clock: clock()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func newTest(t testing.TB) *DB {
	t.Helper()
	return openTest(t, filepath.Join(t.TempDir(), "finch.db"))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func testRun(experiment string, seed int64) Run {
	config := `{"name":"` + experiment + `"}`
	return Run{Experiment: experiment, Method: "evopress", Seed: seed, Config: config,
		ConfigHash: fmt.Sprintf("%x", sha256.Sum256([]byte(config))), Model: "builtin:finchling", ModelHash: "beef", CalibrationHash: "ca11", EvaluationHash: "e4a1",
		Target: "gguf", Budget: "bits_per_weight = 3.5", LimitBytes: 2000, KernelPath: "portable", Engine: 1,
		Architecture: "amd64", Version: "test"}
}

const testSites, testLevels = 4, 3

func testSpace() (sites []Site, levels []Level) {
	kinds := []string{"attn_q", "ffn_down"}
	for p := range testSites {
		kind := kinds[p%2]
		sites = append(sites, Site{p, fmt.Sprintf("blk.%d.%s", p/2, kind), kind, p / 2, 256})
		for i := range testLevels {
			bytes := int64(100 + 30*i)
			levels = append(levels, Level{p, i, fmt.Sprintf("q%d_k", i+2), fmt.Sprintf("q%d_k", i+2), bytes, float64(bytes) / 32,
				256, 0.1 / float64(i+1)})
		}
	}
	return sites, levels
}

// testGeneration is a generation of three children and a parent, scored in two stages: all three on a short slice, then
// the best child and the parent on a longer one. pace stands for what may differ between two equal runs.
func testGeneration(g int, seed int64, pace float64) (stages []BatchRecord, closing Generation) {
	first := int64(1 + 3*g)
	fitness := func(c int64, stage int) float64 { return 1/float64(c) + float64(seed)/100 + float64(stage)/1000 }
	short := BatchRecord{Generation: g, Stage: 0, Slice: Slice{512, fmt.Sprintf("hash-%d-0", g)}}
	for slot := range 3 {
		c := first + int64(slot)
		parent := first - 1
		operator := "flip"
		if slot == 2 {
			operator = "swap"
		}
		if g == 0 {
			parent, operator = 0, "start"
		}
		short.Candidates = append(short.Candidates, Candidate{c, slot, fmt.Sprintf("%02x%02x0100", c%3, (c+1)%3), parent, operator,
			1500 + c, 3.5, 1024, CandidateScored})
		short.Scores = append(short.Scores, Score{c, fitness(c, 0), fitness(c, 0), math.NaN(), 512, pace, "portable", pace > 1, testKey(seed, g, c, 0), ""})
	}
	best := first + 2
	long := BatchRecord{Generation: g, Stage: 1, Slice: Slice{4096, fmt.Sprintf("hash-%d-1", g)},
		Scores: []Score{{best, fitness(best, 1), fitness(best, 1), math.NaN(), 4096, pace, "portable", false, testKey(seed, g, best, 1), ""}}}
	if g > 0 {
		long.Scores = append(long.Scores, Score{first - 1, fitness(first-1, 1), fitness(first-1, 1), math.NaN(), 4096, pace, "portable", false, testKey(seed, g, first-1, 1), ""})
	}
	return []BatchRecord{short, long}, Generation{Generation: g, BestCandidate: best, BestFitness: fitness(best, 1), Seconds: pace}
}

// testKey is the key of a score of testGeneration, whose scores depend on nothing else.
func testKey(seed int64, generation int, candidate int64, stage int) string {
	return fmt.Sprintf("key-%d-%d-%d-%d", seed, generation, candidate, stage)
}

func putGeneration(t testing.TB, db *DB, run int64, g int, seed int64, pace float64) Generation {
	t.Helper()
	stages, closing := testGeneration(g, seed, pace)
	for _, b := range stages {
		must(t, db.RecordBatch(ctx, run, b))
	}
	closed, err := db.CloseGeneration(ctx, run, closing)
	must(t, err)
	return closed
}

func putResults(t testing.TB, db *DB, run int64, seed int64, best int64) {
	t.Helper()
	nan := math.NaN()
	kl := 0.1 + float64(seed)/1000
	for _, r := range []Result{
		{Winner, best, "00010100", "evopress", 1500 + best, 3.5, 1024, kl, 0.01, 5.2, 0.1, 32768, -0.05, 0.02},
		{Baseline, 0, "01010101", "uniform", 1600, 3.6, 1024, kl + 0.05, 0.01, 5.6, 0.1, 32768, nan, nan},
		{Dense, 0, "", "dense", 4000, 16, 1024, 0, 0, 5.0, 0.1, 32768, nan, nan},
	} {
		must(t, db.PutResult(ctx, run, r))
	}
}

// putRun records a whole run of a few generations, and finishes it.
func putRun(t testing.TB, db *DB, experiment string, seed int64, generations int, pace float64) int64 {
	t.Helper()
	run, err := db.BeginRun(ctx, testRun(experiment, seed))
	must(t, err)
	sites, levels := testSpace()
	must(t, db.PutSpace(ctx, run, sites, levels))
	var last Generation
	for g := range generations {
		last = putGeneration(t, db, run, g, seed, pace)
	}
	putResults(t, db, run, seed, last.BestCandidate)
	must(t, db.Event(ctx, run, "note", "done"))
	must(t, db.FinishRun(ctx, run, pace))
	return run
}

// tamper changes the database behind the store's back.
func tamper(t testing.TB, db *DB, statement string, args ...any) {
	t.Helper()
	_, err := db.write.ExecContext(ctx, statement, args...)
	must(t, err)
}

func wantProblems(t testing.TB, db *DB, want ...string) {
	t.Helper()
	problems, err := db.Check(ctx)
	must(t, err)
	for _, w := range want {
		found := false
		for _, p := range problems {
			found = found || strings.Contains(p.String(), w)
		}
		if !found {
			t.Errorf("no problem says %q: %v", w, problems)
		}
	}
	if len(want) == 0 && len(problems) > 0 {
		t.Errorf("problems in a sound database: %v", problems)
	}
}

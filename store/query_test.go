package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// sample holds two finished seeds, one finished run of another experiment, and one that is running.
func sample(t testing.TB) *DB {
	db := newTest(t)
	putRun(t, db, "bits-3.5", 1, 4, 0.5)
	putRun(t, db, "bits-3.5", 2, 4, 0.5)
	putRun(t, db, "bits-4", 1, 2, 0.5)
	run, err := db.BeginRun(ctx, testRun("open", 1))
	must(t, err)
	sites, levels := testSpace()
	must(t, db.PutSpace(ctx, run, sites, levels))
	putGeneration(t, db, run, 0, 1, 2)
	return db
}

func ask(t testing.TB, db *DB, query string, params map[string]any) *Table {
	t.Helper()
	table, err := db.Query(ctx, query, params)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return table
}

func column(t *testing.T, table *Table, name string) (values []any) {
	t.Helper()
	i := slices.Index(table.Columns, name)
	if i < 0 {
		t.Fatalf("no column %q in %v", name, table.Columns)
	}
	for _, row := range table.Rows {
		values = append(values, row[i])
	}
	return values
}

func TestViews(t *testing.T) {
	db := sample(t)
	for view, want := range map[string]struct {
		rows    int
		columns string
	}{
		"best": {4, "run_id experiment method seed status target budget limit_bytes file_bytes bits_per_weight nonzeros kl kl_error " +
			"ppl ppl_error baseline_method baseline_file_bytes baseline_bits_per_weight baseline_kl baseline_ppl dense_file_bytes " +
			"dense_ppl paired_difference paired_error verdict"},
		"trajectory": {11, "run_id experiment method seed generation best_candidate best_fitness file_bytes bits_per_weight nonzeros " +
			"candidates evaluations total_evaluations tokens total_tokens seconds total_seconds"},
		"chosen": {7, "run_id role candidate genome"},
		"level_per_layer": {28, "run_id experiment method seed role position site kind block weights idx level format bytes " +
			"bits_per_weight nonzeros relative_error"},
		"bits_by_kind": {14, "run_id experiment method seed role kind sites weights bytes bits_per_weight nonzeros"},
		"lineage": {4 + 4 + 2 + 1, "run_id experiment method seed step candidate generation parent operator fitness file_bytes " +
			"bits_per_weight nonzeros genome"},
		"pareto": {4, "model target run_id experiment method seed role file_bytes bits_per_weight nonzeros kl kl_error ppl ppl_error"},
		"seeds": {3, "experiment method runs measured wins file_bytes bits_per_weight kl_mean kl_sd kl_min kl_max ppl_mean ppl_sd " +
			"ppl_min ppl_max baseline_kl baseline_ppl"},
		"cost": {4, "run_id experiment method seed status generations candidates evaluations memo_hits tokens computed_tokens " +
			"worker_seconds search_seconds run_seconds"},
	} {
		table := ask(t, db, "SELECT * FROM "+view, nil)
		if got := strings.Join(table.Columns, " "); got != want.columns {
			t.Errorf("%s has columns\n%s, want\n%s", view, got, want.columns)
		}
		if len(table.Rows) != want.rows {
			t.Errorf("%s has %d rows, want %d", view, len(table.Rows), want.rows)
		}
	}
}

// Values that were worked out by hand from testGeneration and putResults.
func TestAnswers(t *testing.T) {
	db := sample(t)
	for _, c := range []struct {
		query  string
		params map[string]any
		column string
		want   []any
	}{
		{"best", nil, "kl", []any{0.101, 0.102, 0.101, nil}},
		{"best", nil, "verdict", []any{"win", "win", "win", nil}},
		{"best", map[string]any{"run": "bits-3.5"}, "baseline_kl", []any{0.101 + 0.05, 0.102 + 0.05}},
		{"best", map[string]any{"run": "2"}, "seed", []any{int64(2)}},
		{"best", map[string]any{"run": int64(2)}, "experiment", []any{"bits-3.5"}},
		{"trajectory", map[string]any{"run": "bits-4"}, "best_candidate", []any{int64(3), int64(6)}},
		{"trajectory", map[string]any{"run": "bits-4"}, "total_tokens", []any{int64(5632), int64(5632 + 9728)}},
		{"layers", map[string]any{"run": "1"}, "level", []any{"q2_k", "q3_k", "q3_k", "q2_k"}},
		{"layers", map[string]any{"run": "1"}, "baseline_level", []any{"q3_k", "q3_k", "q3_k", "q3_k"}},
		{"layers", map[string]any{"run": "open"}, "role", []any{"current", "current", "current", "current"}},
		{"compare", map[string]any{"runs": "2, bits-4"}, "run_id", []any{int64(3), int64(2)}},
		{"compare", map[string]any{"runs": "2,1"}, "kl_ratio", []any{1.0, 0.102 / 0.101}},
		{"lineage", map[string]any{"run": "bits-4"}, "candidate", []any{int64(6), int64(3)}},
		{"lineage", map[string]any{"run": "1", "candidate": 8}, "candidate", []any{int64(8), int64(6), int64(3)}},
		{"lineage", map[string]any{"run": "bits-4"}, "fitness", []any{1/6.0 + 0.01 + 1/1000.0, 1/3.0 + 0.01 + 1/1000.0}},
		{"operators", map[string]any{"run": "bits-4"}, "operator", []any{"swap", "flip", "start"}},
		{"operators", map[string]any{"run": "bits-4"}, "comparisons", []any{int64(1), int64(0), int64(0)}},
		{"operators", map[string]any{"run": "bits-4"}, "became_best", []any{int64(1), int64(0), int64(1)}},
		{"compare", map[string]any{"runs": "open"}, "tokens", []any{int64(5632)}},
		{"compare", map[string]any{"runs": "open"}, "computed_tokens", []any{int64(4096)}},
		{"cost", nil, "evaluations", []any{int64(19), int64(19), int64(9), int64(4)}},
		{"cost", nil, "memo_hits", []any{int64(0), int64(0), int64(0), int64(3)}},
		{"cost", map[string]any{"run": "open"}, "computed_tokens", []any{int64(4096)}},
		{"pareto", nil, "role", []any{"winner", "dense", "dense", "dense"}},
		{"SELECT kl_sd FROM seeds WHERE experiment = 'bits-3.5'", nil, "kl_sd", []any{0.0007071067811865389}},
		{"SELECT kl_sd FROM seeds WHERE experiment = 'bits-4'", nil, "kl_sd", []any{nil}},
		{"SELECT bytes FROM bits_by_kind WHERE run_id = 1 AND role = 'winner'", nil, "bytes", []any{int64(230), int64(230)}},
		{"SELECT :x + 1 AS y -- a comment\n; -- and another", map[string]any{"x": 2}, "y", []any{int64(3)}},
		{"SELECT 'a;b' AS y", nil, "y", []any{"a;b"}},
		{"SELECT count(*) AS n FROM pragma_table_info('runs')", nil, "n", []any{int64(24)}},
		{"SELECT value FROM json_each('[7]')", nil, "value", []any{int64(7)}},
		{"PRAGMA user_version", nil, "user_version", []any{int64(latestSchema())}},
		{"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3) SELECT sum(i) AS s FROM n", nil, "s", []any{int64(6)}},
	} {
		got := column(t, ask(t, db, c.query, c.params), c.column)
		if !slices.EqualFunc(got, c.want, near) {
			t.Errorf("%s %v: %s = %v, want %v", c.query, c.params, c.column, got, c.want)
		}
	}
}

// Mutations are counted by what they change, not by their text.
func TestOperatorKinds(t *testing.T) {
	db := newTest(t)
	run, err := db.BeginRun(ctx, testRun("a", 1))
	must(t, err)
	b := BatchRecord{}
	for i, operator := range []string{
		"start", "uniform sparse-0.60+2",
		"blk.0.attn_q q4_k>q3_k, blk.1.attn_q q3_k>q4_k",
		"blk.0.ffn_up sparse-0.50+q4_0>q8_0, blk.2.ffn_up q8_0>sparse-0.50+q4_0",
		"blk.0.attn drop>keep, blk.3.attn keep>drop",
		"blk.0 keep>drop",
		"blk.0.attn_q q4_k>q3_k, blk.0.mlp keep>drop, blk.1.attn_q q3_k>q4_k, blk.2.attn_q q3_k>q4_k, +12 more",
	} {
		b.Candidates = append(b.Candidates, Candidate{ID: int64(i + 1), Operator: operator})
	}
	must(t, db.RecordBatch(ctx, run, b))
	var got []string
	table := ask(t, db, "operators", nil)
	kinds, changes, candidates := column(t, table, "operator"), column(t, table, "changes"), column(t, table, "candidates")
	for i := range kinds {
		got = append(got, fmt.Sprintf("%d %v of %d", candidates[i], kinds[i], changes[i]))
	}
	want := []string{"2 levels of 2", "1 levels and sublayers of 16", "1 start of 0", "1 sublayers of 1", "1 sublayers of 2", "1 uniform sparse-0.60+2 of 0"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func near(a, b any) bool {
	x, ok := a.(float64)
	y, also := b.(float64)
	if ok && also {
		return x-y < 1e-12 && y-x < 1e-12
	}
	return a == b
}

// The front by hand: of two equal points both stay; dense is on it with KL 0.
func TestPareto(t *testing.T) {
	db := newTest(t)
	for i, p := range []struct {
		bytes int64
		kl    float64
	}{{100, 0.5}, {200, 0.3}, {200, 0.4}, {300, 0.3}, {400, 0.1}, {400, 0.1}} {
		run, err := db.BeginRun(ctx, testRun("p", int64(i)))
		must(t, err)
		must(t, db.PutResult(ctx, run, Result{Role: Winner, Genome: "00", FileBytes: p.bytes, KL: p.kl}))
	}
	if got, want := column(t, ask(t, db, "pareto", nil), "seed"), []any{int64(0), int64(1), int64(4), int64(5)}; !slices.Equal(got, want) {
		t.Errorf("front = %v, want %v", got, want)
	}
}

func TestNamedQueries(t *testing.T) {
	db := sample(t)
	var names []string
	for _, q := range Queries() {
		names = append(names, q.Name)
		if q.Description == "" || !strings.HasSuffix(q.Description, ".") {
			t.Errorf("%s is not explained: %q", q.Name, q.Description)
		}
		if table := ask(t, db, q.Name, nil); len(table.Rows) == 0 && q.Name != "failures" { // nothing failed in the sample
			t.Errorf("%s has no rows", q.Name)
		}
		for _, p := range q.Params {
			if p.Description == "" || !strings.Contains(q.SQL, ":"+p.Name) {
				t.Errorf("%s: parameter %s", q.Name, p.Name)
			}
		}
	}
	if want := []string{"best", "bits", "compare", "cost", "failures", "layers", "lineage", "operators", "pareto", "seeds", "status", "summary", "trajectory"}; !slices.Equal(names, want) {
		t.Errorf("queries %v, want %v", names, want)
	}
}

// large is a step of a plan that goes through scores, candidates or levels, under the names that they have in views and queries.
var large = regexp.MustCompile(`^SCAN (scores|s|candidates|c|p|levels|l)\b|^SEARCH (s|candidates|c|p) USING PRIMARY KEY \(run_id=\?\)`)

// Looking at one run must not read the scores or candidates of all, and the named queries about all runs must not read those of any.
func TestQueryPlans(t *testing.T) {
	db := sample(t)
	type question struct {
		name, query string
		params      map[string]any
	}
	questions := []question{
		{"trajectory", "", map[string]any{"run": 1}},
		{"layers", "", map[string]any{"run": 1}},
		{"lineage", "", map[string]any{"run": 1, "candidate": nil}},
		{"operators", "", map[string]any{"run": 1}},
		{"cost", "", map[string]any{"run": 1}},
		{"compare", "", map[string]any{"runs": "1"}},
		{"best", "", map[string]any{"run": 1}},
		{"bits", "", map[string]any{"run": 1}},
		{"failures", "", map[string]any{"run": 1}},
		{"view trajectory", "SELECT * FROM trajectory WHERE run_id = 1", nil},
		{"view level_per_layer", "SELECT * FROM level_per_layer WHERE run_id = 1 AND role = 'winner'", nil},
		{"view cost", "SELECT * FROM cost WHERE run_id = 1", nil},
		{"scores of a candidate", "SELECT * FROM scores WHERE run_id = 1 AND candidate = 3", nil}, // among those of its run
		{"memo", strings.Replace(memoQuery, "?1", `'["x"]'`, 1), nil},
		{"chain", strings.NewReplacer("?1", "1", "?2", "0", "?3", "0").Replace(hashedScores), nil},
		{"candidates of a generation", strings.NewReplacer("?1", "1", "?2", "0", "?3", "0").Replace(hashedCandidates), nil},
	}
	for _, q := range Queries() {
		questions = append(questions, question{q.Name, "", nil})
	}
	for _, c := range questions {
		query := c.query
		if query == "" {
			query, c.params, _ = resolve(c.name, c.params)
		}
		plan := column(t, ask(t, db, "EXPLAIN QUERY PLAN "+query, c.params), "detail")
		for _, step := range plan {
			if large.MatchString(step.(string)) {
				t.Errorf("%s %v reads a large table, or all that a run has there: %v", c.name, c.params, plan)
			}
		}
	}
}

func TestQueryRefused(t *testing.T) {
	db := sample(t)
	before, err := db.Fingerprint(ctx)
	must(t, err)
	for _, c := range []struct {
		query  string
		params map[string]any
		want   error
	}{
		{"INSERT INTO events (run_id, at, kind, message) VALUES (1, '', '', '')", nil, ErrWriting},
		{"UPDATE runs SET seed = 3", nil, ErrWriting},
		{"DELETE FROM runs", nil, ErrWriting},
		{"DROP TABLE runs", nil, ErrWriting},
		{"CREATE TEMP TABLE x (y)", nil, ErrWriting},
		{"WITH x AS (SELECT 1) DELETE FROM runs", nil, ErrWriting},
		{"ATTACH 'other.db' AS other", nil, ErrWriting},
		{"VACUUM INTO 'copy.db'", nil, ErrWriting},
		{"BEGIN IMMEDIATE", nil, ErrWriting},
		{"PRAGMA query_only = 0", nil, ErrWriting},
		{"PRAGMA user_version = 7", nil, ErrWriting},
		{"PRAGMA journal_mode = DELETE", nil, ErrWriting},
		{"SELECT 1; DELETE FROM runs", nil, ErrQuery},
		{"SELEC 1", nil, ErrQuery},
		{"SELECT nothing FROM runs", nil, ErrQuery},
		{"bests", nil, ErrQuery},
		{"", nil, ErrQuery},
		{" -- only a comment\n;", nil, ErrQuery},
		{"best", map[string]any{"runn": 1}, ErrQuery},
		{"best", map[string]any{"run": "nowhere"}, ErrNotFound},
		{"status", map[string]any{"run": 99}, ErrNotFound},
		{"compare", map[string]any{"runs": "1, 99"}, ErrNotFound},
		{"seeds", map[string]any{"experiment": "1"}, ErrNotFound}, // an id where a name is asked for
		{"SELECT :run", map[string]any{"runs": 1}, ErrQuery},
		{"SELECT 1 \x00, 2", nil, ErrQuery},
	} {
		if _, err := db.Query(ctx, c.query, c.params); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.query, err, c.want)
		}
	}
	if _, err := db.Query(ctx, "SELECT :a", nil); err == nil {
		t.Error("a missing parameter is accepted")
	}
	if after, err := db.Fingerprint(ctx); err != nil || after != before {
		t.Errorf("the database has changed: %v", err)
	}
	if _, err := os.Stat("other.db"); err == nil {
		t.Error("ATTACH made a file")
	}
}

func TestQueryTimeLimit(t *testing.T) {
	db := newTest(t)
	limited, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	const endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
	if _, err := db.Query(limited, endless, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, want context.DeadlineExceeded", err)
	}
	ask(t, db, "best", nil)
}

// The views serve other tools too: the sqlite3 command line reads every one of them during a run.
func TestSqlite3CommandLine(t *testing.T) {
	program, err := exec.LookPath("sqlite3")
	if err != nil {
		t.Skip("sqlite3 is not installed")
	}
	db := sample(t)
	views := column(t, ask(t, db, "SELECT name FROM sqlite_schema WHERE type = 'view'", nil), "name")
	for _, view := range views {
		out, err := exec.Command(program, "-readonly", db.Path(), "SELECT count(*) > 0 FROM "+view.(string)).CombinedOutput()
		if err != nil || strings.TrimSpace(string(out)) != "1" {
			t.Errorf("%s: %s, %v", view, out, err)
		}
	}
}

// Reports: go test -bench Best ./store
func BenchmarkBest100000Scores(b *testing.B) {
	db := openTest(b, filepath.Join(b.TempDir(), "finch.db"))
	run, err := db.BeginRun(ctx, testRun("large", 1))
	must(b, err)
	const perBatch, batches = 1000, 100
	for g := range batches {
		batch := BatchRecord{Generation: g}
		for slot := range perBatch {
			c := int64(g*perBatch + slot + 1)
			batch.Candidates = append(batch.Candidates, Candidate{ID: c, Slot: slot, Genome: "00010200"})
			batch.Scores = append(batch.Scores, Score{Candidate: c, Fitness: 1 / float64(c)})
		}
		must(b, db.RecordBatch(ctx, run, batch))
	}
	putResults(b, db, run, 1, 1)
	for b.Loop() {
		ask(b, db, "best", nil)
	}
}

func FuzzStatement(f *testing.F) {
	for _, seed := range []string{"SELECT 1", "SELECT ';' -- x\n; /* y", "", ";;", "[a;b];c", "\"", "DELETE FROM runs", "best", "\ufeff \ufeff", "\x00 1"} {
		f.Add(seed)
	}
	db := sample(f)
	before, err := db.Fingerprint(ctx)
	must(f, err)
	f.Fuzz(func(t *testing.T, query string) {
		limited, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		if _, err := db.Query(limited, query, nil); err != nil {
			return // refused or answered, but never changed:
		}
		if after, err := db.Fingerprint(ctx); err != nil || after != before {
			t.Fatalf("%q changed the database: %v", query, err)
		}
	})
}

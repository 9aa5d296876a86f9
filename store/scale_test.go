package store

import (
	"cmp"
	"database/sql"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
)

// scale is the size of a database of many runs such as EvoPress makes: in every generation all offspring are scored on little text, and
// ever fewer of them on ever more.
type scale struct{ runs, generations, offspring, blocks int }

// million is about 10⁶ scores.
var million = scale{runs: 40, generations: 150, offspring: 128, blocks: 6}

var kindsOfBlock = []string{"attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"}

const levelsOfSite = 6

// fill records the runs, four seeds of each experiment. All but the last are finished; that one is in the midst of a generation.
func (s scale) fill(t testing.TB, db *DB) {
	t.Helper()
	tamper(t, db, "PRAGMA synchronous = OFF") // for the time being
	for i := range s.runs {
		run, err := db.BeginRun(ctx, testRun(fmt.Sprintf("experiment-%d", i/4), int64(i%4)))
		must(t, err)
		sites, levels := s.space()
		must(t, db.PutSpace(ctx, run, sites, levels))
		p := proposer{scale: s, rng: rand.New(rand.NewPCG(uint64(i), 0))}
		for g := range s.generations {
			p.record(t, db, run, g)
		}
		if i == s.runs-1 {
			must(t, db.RecordBatch(ctx, run, p.generation(s.generations)[0]))
			break
		}
		for _, r := range []Result{
			{Winner, p.parent.ID, p.parent.Genome, "evopress", p.parent.FileBytes, 3.5, 1024, 0.1 + float64(i)/1000, 0.01, 5.2, 0.1, 32768, -0.05, 0.02},
			{Baseline, 0, p.parent.Genome, "uniform", 1900, 3.6, 1024, 0.2, 0.01, 5.6, 0.1, 32768, math.NaN(), math.NaN()},
			{Dense, 0, "", "dense", 4000, 16, 1024, 0, 0, 5.0, 0.1, 32768, math.NaN(), math.NaN()},
		} {
			must(t, db.PutResult(ctx, run, r))
		}
		must(t, db.FinishRun(ctx, run, 1000))
	}
	tamper(t, db, "PRAGMA synchronous = FULL")
}

func (s scale) space() (sites []Site, levels []Level) {
	for p := range s.blocks * len(kindsOfBlock) {
		kind, block := kindsOfBlock[p%len(kindsOfBlock)], p/len(kindsOfBlock)
		sites = append(sites, Site{p, fmt.Sprintf("blk.%d.%s", block, kind), kind, block, 1 << 16})
		for l := range levelsOfSite {
			levels = append(levels, Level{p, l, fmt.Sprintf("int%d", l+2), "int", int64(l+2) << 13, float64(l + 2), 1 << 16, 1 / float64(l+2)})
		}
	}
	return sites, levels
}

// proposer makes up the candidates of a run and their scores.
type proposer struct {
	scale
	rng     *rand.Rand
	last    int64     // candidate
	parent  Candidate // the best of the last generation
	fitness float64   // its own
}

// record records a generation and closes it.
func (p *proposer) record(t testing.TB, db *DB, run int64, g int) {
	t.Helper()
	for stage, b := range p.generation(g) {
		_, err := db.Attempt(ctx, run, g, stage)
		must(t, err)
		must(t, db.RecordBatch(ctx, run, b))
	}
	_, err := db.CloseGeneration(ctx, run, Generation{Generation: g, BestCandidate: p.parent.ID, BestFitness: p.fitness, Seconds: 8})
	must(t, err)
}

// generation makes up the stages of a generation, whose best candidate becomes the parent of the next. The parent is scored beside its
// children; in some generations one of these fails.
func (p *proposer) generation(g int) (stages []BatchRecord) {
	var children []Candidate
	fitness := map[int64]float64{}
	for slot := range p.offspring {
		p.last++
		c := Candidate{ID: p.last, Slot: slot, Parent: p.parent.ID, FileBytes: 1200 + p.rng.Int64N(500), BitsPerWeight: 3.5, Nonzeros: 1024, Status: CandidateScored}
		c.Genome, c.Operator = p.mutate()
		fitness[c.ID] = p.rng.Float64()
		if slot == 0 && g%10 == 9 {
			c.Status, fitness[c.ID] = CandidateFailed, math.NaN()
		}
		children = append(children, c)
	}
	inFirst := children
	for stage, n := range []int{p.offspring, p.offspring / 4, p.offspring / 16} {
		tokens := int64(2048) << (2 * stage)
		b := BatchRecord{Generation: g, Stage: stage, Slice: Slice{tokens, p.hash()}}
		if stage == 0 {
			b.Candidates = inFirst
		}
		children = slices.SortedFunc(slices.Values(children), func(x, y Candidate) int { return byFitness(fitness[x.ID], fitness[y.ID]) })[:n]
		scored := children
		if p.parent.ID > 0 {
			scored = append(slices.Clone(children), p.parent)
			fitness[p.parent.ID] = p.fitness
		}
		for i, c := range scored {
			x := fitness[c.ID]
			b.Scores = append(b.Scores, Score{c.ID, x, x, 20 * x, tokens, 0.0625, "portable", i%8 == 7, p.hash(), ""})
		}
		stages = append(stages, b)
	}
	p.parent, p.fitness = children[0], fitness[children[0].ID]
	return stages
}

// byFitness puts failures last.
func byFitness(a, b float64) int {
	if math.IsNaN(a) != math.IsNaN(b) {
		return cmp.Compare(b, a) // NaN is less than all
	}
	return cmp.Compare(a, b)
}

func (p *proposer) hash() string {
	return fmt.Sprintf("%016x%016x%016x%016x", p.rng.Uint64(), p.rng.Uint64(), p.rng.Uint64(), p.rng.Uint64())
}

// mutate moves levels between up to three pairs of sites of the parent, or makes a first genome.
func (p *proposer) mutate() (genome, operator string) {
	digits := []byte(p.parent.Genome)
	if len(digits) == 0 {
		for range p.blocks * len(kindsOfBlock) {
			digits = append(digits, '0', byte('0'+p.rng.IntN(levelsOfSite)))
		}
		return string(digits), "start"
	}
	for i := range 2 * (1 + p.rng.IntN(3)) {
		site, level := p.rng.IntN(len(digits)/2), byte('0'+p.rng.IntN(levelsOfSite))
		if i > 0 {
			operator += ", "
		}
		operator += fmt.Sprintf("blk.%d.%s int%c>int%c", site/len(kindsOfBlock), kindsOfBlock[site%len(kindsOfBlock)], digits[2*site+1]+2, level+2)
		digits[2*site+1] = level
	}
	return string(digits), operator
}

// What is summed while runs are recorded is what an older database gets when it is migrated, and what Check counts.
func TestSums(t *testing.T) {
	db := newTest(t)
	scale{runs: 6, generations: 11, offspring: 16, blocks: 2}.fill(t, db)
	wantProblems(t, db)
	for _, q := range Queries() {
		if len(ask(t, db, q.Name, nil).Rows) == 0 {
			t.Errorf("%s has no rows", q.Name)
		}
	}
	sums := func() (costs, counts [][]any) {
		return ask(t, db, "SELECT * FROM generation_costs", nil).Rows, ask(t, db, "SELECT * FROM operator_counts", nil).Rows
	}
	costs, counts := sums()
	if len(costs) != 6*11+1 || len(counts) < 6*4 {
		t.Errorf("%d generations, %d kinds of mutations", len(costs), len(counts))
	}
	tamper(t, db, `DROP TRIGGER candidate_counted; DROP TRIGGER score_counted; DROP TRIGGER generation_counted;
		DROP VIEW comparisons; DROP VIEW mutations; DROP TABLE generation_costs; DROP TABLE operator_counts;
		CREATE INDEX scores_by_candidate ON scores (run_id, candidate)`)
	must(t, transact(ctx, db.write, func(tx *sql.Tx) error { return migrateStep(ctx, tx, 5) }))
	again, counted := sums()
	if !slices.EqualFunc(again, costs, nearRow) || !slices.EqualFunc(counted, counts, nearRow) {
		t.Errorf("migrated, the sums are\n%v\n%v\nwant\n%v\n%v", again, counted, costs, counts)
	}
}

func nearRow(a, b []any) bool { return slices.EqualFunc(a, b, near) }

// Elsewhere and once for several: go test -run - -bench Million ./store -args -million /tmp/million.db
var millionAt = flag.String("million", "", "the database of BenchmarkMillion, which is made where it is not and kept; empty: a new one")

// BenchmarkMillion asks a database of a million scores, and records in it.
func BenchmarkMillion(b *testing.B) {
	path := *millionAt
	if path == "" {
		path = filepath.Join(b.TempDir(), "finch.db")
	}
	db := openTest(b, path)
	if runs, err := db.Runs(ctx); err != nil || len(runs) == 0 {
		must(b, err)
		million.fill(b, db)
	}
	b.Logf("%v scores of %v candidates", ask(b, db, "SELECT count(*) FROM scores", nil).Rows[0][0], ask(b, db, "SELECT count(*) FROM candidates", nil).Rows[0][0])
	for _, q := range Queries() {
		b.Run(q.Name, func(b *testing.B) {
			for b.Loop() {
				ask(b, db, q.Name, nil)
			}
		})
	}
	b.Run("record a generation", func(b *testing.B) {
		p := proposer{scale: million, rng: rand.New(rand.NewPCG(1, uint64(b.N)))}
		run, err := db.BeginRun(ctx, testRun(fmt.Sprint("benchmark ", p.hash()), 1))
		must(b, err)
		g := 0
		for b.Loop() {
			p.record(b, db, run, g)
			g++
		}
		must(b, db.SupersedeRuns(ctx, run))
	})
}

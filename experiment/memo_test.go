package experiment

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/finch-llm/finch/configs"
	"github.com/finch-llm/finch/evaluator"
	"github.com/finch-llm/finch/kernels"
	"github.com/finch-llm/finch/model"
	"github.com/finch-llm/finch/search"
	"github.com/finch-llm/finch/store"
)

// spent is what a run's scores took.
type spent struct{ scores, memo, tokens, computed int64 }

func spentBy(t *testing.T, s *Session, id int64) spent {
	t.Helper()
	table, err := s.DB.Query(context.Background(), "SELECT evaluations, memo_hits, tokens, computed_tokens FROM cost WHERE run_id = :run", map[string]any{"run": id})
	if err != nil {
		t.Fatal(err)
	}
	row := table.Rows[0]
	return spent{row[0].(int64), row[1].(int64), row[2].(int64), row[3].(int64)}
}

// named is an experiment under another name.
func (p place) named(t *testing.T, name, lines string) *configs.Experiment {
	t.Helper()
	e := p.experiment(t, lines)
	e.Name = name
	return e
}

// alone is the fingerprint of a run that computes everything in a database of its own.
func alone(t *testing.T, p place, name, lines string) string {
	t.Helper()
	s := p.session(t, name+"-alone.db")
	s.NoMemo = true
	id := run1(t, s, build(t, s, p.named(t, name, lines)))
	if got := spentBy(t, s, id); got.memo != 0 || got.computed != got.tokens {
		t.Errorf("without the memo: %+v", got)
	}
	return fingerprint(t, s, id)
}

func sound(t *testing.T, s *Session) {
	t.Helper()
	if problems, err := s.DB.Check(context.Background()); err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
}

// A run that is begun anew takes every score from the one that it replaces, and the record is the same; so it is when the
// memo is off.
func TestMemoFresh(t *testing.T) {
	place := newPlace(t)
	e := place.experiment(t, tinyBits)
	want := alone(t, place, "tiny", tinyBits)
	for _, test := range []struct {
		name    string
		noMemo  bool
		fromOne bool // the memo has all
	}{{"first", false, false}, {"fresh", false, true}, {"fresh without the memo", true, false}, {"fresh again", false, true}} {
		t.Run(test.name, func(t *testing.T) {
			s := place.session(t, "a.db")
			s.NoMemo = test.noMemo
			if err := s.SetAside(context.Background(), e); err != nil {
				t.Fatal(err)
			}
			id := run1(t, s, build(t, s, e))
			if got := fingerprint(t, s, id); got != want {
				t.Errorf("fingerprint %s, want %s", got, want)
			}
			got := spentBy(t, s, id)
			if memo := s.Progress.(*watch).memo; int64(memo) != got.memo {
				t.Errorf("progress counts %d scores from the memo, the record %d", memo, got.memo)
			}
			if test.fromOne && (got.memo != got.scores || got.computed != 0) || !test.fromOne && (got.memo != 0 || got.computed != got.tokens) || got.tokens < 1000 {
				t.Errorf("%+v", got)
			}
			sound(t, s)
		})
	}
}

// One run is stopped, another that asks the same goes from beginning to end, and the first goes on: both are as if they
// were alone, whoever computed what.
func TestMemoBetweenRuns(t *testing.T) {
	place := newPlace(t)
	want := map[string]string{}
	for _, name := range []string{"tiny", "other"} {
		want[name] = alone(t, place, name, tinyBits)
	}
	for _, after := range []int{1, 4} {
		t.Run(fmt.Sprint(after), func(t *testing.T) {
			db := fmt.Sprintf("after-%d.db", after)
			s := place.session(t, db)
			ctx, stop := context.WithCancel(context.Background())
			s.Progress = &watch{after: after, stop: stop}
			first, err := s.Run(ctx, build(t, s, place.experiment(t, tinyBits)), 7)
			if !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			before := spentBy(t, s, first)
			s = place.session(t, db)
			second := run1(t, s, build(t, s, place.named(t, "other", tinyBits)))
			if got := spentBy(t, s, second); got.memo != before.scores || got.computed != got.tokens-before.tokens {
				t.Errorf("the second took %+v, the first had %+v", got, before)
			}
			s = place.session(t, db)
			if id := run1(t, s, build(t, s, place.experiment(t, tinyBits))); id != first {
				t.Errorf("run %d went on as run %d", first, id)
			}
			if got := spentBy(t, s, first); got.memo != got.scores-before.scores || got.computed != before.tokens {
				t.Errorf("the first took %+v, and had %+v when it was stopped", got, before)
			}
			if fingerprint(t, s, first) != want["tiny"] || fingerprint(t, s, second) != want["other"] {
				t.Error("the record is another than that of a run alone")
			}
			sound(t, s)
		})
	}
}

// Two runs at once on one database, each with a connection of its own.
func TestMemoBesideARun(t *testing.T) {
	place := newPlace(t)
	var both sync.WaitGroup
	for _, name := range []string{"tiny", "other"} {
		want := alone(t, place, name, tinyBits)
		s := place.session(t, "both.db")
		p := build(t, s, place.named(t, name, tinyBits))
		both.Go(func() {
			id, err := s.Run(context.Background(), p, 7)
			if err != nil {
				t.Error(err)
				return
			}
			if got, err := s.DB.FingerprintRun(context.Background(), id); err != nil || got != want {
				t.Errorf("%s: fingerprint %s, want %s, %v", name, got, want, err)
			}
		})
	}
	both.Wait()
	sound(t, place.session(t, "both.db"))
}

// What would be scored otherwise is not found.
func TestMemoMisses(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(t *testing.T, p *place, s *Session) (lines string)
	}{
		{"kernels", func(t *testing.T, _ *place, s *Session) string {
			if len(kernels.Paths()) < 2 {
				t.Skip("this CPU has one kernel path only")
			}
			s.Path = kernels.Paths()[1]
			return tinyBits
		}},
		{"calibration text", func(t *testing.T, p *place, _ *Session) string {
			p.write(t, p.text, read(t, p.text)[1:])
			return tinyBits
		}},
		{"model", func(t *testing.T, p *place, _ *Session) string {
			path := filepath.Join(p.model, "config.json") // the same layers, the same levels, another forward pass
			config := read(t, path)
			other := strings.Replace(config, "rms_norm_eps\":", "rms_norm_eps\":1", 1)
			if other == config {
				t.Fatalf("no epsilon in %s", config)
			}
			p.write(t, path, other)
			return tinyBits
		}},
		{"fitness", func(*testing.T, *place, *Session) string {
			return tinyBits + "\nsearch = { fitness = \"ppl\" }"
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			place := newPlace(t)
			s := place.session(t, "a.db")
			run1(t, s, build(t, s, place.experiment(t, tinyBits)))
			s = place.session(t, "a.db")
			lines := test.change(t, &place, s)
			if got := spentBy(t, s, run1(t, s, build(t, s, place.named(t, "other", lines)))); got.memo != 0 || got.scores < 10 {
				t.Errorf("%+v", got)
			}
		})
	}
}

// TestScoreKey compares the keys of networks, whatever search space they come from.
func TestScoreKey(t *testing.T) {
	place := newPlace(t)
	s := place.session(t, "a.db")
	key := func(lines, genome, slice string) string {
		t.Helper()
		g, err := search.ParseGenome(genome)
		if err != nil {
			t.Fatal(err)
		}
		p := build(t, s, place.experiment(t, lines))
		if err := p.Space.Check(g); err != nil {
			t.Fatal(err)
		}
		e, err := s.engine(p.Model, 32, p.topK())
		if err != nil {
			t.Fatal(err)
		}
		return (&run{Session: s, Problem: p, engine: e}).scoreKey(p.Network(g), slice)
	}
	repeat := func(levels string, n int) (genome string) {
		for range n {
			genome += levels
		}
		return genome
	}
	const two, three = "levels = [\"q4_0\", \"q8_0\"]\nbudget = { bits_per_weight = 6 }", "levels = [\"q4_0\", \"q5_0\", \"q8_0\"]\nbudget = { bits_per_weight = 6 }"
	const gates = "levels = [\"drop\"]\nbudget = { drop = 0.34 }\ntarget = \"packed\""
	const joint = "levels = [\"q4_0\", \"q8_0\", \"drop\"]\nbudget = { bits_per_weight = 6 }\ntarget = \"packed\""
	const top = "\nsearch = { fitness = \"topk-kl\", top_k = "
	for _, test := range []struct {
		name string
		a, b string
		same bool
	}{
		{"another space", key(two, repeat("00", 20)+"01", "x"), key(three, repeat("00", 20)+"02", "x"), true},
		{"a space with gates", key(two, repeat("01", 21), "x"), key(joint, repeat("01", 27), "x"), true},
		{"whole blocks", key(gates, "010100000101", "x"), key(gates+"\nsearch = { whole_blocks = true }", "010001", "x"), true},
		{"another level", key(two, repeat("00", 20)+"01", "x"), key(two, repeat("00", 21), "x"), false},
		{"another place", key(two, repeat("00", 20)+"01", "x"), key(two, repeat("00", 19)+"0100", "x"), false},
		{"another sublayer", key(gates, "000101010101", "x"), key(gates, "010001010101", "x"), false},
		{"dense", key(gates, "010101010101", "x"), key(two, repeat("01", 21), "x"), false},
		{"another slice", key(two, repeat("00", 21), "x"), key(two, repeat("00", 21), "y"), false},
		{"top k", key(two+top+"5 }", repeat("00", 21), "x"), key(two+top+"6 }", repeat("00", 21), "x"), false},
	} {
		if (test.a == test.b) != test.same {
			t.Errorf("%s: the keys %.8s and %.8s are the same: want %v", test.name, test.a, test.b, test.same)
		}
	}
}

// counter counts what its engine computes.
type counter struct {
	engine
	networks int
}

func (c *counter) Score(ctx context.Context, networks []*model.Network, slice evaluator.Slice) ([]evaluator.Score, error) {
	c.networks += len(networks)
	return c.engine.Score(ctx, networks, slice)
}

// A network that is in a batch twice is computed once, unless the memo is off.
func TestMemoWithinABatch(t *testing.T) {
	place := newPlace(t)
	s := place.session(t, "a.db")
	p := build(t, s, place.experiment(t, tinyBits))
	real, err := s.engine(p.Model, 32, 0)
	if err != nil {
		t.Fatal(err)
	}
	r := &run{Session: s, Problem: p, engine: real}
	if err := r.begin(context.Background()); err != nil {
		t.Fatal(err)
	}
	low, high := make(search.Genome, 21), make(search.Genome, 21)
	high[3] = 1
	b := search.Batch{Candidates: []search.Candidate{{ID: 4, Genome: low}, {ID: 5, Genome: high}, {ID: 9, Genome: low}, {ID: 12, Genome: low}}}
	slice := p.Calibration.First(2)
	for noMemo, networks := range map[bool]int{false: 2, true: 4} {
		s.NoMemo = noMemo
		c := &counter{engine: real}
		r.engine = c
		scores, err := r.score(context.Background(), &b, slice)
		if err != nil {
			t.Fatal(err)
		}
		if c.networks != networks || len(scores) != 4 {
			t.Fatalf("%d networks were computed for %d scores, want %d", c.networks, len(scores), networks)
		}
		for i, want := range []struct {
			id   int64
			like int
			memo bool
		}{{5, 0, false}, {6, 1, false}, {10, 0, !noMemo}, {13, 0, !noMemo}} {
			is, like := scores[i], scores[want.like]
			if is.Candidate != want.id || is.Memo != want.memo || is.Memo != (is.Seconds == 0) || is.Fitness != like.Fitness || is.KL != like.KL ||
				is.PPL != like.PPL || is.Tokens != 64 || is.Key != like.Key {
				t.Errorf("no memo %v: score %d is %+v, that of the same network %+v", noMemo, i, is, like)
			}
		}
		if scores[0].Fitness == scores[1].Fitness {
			t.Error("two networks have one fitness")
		}
	}
}

// Scores that failed would fail again: they too are taken from the memo.
func TestMemoOfFailures(t *testing.T) {
	place := newPlace(t)
	s := place.session(t, "a.db")
	p := build(t, s, place.experiment(t, tinyBits))
	calls := 0
	fail := func(scores []evaluator.Score) []bool {
		calls++
		out := make([]bool, len(scores))
		out[0] = len(scores) == 4 // one of each generation's offspring
		return out
	}
	var prints []string
	for range 2 {
		if err := s.SetAside(context.Background(), p.Config); err != nil {
			t.Fatal(err)
		}
		id, err := runBroken(t, s, p, fail)
		if err != nil {
			t.Fatal(err)
		}
		prints = append(prints, fingerprint(t, s, id))
		if got := spentBy(t, s, id); len(prints) == 2 && got.memo != got.scores {
			t.Errorf("%+v", got)
		}
	}
	if prints[0] != prints[1] || calls < 6 {
		t.Errorf("%d calls, fingerprints %v", calls, prints)
	}
}

// wholeBlocks is a search for a GGUF that may lose any block; every block takes half a bit per weight at least.
const wholeBlocks = "levels = [\"q4_0\", \"q8_0\", \"drop\"]\ntarget = \"gguf\"\nsearch = { whole_blocks = true }\n"

// A candidate without a block, which no GGUF can hold, is recorded as infeasible and not scored, and its batch is replayed.
func TestInfeasible(t *testing.T) {
	place := newPlace(t)
	s := place.session(t, "a.db")
	p := build(t, s, place.experiment(t, wholeBlocks+"budget = { bits_per_weight = 2 }"))
	none, one := make(search.Genome, 24), make(search.Genome, 24)
	one[0] = search.Keep
	b := search.Batch{Tokens: 64, Candidates: []search.Candidate{{ID: 0, Genome: none, Parent: -1, Operator: "start"}, {ID: 1, Genome: one, Parent: -1, Operator: "start"}}}
	later := search.Batch{Generation: 1, Tokens: 64, Candidates: b.Candidates}
	for _, replayed := range []bool{false, true} {
		real, err := s.engine(p.Model, 32, 0)
		if err != nil {
			t.Fatal(err)
		}
		r := &run{Session: s, Problem: p, seed: 7, infeasible: map[int]bool{}, engine: real}
		if err := r.begin(context.Background()); err != nil {
			t.Fatal(err)
		}
		for _, batch := range []search.Batch{b, later} {
			a, u, err := r.answer(context.Background(), &batch)
			if err != nil {
				t.Fatal(err)
			}
			if u.Replayed != replayed || !math.IsNaN(a.fitness[0]) || !(a.fitness[1] > 0) || a.failed[0] != "" {
				t.Errorf("generation %d: %+v, replayed %v", batch.Generation, a, u.Replayed)
			}
		}
		recorded, _, err := s.DB.Batch(context.Background(), r.id, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		if c := recorded.Candidates; c[0].Status != store.CandidateInfeasible || c[1].Status != store.CandidateScored || c[0].FileBytes <= 0 || c[0].FileBytes >= c[1].FileBytes {
			t.Errorf("candidates %+v", c)
		}
		if len(recorded.Scores) != 1 || recorded.Scores[0].Candidate != 2 {
			t.Errorf("scores %+v", recorded.Scores)
		}
		sound(t, s)
	}
}

// Where the budget leaves no room for any block the run says so.
func TestNoRoomForABlock(t *testing.T) {
	place := newPlace(t)
	for _, method := range []string{"evopress", "random", "uniform"} {
		s := place.session(t, "a.db")
		e := place.named(t, method, strings.Replace(wholeBlocks, "{ w", fmt.Sprintf("{ method = %q, w", method), 1)+"budget = { bytes = 80000 }")
		id, err := s.Run(context.Background(), build(t, s, e), 7)
		fails(t, err, "tiny.toml:", "the winner cannot be written: every block is dropped")
		if r, err := s.DB.Run(context.Background(), id); err != nil || r.Status != store.Failed {
			t.Errorf("the run is %s, %v", r.Status, err)
		}
		sound(t, s)
	}
}

package experiment

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/finch-llm/finch/evaluator"
	"github.com/finch-llm/finch/model"
	"github.com/finch-llm/finch/search"
	"github.com/finch-llm/finch/store"
)

func TestFaultsInARow(t *testing.T) {
	nan := math.NaN()
	infeasible := math.Inf(1) // stands for a candidate that was not scored
	batch := func(f *faults, fitness ...float64) error {
		b := &search.Batch{Generation: 3}
		var scores []store.Score
		for i, x := range fitness {
			b.Candidates = append(b.Candidates, search.Candidate{ID: i})
			if x != infeasible {
				scores = append(scores, store.Score{Candidate: int64(i + 1), Fitness: x})
			}
		}
		if len(scores) > 0 {
			scores[0].Fault = "a fault"
		}
		return f.count(b, told(b, scores))
	}
	f := &faults{}
	for range 3 { // nine, and one that is finite
		if err := batch(f, nan, nan, nan, nan, nan, nan, nan, nan, nan, 1); err != nil {
			t.Fatal(err)
		}
	}
	if err := batch(f, nan, nan, nan, nan, nan, infeasible, nan, nan); err != nil {
		t.Fatalf("an infeasible candidate counts: %v", err)
	}
	fails(t, batch(f, infeasible, nan, nan, nan, 1), "10 scores in a row failed, the last that of candidate 4 in generation 3 (not finite)")
	f.row = hopeless - 1
	fails(t, batch(f, nan), "the last that of candidate 1 in generation 3 (a fault)")
}

// scripted is an engine that is asked before it scores candidates, and, if somebody wants to be, before it measures.
type scripted struct {
	*evaluator.Engine
	heldOut   *evaluator.Corpus
	before    func(networks []*model.Network) error
	measuring func(networks []*model.Network) error
}

func (s *scripted) Score(ctx context.Context, networks []*model.Network, slice evaluator.Slice) ([]evaluator.Score, error) {
	ask := s.before
	if slice.Corpus == s.heldOut {
		ask = s.measuring
	}
	if ask != nil {
		if err := ask(networks); err != nil {
			return nil, fmt.Errorf("scoring: %w", err)
		}
	}
	return s.Engine.Score(ctx, networks, slice)
}

// faulty begins the run of tinyBits on such an engine, or goes on with it.
func faulty(t *testing.T, place place, name string, before func(networks []*model.Network) error) *run {
	t.Helper()
	s := place.session(t, name+".db")
	return faultyOf(t, s, build(t, s, place.experiment(t, tinyBits)), before)
}

func faultyOf(t *testing.T, s *Session, p *Problem, before func(networks []*model.Network) error) *run {
	t.Helper()
	real, err := s.engine(p.Model, p.Calibration.Sequence, 0)
	if err != nil {
		t.Fatal(err)
	}
	r := &run{Session: s, Problem: p, seed: 7, infeasible: map[int]bool{}, engine: &scripted{real, p.Evaluation, before, nil}}
	if err := r.begin(context.Background()); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *run) toTheEnd() error {
	return r.execute(context.Background(), func() float64 { return 0 })
}

// without is what faulty does where nothing fails: its fingerprint.
func without(t *testing.T, place place) string {
	t.Helper()
	r := faulty(t, place, "without", func([]*model.Network) error { return nil })
	if err := r.toTheEnd(); err != nil {
		t.Fatal(err)
	}
	return fingerprint(t, r.Session, r.id)
}

// rows are those of a query.
func (r *run) rows(t *testing.T, query string) [][]any {
	t.Helper()
	answer, err := r.DB.Query(context.Background(), query, nil)
	if err != nil {
		t.Fatal(err)
	}
	return answer.Rows
}

// A fault that does not come again leaves the record of a run that had none, and an event.
func TestFaultOfChance(t *testing.T) {
	place := newPlace(t)
	want := without(t, place)
	for name, fault := range map[string]error{
		"panic":  &evaluator.Panic{Value: "no weights"},
		"memory": syscall.ENOMEM,
		"time":   errSlow,
	} {
		for _, alone := range []bool{false, true} {
			name := fmt.Sprint(name, alone)
			t.Run(name, func(t *testing.T) {
				calls, faults := 0, 0
				r := faulty(t, place, name, func(networks []*model.Network) error {
					if calls++; len(networks) == 1 && !(alone && calls%2 == 0) {
						return nil
					}
					faults++
					return fault
				})
				if err := r.toTheEnd(); err != nil {
					t.Fatal(err)
				}
				if got := fingerprint(t, r.Session, r.id); got != want || faults < 6 {
					t.Errorf("%d faults, fingerprint %s, want %s", faults, got, want)
				}
				if recorded := r.rows(t, "SELECT * FROM faults"); len(recorded) > 0 {
					t.Errorf("faults that did not come again are recorded: %v", recorded)
				}
				if events := r.rows(t, "SELECT message FROM events WHERE kind = 'fault' AND message LIKE 'generation 1 stage 0: %'"); len(events) != 1 {
					t.Errorf("events of a batch: %v", events)
				}
			})
		}
	}
}

// Measuring is tried again as well, and a fault that stays ends the run, which can go on.
func TestFaultOfMeasuring(t *testing.T) {
	place := newPlace(t)
	want := without(t, place)
	faulty := func(name string, faults int) *run {
		r := faulty(t, place, name, nil)
		r.engine.(*scripted).measuring = func([]*model.Network) error {
			if faults--; faults >= 0 {
				return &evaluator.Panic{Value: "no weights"}
			}
			return nil
		}
		return r
	}
	r := faulty("chance", 2)
	if err := r.toTheEnd(); err != nil {
		t.Fatal(err)
	}
	if got := fingerprint(t, r.Session, r.id); got != want {
		t.Errorf("fingerprint %s, want %s", got, want)
	}
	if events := r.rows(t, "SELECT message FROM events WHERE kind = 'fault' AND message LIKE 'measuring on held-out text: %'"); len(events) != 1 {
		t.Errorf("events: %v", events)
	}
	r = faulty("stays", 100)
	fails(t, r.toTheEnd(), "measuring on held-out text", "no weights", "after 3 tries", "give the command again")
	r = faulty("stays", 0)
	if err := r.toTheEnd(); err != nil {
		t.Fatal(err)
	}
	if got := fingerprint(t, r.Session, r.id); got != want {
		t.Errorf("fingerprint %s, want %s", got, want)
	}
}

// TestPanickingCandidates has a level without weights: whoever chooses it fails with the reason and never wins, the others are what
// they would be if it gave scores that are not finite, and a run that is stopped in between goes on to the same end.
func TestPanickingCandidates(t *testing.T) {
	place := newPlace(t)
	const site, level = 20, 0 // not that of the uniform baseline
	chooses := func(genome string) bool { return genome[2*site+1] == '0'+level }
	var prints []string
	for name, after := range map[string]int{"to the end": 0, "stopped": 2} {
		t.Run(name, func(t *testing.T) {
			begin := func() *run {
				r := faulty(t, place, name, func([]*model.Network) error { return nil })
				hollow := *r.sites[site].choices[level].matrices[0]
				hollow.Data = nil
				r.sites[site].choices[level].matrices[0] = &hollow
				return r
			}
			r := begin()
			if after > 0 {
				ctx, stop := context.WithCancel(context.Background())
				r.Progress = &watch{after: after, stop: stop}
				if err := r.execute(ctx, func() float64 { return 0 }); !errors.Is(err, context.Canceled) {
					t.Fatal(err)
				}
				r = begin()
			}
			if err := r.toTheEnd(); err != nil {
				t.Fatal(err)
			}
			prints = append(prints, fingerprint(t, r.Session, r.id))
			if winner, err := r.DB.Result(context.Background(), r.id, store.Winner); err != nil || chooses(winner.Genome) {
				t.Errorf("the winner is %s, %v", winner.Genome, err)
			}
			failed := 0
			for _, row := range r.rows(t, "SELECT genome, status, reason, key FROM candidates JOIN scores USING (run_id) LEFT JOIN faults USING (run_id, slice, candidate) WHERE candidate = id") {
				if !chooses(row[0].(string)) {
					if row[1] != "scored" || row[2] != nil || row[3] == nil {
						t.Errorf("a sound candidate is recorded as %v", row)
					}
					continue
				}
				failed++
				if reason, _ := row[2].(string); row[1] != "failed" || row[3] != nil || !strings.HasPrefix(reason, "panic: kernels: 0 bytes of data ") || !strings.Contains(reason, " < model.(*Runner).") {
					t.Errorf("a candidate without weights is recorded as %v", row)
				}
			}
			if failed < 2 || failed >= hopeless {
				t.Errorf("%d candidates failed", failed)
			}
			if reasons := r.rows(t, "SELECT fitness FROM scores JOIN faults USING (run_id, slice, candidate) WHERE fitness IS NOT NULL"); len(reasons) > 0 {
				t.Errorf("faults with a score: %v", reasons)
			}
			sound(t, r.Session)
		})
	}
	if len(slices.Compact(prints)) != 1 {
		t.Errorf("the fingerprints are %v", prints)
	}
}

// A candidate is scored with others and twice by itself, no more.
func TestTriesOfACandidate(t *testing.T) {
	var calls []int // of so many networks
	r := faulty(t, newPlace(t), "a", func(networks []*model.Network) error {
		if calls = append(calls, len(networks)); slices.Contains([]int{1, 2, 3, 4}, len(calls)-1) { // all four, the first twice, the second
			return syscall.ENOMEM
		}
		return nil
	})
	if err := r.toTheEnd(); err != nil {
		t.Fatal(err)
	}
	if want := []int{1, 4, 1, 1, 1, 1, 1, 1}; !slices.Equal(calls[:8], want) || calls[8] == 1 {
		t.Errorf("calls of %v networks, want %v and more", calls, want)
	}
	table, err := r.DB.Query(context.Background(), "failures", nil)
	if err != nil || len(table.Rows) != 1 || table.Rows[0][4] != int64(2) || !strings.HasPrefix(table.Rows[0][8].(string), "out of memory: scoring: ") {
		t.Errorf("failures %v, %v", table, err)
	}
}

// When nothing can be scored any more the run ends, and the batch is not recorded: it goes on when what was wrong is mended.
func TestHopelessFaults(t *testing.T) {
	place := newPlace(t)
	const more = tinyBits + "\nsearch = { offspring = 12 }"
	var prints []string
	for _, short := range []bool{false, true} {
		s := place.session(t, fmt.Sprint(short))
		p := build(t, s, place.experiment(t, more))
		calls := 0
		r := faultyOf(t, s, p, func([]*model.Network) error {
			if calls++; short && calls > 1 {
				return syscall.ENOMEM
			}
			return nil
		})
		if short {
			fails(t, r.toTheEnd(), "10 candidates in a row could not be scored: out of memory: ")
			if calls != 2+hopeless*triesAlone {
				t.Errorf("%d calls", calls)
			}
			if recorded := r.rows(t, "SELECT * FROM slices"); len(recorded) != 1 {
				t.Errorf("%d batches are recorded", len(recorded))
			}
			r = faultyOf(t, s, p, func([]*model.Network) error { return nil })
		}
		if err := r.toTheEnd(); err != nil {
			t.Fatal(err)
		}
		prints = append(prints, fingerprint(t, s, r.id))
	}
	if prints[0] != prints[1] {
		t.Errorf("the fingerprints are %v", prints)
	}
}

// What is no fault of a candidate ends the run.
func TestOtherErrorsEndTheRun(t *testing.T) {
	lost := errors.New("the level file is gone")
	calls := 0
	r := faulty(t, newPlace(t), "a", func([]*model.Network) error {
		calls++
		return lost
	})
	if err := r.toTheEnd(); !errors.Is(err, lost) || calls != 1 {
		t.Errorf("%v after %d calls", err, calls)
	}
}

// TestKilledInABatch begins a batch as processes do that are killed in it.
func TestKilledInABatch(t *testing.T) {
	place := newPlace(t)
	want := without(t, place)
	for _, killed := range []int{1, deadly, hopeless} {
		t.Run(fmt.Sprint(killed), func(t *testing.T) {
			var sizes []int
			note := func(networks []*model.Network) error {
				sizes = append(sizes, len(networks))
				return nil
			}
			name := fmt.Sprint(killed)
			r := faulty(t, place, name, note)
			ctx, stop := context.WithCancel(context.Background())
			r.Progress = &watch{after: 1, stop: stop}
			if err := r.execute(ctx, func() float64 { return 0 }); !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			sizes = nil
			r = faulty(t, place, name, note)
			for range killed {
				if _, err := r.DB.Attempt(context.Background(), r.id, 1, 0); err != nil {
					t.Fatal(err)
				}
			}
			err := r.toTheEnd()
			if killed == hopeless {
				fails(t, err, "10 processes in a row were killed while they scored generation 1 stage 0", "--memory")
				if err := r.DB.FailRun(context.Background(), r.id, 1, err); err != nil {
					t.Fatal(err)
				}
				r = faulty(t, place, name, note) // the next process may try again
				err = r.toTheEnd()
			} else if apart := sizes[0] == 1; apart != (killed >= deadly) || sizes[len(sizes)-1] == 1 {
				t.Errorf("calls of %v networks", sizes)
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := fingerprint(t, r.Session, r.id); got != want {
				t.Errorf("fingerprint %s, want %s", got, want)
			}
		})
	}
}

// stuck computes until it is stopped, from the second call on.
type stuck struct {
	engine
	calls int
	took  time.Duration
}

func (s *stuck) Score(ctx context.Context, networks []*model.Network, _ evaluator.Slice) ([]evaluator.Score, error) {
	if s.calls++; s.calls > 1 {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	time.Sleep(s.took)
	return make([]evaluator.Score, len(networks)), nil
}

// TestTimeOfABatch lets the time pass in which a batch should be done.
func TestTimeOfABatch(t *testing.T) {
	for _, c := range []struct{ first, limit time.Duration }{
		{time.Hour, patience + 2*slack*time.Hour}, // the second has twice the networks
		{time.Millisecond, patience + 2*slack*time.Millisecond},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := &run{Session: &Session{Clock: time.Now}, engine: &stuck{took: c.first}}
			slice := evaluator.Slice{Tokens: 100}
			networks := make([]*model.Network, 10)
			if _, err := r.timed(t.Context(), networks[:5], slice); err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			_, err := r.timed(t.Context(), networks, slice)
			if took := time.Since(start); !errors.Is(err, errSlow) || took.Round(time.Millisecond) != c.limit {
				t.Errorf("%v after %v, want %v", err, took, c.limit)
			}
			ctx, stop := context.WithCancel(t.Context())
			time.AfterFunc(time.Second, stop)
			if _, err := r.timed(ctx, networks, slice); !errors.Is(err, context.Canceled) || errors.Is(err, errSlow) {
				t.Errorf("stopped: %v", err)
			}
		})
	}
}

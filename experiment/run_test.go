package experiment

import (
	"cmp"
	"context"
	"errors"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"github.com/finch-llm/finch/configs"
	"github.com/finch-llm/finch/evaluator"
	"github.com/finch-llm/finch/internal/testmodel"
	"github.com/finch-llm/finch/kernels"
	"github.com/finch-llm/finch/model"
	"github.com/finch-llm/finch/search"
	"github.com/finch-llm/finch/store"
)

const tinyBits = "levels = [\"q4_0\", \"q4_k\", \"q8_0\"]\nbudget = { bits_per_weight = 5.5 }"

func fingerprint(t *testing.T, s *Session, id int64) string {
	t.Helper()
	f, err := s.DB.FingerprintRun(context.Background(), id)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestResume stops a run after every one of its batches in turn, goes on in another session, and wants the record of a run
// that was never stopped: computed every other time, and else from the memo.
func TestResume(t *testing.T) {
	place := newPlace(t)
	for name, lines := range map[string]string{
		"bits":  tinyBits,
		"joint": "levels = [\"q4_0\", \"q8_0\", \"sparse-0.50\", \"drop\"]\nbudget = { bytes = 180000 }\ntarget = \"packed\"\nsearch = { fitness = \"topk-kl\", top_k = 20 }",
		"depth": "levels = [\"drop\"]\nbudget = { drop = 0.34 }\ntarget = \"packed\"\nsearch = { fitness = \"ppl\" }",
	} {
		t.Run(name, func(t *testing.T) {
			e := place.experiment(t, lines)
			whole := place.session(t, name+".db")
			id := run1(t, whole, build(t, whole, e))
			want := fingerprint(t, whole, id)
			batches := whole.Progress.(*watch).scored
			if batches < 5 {
				t.Fatalf("%d batches", batches)
			}
			db := name + "-stopped.db"
			for after := 1; after < batches; after++ {
				s := place.session(t, db)
				s.NoMemo = after%2 == 0
				if err := s.SetAside(context.Background(), e); err != nil {
					t.Fatal(err)
				}
				ctx, stop := context.WithCancel(context.Background())
				s.Progress = &watch{after: after, stop: stop}
				id, err := s.Run(ctx, build(t, s, e), 7)
				if !errors.Is(err, context.Canceled) {
					t.Fatalf("stopped after %d batches: %v", after, err)
				}
				if r, err := s.DB.Run(context.Background(), id); err != nil || r.Status != store.Interrupted {
					t.Errorf("the run is %s, %v", r.Status, err)
				}
				again := place.session(t, db)
				again.NoMemo = s.NoMemo
				if got := run1(t, again, build(t, again, e)); got != id {
					t.Errorf("run %d went on as run %d", id, got)
				}
				if w := again.Progress.(*watch); w.replayed != after || w.scored != batches-after {
					t.Errorf("stopped after %d of %d batches: %d were replayed and %d scored", after, batches, w.replayed, w.scored)
				}
				if got := fingerprint(t, again, id); got != want {
					t.Errorf("stopped after %d batches, the record is another: %s, want %s", after, got, want)
				}
			}
		})
	}
}

// The number of workers changes nothing.
func TestWorkersDoNotMatter(t *testing.T) {
	place := newPlace(t)
	var prints []string
	for i, workers := range []int{1, 3} {
		s := place.session(t, []string{"a.db", "b.db"}[i])
		s.Workers = workers
		prints = append(prints, fingerprint(t, s, run1(t, s, build(t, s, place.experiment(t, tinyBits)))))
	}
	if prints[0] != prints[1] {
		t.Error("one worker and three make different records")
	}
}

// interrupted leaves a run of tinyBits behind that has scored one batch.
func interrupted(t *testing.T, place place) {
	t.Helper()
	s := place.session(t, "a.db")
	ctx, stop := context.WithCancel(context.Background())
	s.Progress = &watch{after: 1, stop: stop}
	if _, err := s.Run(ctx, build(t, s, place.experiment(t, tinyBits)), 7); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

func TestResumeRefuses(t *testing.T) {
	for _, test := range []struct {
		name   string
		says   []string
		change func(t *testing.T, p *place, s *Session) (lines string)
	}{
		{"settings", []string{"tiny.toml:13:", "search.offspring is 5, but run 1 of \"tiny\" with seed 7 was begun with 4", "--fresh"}, func(*testing.T, *place, *Session) string {
			return tinyBits + "\nsearch = { offspring = 5 }"
		}},
		{"model", []string{"the model has changed since run 1", "--fresh"}, func(t *testing.T, p *place, _ *Session) string {
			other := testmodel.Folder(t, testmodel.Llama(2, 3, 64, 96, testmodel.Vocab))
			p.write(t, filepath.Join(p.model, "model.safetensors"), read(t, filepath.Join(other, "model.safetensors")))
			return tinyBits
		}},
		{"calibration text", []string{"the calibration text has changed", "--fresh"}, func(t *testing.T, p *place, _ *Session) string {
			p.write(t, p.text, read(t, p.text)[1:])
			return tinyBits
		}},
		{"kernels", []string{"run 1 was begun with the kernel path", "--kernels"}, func(t *testing.T, _ *place, s *Session) string {
			paths := kernels.Paths()
			if len(paths) < 2 {
				t.Skip("this CPU has one kernel path only: nothing to change to")
			}
			s.Path = paths[1]
			return tinyBits
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			place := newPlace(t)
			interrupted(t, place)
			s := place.session(t, "a.db")
			e := place.experiment(t, test.change(t, &place, s))
			_, err := s.Run(context.Background(), build(t, s, e), 7)
			fails(t, err, test.says...)
			var c *configs.Error
			if test.name != "kernels" && !errors.As(err, &c) {
				t.Errorf("%v has no place in the file", err)
			}
			// Nothing was done to the run.
			if r, err := s.DB.Run(context.Background(), 1); err != nil || r.Status != store.Interrupted {
				t.Errorf("the run is %s, %v", r.Status, err)
			}
			// Set aside, it is no obstacle.
			if err := s.SetAside(context.Background(), e); err != nil {
				t.Fatal(err)
			}
			if id := run1(t, s, build(t, s, e)); id != 2 {
				t.Errorf("the new run is %d", id)
			}
		})
	}
}

// broken is an engine on which networks fail: those for which fail says so of the scores that they would have.
type broken struct {
	*evaluator.Engine
	fail func(scores []evaluator.Score) []bool
}

func (b *broken) Score(ctx context.Context, networks []*model.Network, slice evaluator.Slice) ([]evaluator.Score, error) {
	scores, err := b.Engine.Score(ctx, networks, slice)
	if err != nil {
		return nil, err
	}
	for i, failed := range b.fail(scores) {
		if failed {
			scores[i].KL, scores[i].NLL = math.NaN(), math.Inf(1)
			for k := range scores[i].Sequences {
				scores[i].Sequences[k].KL = math.NaN()
			}
		}
	}
	return scores, nil
}

// runBroken runs an experiment on such an engine.
func runBroken(t *testing.T, s *Session, p *Problem, fail func([]evaluator.Score) []bool) (int64, error) {
	t.Helper()
	real, err := s.engine(p.Model, p.Calibration.Sequence, 0)
	if err != nil {
		t.Fatal(err)
	}
	r := &run{Session: s, Problem: p, seed: 7, infeasible: map[int]bool{}, engine: &broken{real, fail}}
	if err := r.begin(context.Background()); err != nil {
		t.Fatal(err)
	}
	return r.id, r.execute(context.Background(), func() float64 { return 0 })
}

// TestFailedScoresNeverWin lets the best candidate of every batch fail.
func TestFailedScoresNeverWin(t *testing.T) {
	place := newPlace(t)
	s := place.session(t, "a.db")
	p := build(t, s, place.experiment(t, tinyBits))
	failed := 0
	id, err := runBroken(t, s, p, func(scores []evaluator.Score) []bool {
		out := make([]bool, len(scores))
		if slice := scores[0].Tokens; slice == len(p.Evaluation.Tokens) {
			return out // the held-out text
		}
		best := slices.IndexFunc(scores, func(s evaluator.Score) bool {
			return s.KL == slices.MinFunc(scores, func(a, b evaluator.Score) int { return cmp.Compare(a.KL, b.KL) }).KL
		})
		out[best] = len(scores) > 1
		failed++
		return out
	})
	if err != nil {
		t.Fatal(err)
	}
	winner, err := s.DB.Result(context.Background(), id, store.Winner)
	if err != nil {
		t.Fatal(err)
	}
	if failed < 5 || math.IsNaN(winner.KL) {
		t.Errorf("%d batches, the winner has KL %v", failed, winner.KL)
	}
	marked := 0
	for generation := range 4 {
		for stage := range 2 {
			b, ok, err := s.DB.Batch(context.Background(), id, generation, stage)
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				continue
			}
			fitness := map[int64]float64{}
			for _, score := range b.Scores {
				fitness[score.Candidate] = score.Fitness
			}
			for _, c := range b.Candidates {
				if want := math.IsNaN(fitness[c.ID]); want != (c.Status == store.CandidateFailed) {
					t.Errorf("candidate %d with fitness %v is %s", c.ID, fitness[c.ID], c.Status)
				} else if want {
					marked++
				}
			}
		}
		closed, err := s.DB.Generations(context.Background(), id)
		if err != nil {
			t.Fatal(err)
		}
		if math.IsNaN(closed[generation].BestFitness) || closed[generation].BestCandidate == 0 {
			t.Errorf("generation %d was won by %+v", generation, closed[generation])
		}
	}
	if marked < 3 {
		t.Errorf("%d candidates are marked as failed", marked)
	}
}

func TestNoScoreNoWinner(t *testing.T) {
	place := newPlace(t)
	s := place.session(t, "a.db")
	id, err := runBroken(t, s, build(t, s, place.experiment(t, tinyBits)), func(scores []evaluator.Score) []bool {
		out := make([]bool, len(scores))
		for i := range out {
			out[i] = true
		}
		return out
	})
	fails(t, err, "10 scores in a row failed", "(not finite)", "finch query failures")
	if table, err := s.DB.Query(context.Background(), "failures", nil); err != nil || len(table.Rows) < hopeless {
		t.Errorf("failures: %v, %v", table, err)
	}
	if _, err := s.DB.Result(context.Background(), id, store.Winner); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("there is a winner: %v", err)
	}
}

// TestShortGPTBaseline ranks sublayers by their block's influence, as ShortGPT does, where only depth can be chosen.
func TestShortGPTBaseline(t *testing.T) {
	place := newPlace(t)
	s := place.session(t, "a.db")
	p := build(t, s, place.experiment(t, "levels = [\"drop\"]\nbudget = { drop = 0.34 }\ntarget = \"packed\""))
	id := run1(t, s, p)
	baseline, err := s.DB.Result(context.Background(), id, store.Baseline)
	if err != nil {
		t.Fatal(err)
	}
	real, err := s.engine(p.Model, p.Calibration.Sequence, 0)
	if err != nil {
		t.Fatal(err)
	}
	influence, err := real.Influence(context.Background(), p.Calibration.First(8))
	if err != nil {
		t.Fatal(err)
	}
	least := slices.Index(influence, slices.Min(influence))
	want := search.Genome{1, 1, 1, 1, 1, 1}
	want[2*least], want[2*least+1] = search.Drop, search.Drop
	if baseline.Method != "shortgpt" || baseline.Genome != want.String() {
		t.Errorf("the baseline is %s %s, want %s; influence %v", baseline.Method, baseline.Genome, want, influence)
	}
	if winner, err := s.DB.Result(context.Background(), id, store.Winner); err != nil || winner.FileBytes != baseline.FileBytes {
		t.Errorf("winner %+v, baseline %+v, %v", winner, baseline, err)
	}

	bits := build(t, s, place.experiment(t, tinyBits))
	if got := bits.baseline(); got != "uniform" {
		t.Errorf("the baseline of bits is %s", got)
	}
}

// What a run records of the dense model, winner and baseline agrees with the candidates that it recorded.
func TestResults(t *testing.T) {
	place := newPlace(t)
	s := place.session(t, "a.db")
	p := build(t, s, place.experiment(t, tinyBits))
	id := run1(t, s, p)
	results, err := s.DB.Results(context.Background(), id)
	if err != nil || len(results) != 3 {
		t.Fatalf("%d results, %v", len(results), err)
	}
	for _, r := range results {
		if r.Tokens != 512 || !(r.PPL > 1) || !(r.KLError >= 0) {
			t.Errorf("%+v", r)
		}
		if r.Role == store.Dense {
			if math.Abs(r.KL) > 1e-9 || r.Genome != "" || r.BitsPerWeight != 32 || r.Nonzeros != 3*tinyBlock {
				t.Errorf("%+v", r)
			}
			continue
		}
		g, err := search.ParseGenome(r.Genome)
		if err != nil {
			t.Fatal(err)
		}
		total, err := p.count(g)
		if err != nil || r.FileBytes != total.file || r.BitsPerWeight != p.bitsPerWeight(total) || r.BitsPerWeight > 5.5 || !(r.KL > 0) {
			t.Errorf("%+v, costs %+v, %v", r, total, err)
		}
	}
	if problems, err := s.DB.Check(context.Background()); err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
	// A finished run is known as such, and under other settings it is refused.
	if done, err := s.Finished(context.Background(), p.Config, 7); err != nil || !done {
		t.Errorf("finished: %v, %v", done, err)
	}
	if done, err := s.Finished(context.Background(), p.Config, 8); err != nil || done {
		t.Errorf("seed 8 is finished: %v, %v", done, err)
	}
	_, err = s.Finished(context.Background(), place.experiment(t, tinyBits+"\ntarget = \"packed\""), 7)
	fails(t, err, `target is "packed", but run 1 of "tiny" with seed 7 was begun with "gguf"`)
}

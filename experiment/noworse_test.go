package experiment

import (
	"context"
	"math"
	"testing"

	"github.com/finch-llm/finch/evaluator"
	"github.com/finch-llm/finch/model"
	"github.com/finch-llm/finch/search"
)

// judge scores networks as it is told to, and keeps the slice.
type judge struct {
	engine
	kl    []float64
	slice evaluator.Slice
}

func (j *judge) Score(_ context.Context, networks []*model.Network, slice evaluator.Slice) ([]evaluator.Score, error) {
	j.slice = slice
	scores := make([]evaluator.Score, len(networks))
	for i := range scores {
		scores[i].KL, scores[i].Positions = j.kl[i], 1
	}
	return scores, nil
}

// prudent began with two candidates.
type prudent struct {
	search.Strategy
	naive []search.Candidate
}

func (p prudent) Naive() []search.Candidate { return p.naive }

// TestNoWorse has a winner that parts of the text were kinder to than the rest of it is.
func TestNoWorse(t *testing.T) {
	p := newPlace(t)
	s := p.session(t, "finch.db")
	task, err := s.Prepare(p.experiment(t, "levels = [\"q4_0\", \"q8_0\"]\nbudget = { bits_per_weight = 6 }\nsearch.start = \"uniform\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	problem, err := s.Build(context.Background(), task)
	if err != nil {
		t.Fatal(err)
	}
	first := search.Candidate{Genome: make(search.Genome, len(problem.sites))}
	best := search.Candidate{ID: 5, Genome: first.Genome}
	for _, c := range []struct {
		what        string
		best, first float64 // KL on the whole text
		start       search.Genome
		want        int
	}{
		{"better", 1, 2, first.Genome, 5},
		{"worse", 2, 1, first.Genome, 0},
		{"alike", 1, 1, first.Genome, 5},
		{"broken", math.NaN(), 1, first.Genome, 0},
		{"worse than a random start", 2, 1, nil, 5},
	} {
		j := &judge{kl: []float64{c.best, c.first}}
		r := &run{Session: s, Problem: problem, engine: j, settings: search.Settings{Start: search.Start{Genome: c.start}}}
		got, err := r.noWorse(context.Background(), best, first)
		if err != nil || got.ID != c.want {
			t.Errorf("%s: candidate %d, %v", c.what, got.ID, err)
		}
		if c.start != nil && (j.slice.Tokens == 0 || j.slice.Corpus == task.Calibration) {
			t.Errorf("%s: judged on %d tokens that the search saw", c.what, j.slice.Tokens)
		}
	}
	second := search.Candidate{ID: 1, Genome: first.Genome}
	for _, c := range []struct {
		what string
		kl   []float64 // of the best, the first and the second
		want int
	}{
		{"better than both", []float64{1, 2, 3}, 5},
		{"worse than the second", []float64{2, 3, 1}, 1},
		{"worse than both", []float64{3, 1, 2}, 0},
	} {
		r := &run{Session: s, Problem: problem, engine: &judge{kl: c.kl}, strategy: prudent{naive: []search.Candidate{first, second}}}
		if got, err := r.noWorse(context.Background(), best, first); err != nil || got.ID != c.want {
			t.Errorf("%s: candidate %d, %v", c.what, got.ID, err)
		}
		r.strategy = prudent{naive: []search.Candidate{first, best}}
		if _, err := r.noWorse(context.Background(), best, first); err != nil {
			t.Error(err)
		}
	}
}

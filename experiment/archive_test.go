package experiment

import (
	"context"
	"errors"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"github.com/finch-llm/finch/export"
	"github.com/finch-llm/finch/store"
)

const tinyFront = "levels = [\"q4_0\", \"q5_0\", \"q8_0\", \"f16\"]\nbudget = { bytes = 150000 }\nsearch = { generations = 30, method = \"pareto\" }"

// TestChoose picks candidates of several sizes from one run: each is within the bytes that were asked for, none of the candidates that it was
// compared with scores better on the text of the choice, it ships at the recorded size, and its held-out KL is that of the file.
func TestChoose(t *testing.T) {
	place := newPlace(t)
	s := place.session(t, "a.db")
	p := build(t, s, place.experiment(t, tinyFront))
	ctx := context.Background()
	r, err := s.DB.Run(ctx, run1(t, s, p))
	if err != nil {
		t.Fatal(err)
	}
	before := math.Inf(1)
	for _, bytes := range []int64{130_000, 140_000, 150_000} {
		c, err := s.Choose(ctx, &r, bytes)
		if err != nil {
			t.Fatal(err)
		}
		if c.Result.FileBytes > bytes || c.Result.FileBytes < bytes*9/10 {
			t.Errorf("within %d bytes the choice has %d", bytes, c.Result.FileBytes)
		}
		if !c.Fresh || c.Tokens != 512 || c.Among < 2 || c.RunnerUp == c.Result.Candidate || c.Difference.Mean > 0 || !(c.Difference.Half > 0) {
			t.Errorf("%+v", c)
		}
		if !(c.Result.KL < before) || !(c.Result.KLError > 0) {
			t.Errorf("within %d bytes a KL of %g ± %g, before it was %g", bytes, c.Result.KL, c.Result.KLError, before)
		}
		before = c.Result.KL
		target, err := export.For("packed", c.Model)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(place.dir, "choice")
		writeNetwork(t, target, c.Network, path)
		score := rescore(t, s, p.Task, path)
		if kl := score.KLInterval().Mean; kl != c.Result.KL {
			t.Errorf("the file has KL %v, the choice %v", kl, c.Result.KL)
		}
		again, err := s.Candidate(ctx, &r, c.Result.Candidate)
		if err != nil || again.Levels != c.Levels || again.Result.KL != c.Result.KL || again.Result.Genome != c.Result.Genome {
			t.Errorf("by its number: %+v, %v", again, err)
		}
	}
	_, err = s.Choose(ctx, &r, 1000)
	fails(t, err, "its smallest candidate has", "more than 1000")
	if _, err = s.Candidate(ctx, &r, 9999); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a candidate that is not there: %v", err)
	}
}

// TestFront wants no point of the front to beat another on held-out text.
func TestFront(t *testing.T) {
	place := newPlace(t)
	s := place.session(t, "a.db")
	p := build(t, s, place.experiment(t, tinyFront))
	ctx := context.Background()
	r, err := s.DB.Run(ctx, run1(t, s, p))
	if err != nil {
		t.Fatal(err)
	}
	front, err := s.Front(ctx, &r)
	if err != nil || len(front) < 3 {
		t.Fatalf("%+v, %v", front, err)
	}
	for i, point := range front {
		if i > 0 && (point.FileBytes <= front[i-1].FileBytes || point.KL >= front[i-1].KL) {
			t.Errorf("%d bytes with KL %g after %d with %g", point.FileBytes, point.KL, front[i-1].FileBytes, front[i-1].KL)
		}
		if !(point.KLError > 0) || point.Candidate == 0 {
			t.Errorf("%+v", point)
		}
	}
	if last := front[len(front)-1].FileBytes; last > 150_000 {
		t.Errorf("%d bytes are over the budget", last)
	}
	r.EvaluationHash = "another"
	_, err = s.Front(ctx, &r)
	fails(t, err, "has changed since run 1")
}

func TestShortlist(t *testing.T) {
	at := func(id, bytes, longest int64, fitness float64) scored {
		return scored{Candidate: store.Candidate{ID: id, FileBytes: bytes, Genome: string(rune('a' + id))}, longest: longest, fitness: fitness}
	}
	var all []scored
	for id := range int64(10) {
		all = append(all, at(id+1, 100, 500, float64(10-id)), at(id+11, 100, 100, float64(20-id)/4), at(id+21, 300, 500, 0))
	}
	list, err := shortlist(all, 200)
	if err != nil {
		t.Fatal(err)
	}
	var ids []int64
	for _, c := range list {
		ids = append(ids, c.ID)
	}
	if !slices.Equal(ids, []int64{10, 9, 8, 7, 20, 19, 18, 17}) {
		t.Errorf("%v, want the best four of the long slices and the best others", ids)
	}
	_, err = shortlist(nil, 200)
	fails(t, err, "no candidate yet")
}

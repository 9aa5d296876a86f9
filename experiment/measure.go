package experiment

import (
	"context"
	"fmt"
	"math"

	"github.com/finch-llm/finch/evaluator"
	"github.com/finch-llm/finch/model"
	"github.com/finch-llm/finch/search"
	"github.com/finch-llm/finch/store"
)

// measure scores the winner, the baseline at the same budget and the dense model on the evaluation text, which no search
// ever sees, and records the three.
func (r *run) measure(ctx context.Context, winner search.Candidate) error {
	naive, err := r.uniform(r.settings)
	if err != nil {
		return r.Config.Errorf("budget", "no baseline: %v", err)
	}
	costs := make([]cost, 3)
	for i, c := range []struct {
		what   string
		genome search.Genome
	}{{"winner", winner.Genome}, {"baseline", naive}} {
		if costs[i], err = r.count(c.genome); err != nil {
			return r.Config.Errorf("budget", "the %s cannot be written: %v: allow more, or add smaller levels", c.what, err)
		}
	}
	if costs[2], err = r.dense(); err != nil {
		return err
	}
	networks := []*model.Network{r.Network(winner.Genome), r.Network(naive), &r.Model.Network}
	scores, err := r.insist(ctx, "measuring on held-out text", networks, r.Evaluation.Whole())
	if err != nil {
		return err
	}
	if math.IsNaN(r.fitness(&scores[0])) {
		return fmt.Errorf("the best candidate of %s gives no finite scores, as all others that the search tried: allow milder levels", r.Config.Name)
	}
	results := []store.Result{
		result(store.Winner, r.Config.Search.Method, &scores[0]),
		result(store.Baseline, r.baseline(), &scores[1]),
		result(store.Dense, "dense", &scores[2]),
	}
	won := &results[0]
	won.Candidate = int64(winner.ID + 1)
	difference := evaluator.PairedKL(&scores[0], &scores[1])
	won.PairedDifference, won.PairedError = difference.Mean, difference.Half
	won.Genome, results[1].Genome = winner.Genome.String(), naive.String()
	for i, result := range results {
		result.FileBytes, result.BitsPerWeight, result.Nonzeros = costs[i].file, r.bitsPerWeight(costs[i]), costs[i].nonzeros
		if err := r.DB.PutResult(ctx, r.id, result); err != nil {
			return err
		}
	}
	return nil
}

// baseline names the allocation that a winner is compared with: where nothing but sublayers can be chosen, the uniform
// strategy ranks them as ShortGPT does.
func (p *Problem) baseline() string {
	if search.DetectAxis(p.Space) == search.Depth {
		return "shortgpt"
	}
	return "uniform"
}

// result is a score on the evaluation text.
func result(role store.Role, method string, s *evaluator.Score) store.Result {
	kl, nll := s.KLInterval(), s.NLLInterval()
	return store.Result{
		Role: role, Method: method,
		KL: kl.Mean, KLError: kl.Half, PPL: math.Exp(nll.Mean), PPLError: math.Exp(nll.Mean) * nll.Half,
		Tokens: int64(s.Tokens), PairedDifference: math.NaN(), PairedError: math.NaN(),
	}
}

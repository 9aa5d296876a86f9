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
	if winner.ID < 0 {
		return fmt.Errorf("no candidate of %s could be scored: there is no winner", r.Config.Name)
	}
	baseline, err := search.New("uniform", r.Space, r.settings, r.seed)
	if err != nil {
		return r.Config.Errorf("budget", "no baseline: %v", err)
	}
	batch, _ := baseline.Ask()
	naive := batch.Candidates[0]
	networks := []*model.Network{r.Network(winner.Genome), r.Network(naive.Genome), &r.Model.Network}
	scores, err := r.engine.Score(ctx, networks, r.Evaluation.Whole())
	if err != nil {
		return err
	}
	won := r.result(store.Winner, winner.Genome, r.Config.Search.Method, &scores[0])
	won.Candidate = int64(winner.ID + 1)
	difference := evaluator.PairedKL(&scores[0], &scores[1])
	won.PairedDifference, won.PairedError = difference.Mean, difference.Half
	dense := r.result(store.Dense, nil, "dense", &scores[2])
	dense.FileBytes, dense.BitsPerWeight, dense.Nonzeros, err = r.dense()
	if err != nil {
		return err
	}
	for _, result := range []store.Result{won, r.result(store.Baseline, naive.Genome, r.baseline(), &scores[1]), dense} {
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

// result is a score on the evaluation text with what the network costs.
func (r *run) result(role store.Role, g search.Genome, method string, s *evaluator.Score) store.Result {
	kl, nll := s.KLInterval(), s.NLLInterval()
	result := store.Result{
		Role: role, Genome: g.String(), Method: method,
		KL: kl.Mean, KLError: kl.Half, PPL: math.Exp(nll.Mean), PPLError: math.Exp(nll.Mean) * nll.Half,
		Tokens: int64(s.Tokens), PairedDifference: math.NaN(), PairedError: math.NaN(),
	}
	if g != nil {
		total := r.count(g)
		result.FileBytes, result.BitsPerWeight, result.Nonzeros = total.file, r.bitsPerWeight(total), total.nonzeros
	}
	return result
}

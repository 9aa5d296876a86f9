package experiment

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/finch-llm/finch/evaluator"
	"github.com/finch-llm/finch/model"
	"github.com/finch-llm/finch/search"
	"github.com/finch-llm/finch/store"
)

const (
	// contenders of each kind are compared with each other: those of the best scores on the longest slices, and of the best scores at all.
	contenders = 4
	// freshSequences are the fewest that a comparison is worth having on text that the search did not see, rather than on more that it saw.
	freshSequences = 16
)

// Choice is the best candidate of a run's archive within so many bytes.
type Choice struct {
	*Winner
	Among      int                // candidates were compared,
	Tokens     int                // on so many tokens of calibration text,
	Fresh      bool               // which the search did not see
	KL         evaluator.Interval // there
	RunnerUp   int64              // the second best; 0: there is none
	Difference evaluator.Interval // in KL to it, paired by sequence
}

// Choose finds the best candidate that a run scored of at most so many bytes. Those few that look best by their recorded scores are
// scored together on one text, and the fittest there is the choice.
func (s *Session) Choose(ctx context.Context, r *store.Run, bytes int64) (*Choice, error) {
	all, err := s.archive(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	few, err := shortlist(all, bytes)
	if err != nil {
		return nil, fmt.Errorf("run %d: %w", r.ID, err)
	}
	t, err := s.restore(r)
	if err != nil {
		return nil, err
	}
	text, fresh, err := s.fresh(t)
	if err != nil {
		return nil, fmt.Errorf("run %d: %w", r.ID, err)
	}
	candidates, err := s.rescore(ctx, t, r.ID, few, text.Whole())
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(candidates, func(a, b candidate) int { return compareFitness(t.fitness(&a.score), t.fitness(&b.score)) })
	best := &candidates[0]
	if math.IsNaN(t.fitness(&best.score)) {
		return nil, fmt.Errorf("run %d: no candidate of at most %d bytes gives finite scores: allow more", r.ID, bytes)
	}
	c := &Choice{Among: len(candidates), Tokens: best.score.Tokens, Fresh: fresh, KL: best.score.KLInterval()}
	if len(candidates) > 1 {
		c.RunnerUp, c.Difference = candidates[1].ID, evaluator.PairedKL(&best.score, &candidates[1].score)
	}
	c.Winner, err = s.measured(ctx, t, r, best.scored)
	return c, err
}

// Candidate restores one of a run's candidates, and measures it on held-out text.
func (s *Session) Candidate(ctx context.Context, r *store.Run, id int64) (*Winner, error) {
	all, err := s.archive(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(all, func(c scored) bool { return c.ID == id })
	if at < 0 {
		return nil, fmt.Errorf("run %d has no candidate %d: %w: `finch query` lists them: SELECT id, file_bytes FROM candidates WHERE run_id = %d", r.ID, id, store.ErrNotFound, r.ID)
	}
	t, err := s.restore(r)
	if err != nil {
		return nil, err
	}
	return s.measured(ctx, t, r, all[at])
}

// measured restores a candidate with its held-out scores.
func (s *Session) measured(ctx context.Context, t *Task, r *store.Run, which scored) (*Winner, error) {
	candidates, err := s.heldOut(ctx, t, r, []scored{which})
	if err != nil {
		return nil, err
	}
	c := &candidates[0]
	return &Winner{Config: t.Config, Model: t.Model, Network: c.network, Result: c.result(r), Levels: c.levels}, nil
}

// Front measures on held-out text those candidates that no other beats in both bytes and recorded scores, and returns them, from the
// smallest, without those that others beat there.
func (s *Session) Front(ctx context.Context, r *store.Run) ([]store.Result, error) {
	all, err := s.archive(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	longest := longestScored(all)
	slices.SortStableFunc(longest, func(a, b scored) int {
		return cmp.Or(cmp.Compare(a.FileBytes, b.FileBytes), compareFitness(a.fitness, b.fitness))
	})
	front := unbeaten(longest, func(c *scored) float64 { return c.fitness })
	if len(front) == 0 {
		return nil, fmt.Errorf("run %d has scored no candidate yet: `finch status` says how far it is", r.ID)
	}
	t, err := s.restore(r)
	if err != nil {
		return nil, err
	}
	candidates, err := s.heldOut(ctx, t, r, front)
	if err != nil {
		return nil, err
	}
	candidates = unbeaten(candidates, func(c *candidate) float64 { return c.score.MeanKL() })
	results := make([]store.Result, len(candidates))
	for i := range candidates {
		results[i] = candidates[i].result(r)
	}
	return results, nil
}

// unbeaten leaves of a list that is sorted by bytes those whose value is less than all before.
func unbeaten[T any](list []T, value func(*T) float64) []T {
	var left []T
	least := math.Inf(1)
	for i := range list {
		if v := value(&list[i]); v < least {
			least = v
			left = append(left, list[i])
		}
	}
	return left
}

// scored is a recorded candidate with what its scores say.
type scored struct {
	store.Candidate
	fitness float64 // an estimate from all its scores
	longest int64   // tokens of the longest slice that it was scored on
}

// archive is all candidates of a run that have a finite score. Their fitness compares although they were scored on different slices.
func (s *Session) archive(ctx context.Context, run int64) ([]scored, error) {
	batches, err := s.DB.Batches(ctx, run)
	if err != nil {
		return nil, err
	}
	var estimates search.Estimates
	var all []scored
	for _, b := range batches {
		for _, c := range b.Candidates {
			all = append(all, scored{Candidate: c})
		}
		ids, fitness := make([]int, len(b.Scores)), make([]float64, len(b.Scores))
		for i, score := range b.Scores {
			ids[i], fitness[i] = int(score.Candidate), score.Fitness
			c := &all[score.Candidate-1] // ids count from 1
			c.longest = max(c.longest, score.Tokens)
		}
		estimates.Tell(ids, fitness, int(b.Slice.Tokens))
	}
	for i := range all {
		all[i].fitness = estimates.Of(int(all[i].ID))
	}
	return slices.DeleteFunc(all, func(c scored) bool { return math.IsNaN(c.fitness) }), nil
}

// longestScored are the candidates that reached the longest slices.
func longestScored(all []scored) []scored {
	most := int64(0)
	for _, c := range all {
		most = max(most, c.longest)
	}
	var list []scored
	for _, c := range all {
		if c.longest == most {
			list = append(list, c)
		}
	}
	return list
}

// shortlist are the candidates of at most so many bytes that look best. Of one network there is one.
func shortlist(all []scored, bytes int64) ([]scored, error) {
	var small []scored
	least := int64(math.MaxInt64)
	for _, c := range all {
		if least = min(least, c.FileBytes); c.FileBytes <= bytes {
			small = append(small, c)
		}
	}
	switch {
	case len(all) == 0:
		return nil, fmt.Errorf("it has scored no candidate yet: `finch status` says how far it is")
	case len(small) == 0:
		return nil, fmt.Errorf("its smallest candidate has %d bytes, more than %d: ask for as many, or search with levels that are smaller", least, bytes)
	}
	byFitness := func(a, b scored) int { return compareFitness(a.fitness, b.fitness) }
	longest := longestScored(small)
	slices.SortStableFunc(longest, byFitness)
	slices.SortStableFunc(small, byFitness)
	list := longest[:min(contenders, len(longest))]
	for _, c := range small {
		if len(list) == 2*contenders {
			break
		}
		if !slices.ContainsFunc(list, func(o scored) bool { return o.Genome == c.Genome }) {
			list = append(list, c)
		}
	}
	return list, nil
}

// compareFitness sorts NaN, which is a failure, last.
func compareFitness(a, b float64) int {
	if math.IsNaN(a) || math.IsNaN(b) {
		return cmp.Compare(b, a)
	}
	return cmp.Compare(a, b)
}

// candidate is a recorded one, restored, with its scores on one text.
type candidate struct {
	scored
	network *model.Network
	levels  string // as of Winner
	score   evaluator.Score
}

func (c *candidate) result(r *store.Run) store.Result {
	result := result("", r.Method, &c.score)
	result.Candidate, result.Genome = c.ID, c.Genome
	result.FileBytes, result.BitsPerWeight, result.Nonzeros = c.FileBytes, c.BitsPerWeight, c.Nonzeros
	return result
}

// heldOut restores candidates and scores them on the text of evaluation.
func (s *Session) heldOut(ctx context.Context, t *Task, r *store.Run, list []scored) ([]candidate, error) {
	text, err := s.corpus(t.Model, t.Config.Evaluation)
	if err != nil {
		return nil, fmt.Errorf("run %d: %w", r.ID, err)
	}
	if text.Hash != r.EvaluationHash {
		return nil, fmt.Errorf("%s has changed since run %d was begun: bring the old one back", t.Config.Evaluation.Data, r.ID)
	}
	return s.rescore(ctx, t, r.ID, list, text.Whole())
}

// rescore restores candidates and scores them on a slice.
func (s *Session) rescore(ctx context.Context, t *Task, run int64, list []scored, slice evaluator.Slice) ([]candidate, error) {
	candidates, networks := make([]candidate, len(list)), make([]*model.Network, len(list))
	for i := range list {
		c := &candidates[i]
		c.scored = list[i]
		var err error
		if c.network, c.levels, err = s.network(ctx, t, run, c.Genome); err != nil {
			return nil, fmt.Errorf("candidate %d of run %d: %w", c.ID, run, err)
		}
		networks[i] = c.network
	}
	engine, err := s.engine(t.Model, slice.Corpus.Sequence, t.topK())
	if err != nil {
		return nil, err
	}
	scores, err := engine.Score(ctx, networks, slice)
	for i := range scores {
		candidates[i].score = scores[i]
	}
	return candidates, err
}

// fresh is calibration text that the search did not see: what follows on that which it saw, as much as the evaluation takes. Where there is
// next to nothing, it is all that the search saw.
func (s *Session) fresh(t *Task) (text *evaluator.Corpus, unseen bool, err error) {
	seen := t.Config.Calibration
	ids, err := s.tokens(t.Model, seen.Data, seen.Tokens+t.Config.Evaluation.Tokens)
	if err != nil {
		return nil, false, err
	}
	rest := ids[min(seen.Tokens, len(ids)):]
	if len(rest) < freshSequences*seen.Sequence {
		text, err = s.corpus(t.Model, seen)
		return text, false, err
	}
	tokens := max(min(len(rest), t.Config.Evaluation.Tokens), freshSequences*seen.Sequence)
	text, err = evaluator.NewCorpus(rest, tokens, seen.Sequence, t.Model.Tokenizer.Prefix())
	return text, true, err
}

package experiment

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"

	"github.com/finch-llm/finch/configs"
	"github.com/finch-llm/finch/evaluator"
	"github.com/finch-llm/finch/export"
	"github.com/finch-llm/finch/model"
	"github.com/finch-llm/finch/search"
	"github.com/finch-llm/finch/store"
)

// Finished says that the experiment's run with this seed has ended, with these settings.
func (s *Session) Finished(ctx context.Context, config *configs.Experiment, seed uint64) (bool, error) {
	r, err := s.DB.FindRun(ctx, config.Name, int64(seed))
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := sameSettings(config, seed, &r); err != nil {
		return false, err
	}
	return r.Status == store.Finished, nil
}

// sameSettings refuses to go on with a run under other settings than it was begun with.
func sameSettings(config *configs.Experiment, seed uint64, r *store.Run) error {
	if r.ConfigHash != hash(config.Canonical()) {
		return config.Errorf("", "experiment %q seed %d was begun with other settings (run %d): write them as they were, give it another name, or start anew with --fresh",
			config.Name, seed, r.ID)
	}
	return nil
}

func hash(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// engine scores networks, as evaluator.Engine does.
type engine interface {
	Score(ctx context.Context, networks []*model.Network, slice evaluator.Slice) ([]evaluator.Score, error)
	Influence(ctx context.Context, slice evaluator.Slice) ([]float64, error)
	Forget()
	Path() string
}

// run is one execution of one experiment with one seed.
type run struct {
	*Session
	*Problem
	id       int64
	seed     uint64
	engine   engine
	strategy search.Strategy
	settings search.Settings
	known    int // candidates recorded so far

	infeasible map[int]bool // candidates that no file can hold, by ID
}

// SetAside supersedes the experiment's run with this seed, if there is one: Run then begins a new one.
func (s *Session) SetAside(ctx context.Context, config *configs.Experiment, seed uint64) error {
	r, err := s.DB.FindRun(ctx, config.Name, int64(seed))
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return s.DB.SupersedeRun(ctx, r.ID)
}

// Run executes an experiment with one seed, or goes on where an earlier process stopped, and returns its run. When ctx
// ends, what has been scored is committed and ctx's error returned.
func (s *Session) Run(ctx context.Context, p *Problem, seed uint64) (id int64, err error) {
	r := &run{Session: s, Problem: p, seed: seed, infeasible: map[int]bool{}}
	if r.engine, err = s.engine(p.Model, max(p.Calibration.Sequence, p.Evaluation.Sequence), p.topK()); err != nil {
		return 0, err
	}
	r.engine.Forget() // the parents of another run
	if err := r.begin(ctx); err != nil {
		return 0, err
	}
	start := s.Clock()
	err = r.execute(ctx, func() float64 { return s.Clock().Sub(start).Seconds() })
	seconds := s.Clock().Sub(start).Seconds()
	after := context.WithoutCancel(ctx)
	switch {
	case err == nil:
		return r.id, s.DB.FinishRun(after, r.id, seconds)
	case ctx.Err() != nil:
		return r.id, errors.Join(err, s.DB.InterruptRun(after, r.id, seconds))
	default:
		return r.id, errors.Join(err, s.DB.FailRun(after, r.id, seconds, err))
	}
}

func (t *Task) topK() int {
	if t.Config.Search.Fitness == configs.TopKKL {
		return t.Config.Search.TopK
	}
	return 0
}

// begin finds the run to go on with or records a new one.
func (r *run) begin(ctx context.Context) error {
	config := r.Config
	old, err := r.DB.FindRun(ctx, config.Name, int64(r.seed))
	switch {
	case err == nil:
		if err := r.mayResume(&old); err != nil {
			return err
		}
		r.id, err = old.ID, r.DB.ResumeRun(ctx, old.ID)
	case errors.Is(err, store.ErrNotFound):
		r.id, err = r.DB.BeginRun(ctx, store.Run{
			Experiment: config.Name, Method: config.Search.Method, Seed: int64(r.seed),
			Config: string(config.Canonical()), ConfigHash: hash(config.Canonical()),
			Model: config.Model, ModelHash: r.Model.Hash, CalibrationHash: r.Calibration.Hash, EvaluationHash: r.Evaluation.Hash,
			Target: config.Target, Budget: describeBudget(&config.Budget), LimitBytes: config.Budget.Bytes,
			KernelPath: r.engine.Path(), Version: r.Version,
		})
	}
	if err != nil {
		return err
	}
	// Also of a run that goes on: its process may have ended between the two.
	sites, levels := r.records()
	return r.DB.PutSpace(ctx, r.id, sites, levels)
}

// mayResume refuses to go on when the same question would get another answer.
func (r *run) mayResume(old *store.Run) error {
	if err := sameSettings(r.Config, r.seed, old); err != nil {
		return err
	}
	for _, c := range []struct{ what, was, is string }{
		{"model", old.ModelHash, r.Model.Hash},
		{"calibration text", old.CalibrationHash, r.Calibration.Hash},
		{"evaluation text", old.EvaluationHash, r.Evaluation.Hash},
	} {
		if c.was != c.is {
			return r.Config.Errorf("", "the %s has changed since run %d was begun (SHA-256 %.12s, now %.12s): bring the old one back, or start anew with --fresh",
				c.what, old.ID, c.was, c.is)
		}
	}
	if old.KernelPath != r.engine.Path() {
		return fmt.Errorf("run %d was begun with the kernels %s, which score a little differently from %s: go on with --kernels %s, or start anew with --fresh",
			old.ID, old.KernelPath, r.engine.Path(), old.KernelPath)
	}
	return nil
}

// records are the sites and levels as the database keeps them.
func (p *Problem) records() ([]store.Site, []store.Level) {
	var sites []store.Site
	var levels []store.Level
	for i, s := range p.Space.Sites {
		sites = append(sites, store.Site{Position: i, Name: s.Name, Kind: s.Kind, Block: s.Block, Weights: s.Weights})
		for l, c := range p.sites[i].choices {
			level := store.Level{
				Site: i, Index: l, Name: c.name, Format: "", Bytes: c.cost.stored, Nonzeros: c.cost.nonzeros, RelativeError: math.NaN(),
			}
			if c.info.Level != "" {
				level.Format, level.RelativeError = c.info.Format.String(), c.info.RelativeError
				level.BitsPerWeight = c.info.BitsPerWeight()
			}
			levels = append(levels, level)
		}
	}
	return sites, levels
}

// execute asks, answers and records until the search has finished, and then measures.
func (r *run) execute(ctx context.Context, seconds func() float64) error {
	if err := r.makeStrategy(ctx); err != nil {
		return err
	}
	r.Progress.Begin(r.Config.Name, r.seed, r.settings.TotalTokens())
	defer r.Progress.End()
	best, fitness := search.Candidate{ID: -1}, math.NaN()
	first := best
	opened := seconds()
	batch, more := r.strategy.Ask()
	for more {
		answers, update, err := r.answer(ctx, &batch)
		if err != nil {
			return err
		}
		r.strategy.Tell(answers)
		if batch.Generation == 0 {
			first = r.strategy.Best()
		}
		if best = r.strategy.Best(); best.ID >= 0 {
			for i, c := range batch.Candidates {
				if c.ID == best.ID {
					fitness = answers[i]
				}
			}
		}
		update.Best = fitness
		r.Progress.Scored(update)
		generation := batch.Generation
		batch, more = r.strategy.Ask()
		if !more || batch.Generation != generation {
			closed := store.Generation{Generation: generation, BestCandidate: int64(best.ID + 1), BestFitness: fitness, Seconds: seconds() - opened}
			if _, err := r.DB.CloseGeneration(ctx, r.id, closed); err != nil {
				return err
			}
			opened = seconds()
		}
	}
	winner, err := r.noWorse(ctx, best, first)
	if err != nil {
		return err
	}
	return r.measure(ctx, winner)
}

// noWorse is the best candidate or, if the search began at the baseline and that is better on the whole calibration text, the first:
// selection sees parts of the text only.
func (r *run) noWorse(ctx context.Context, best, first search.Candidate) (search.Candidate, error) {
	if r.settings.Start.Genome == nil || best.ID == first.ID {
		return best, nil
	}
	scores, err := r.engine.Score(ctx, []*model.Network{r.Network(best.Genome), r.Network(first.Genome)}, r.Calibration.Whole())
	if err != nil {
		return best, err
	}
	if found := r.fitness(&scores[0]); r.fitness(&scores[1]) < found || math.IsNaN(found) {
		return first, nil
	}
	return best, nil
}

// makeStrategy makes the strategy that the configuration names.
func (r *run) makeStrategy(ctx context.Context) error {
	set, err := r.complete(ctx)
	if err != nil {
		return err
	}
	r.settings = set
	r.strategy, err = search.New(r.Config.Search.Method, r.Space, set, r.seed)
	if err != nil {
		return r.Config.Errorf("search", "%v", err)
	}
	return nil
}

// complete gives the settings with their defaults and, if sublayers may be dropped, how much each block matters.
func (r *run) complete(ctx context.Context) (search.Settings, error) {
	set := settings(&r.Config.Search)
	if r.Config.Levels.Drops() {
		influence, err := r.engine.Influence(ctx, r.Calibration.First(influenceSequences))
		if err != nil {
			return set, err
		}
		for i := range r.sites {
			if s := &r.sites[i]; s.attn || s.mlp {
				set.Importance = append(set.Importance, influence[s.block])
			}
		}
	}
	set, err := search.Complete(r.Space, set)
	if err == nil && r.Config.Search.Start == configs.StartUniform {
		set.Start.Genome, err = r.uniform(set)
	}
	if err != nil {
		return set, r.Config.Errorf("search", "%v", err)
	}
	return set, nil
}

// uniform is the baseline at the same budget.
func (r *run) uniform(set search.Settings) (search.Genome, error) {
	baseline, err := search.New("uniform", r.Space, set, r.seed)
	if err != nil {
		return nil, err
	}
	batch, _ := baseline.Ask()
	return batch.Candidates[0].Genome, nil
}

// influenceSequences is how many sequences block influence is averaged over: cosines of hidden states vary little from
// text to text.
const influenceSequences = 8

// answer gives the fitness of every candidate of a batch: from the record if the batch is there, else by scoring it, in
// which case it is committed before answer returns.
func (r *run) answer(ctx context.Context, b *search.Batch) (fitness []float64, u Update, err error) {
	slice, err := r.Calibration.Draw(search.SliceRand(r.seed, b.Generation, b.Stage), b.Tokens)
	if err != nil {
		return nil, u, r.Config.Errorf("search.tokens", "%v", err)
	}
	record, err := r.batchRecord(b, slice)
	if err != nil {
		return nil, u, err
	}
	u = Update{Generation: b.Generation, Generations: r.settings.Generations, Scores: len(b.Candidates), Tokens: int64(b.Tokens)}
	old, ok, err := r.DB.Batch(ctx, r.id, b.Generation, b.Stage)
	if err != nil {
		return nil, u, err
	}
	if ok {
		u.Replayed = true
		fitness, err = r.replay(b, &record, &old)
		return fitness, u, err
	}
	if record.Scores, err = r.score(ctx, b, slice); err != nil {
		return nil, u, err
	}
	for _, s := range record.Scores {
		if s.Memo {
			u.Memo++
		}
		if math.IsNaN(s.Fitness) {
			for k := range record.Candidates {
				if record.Candidates[k].ID == s.Candidate {
					record.Candidates[k].Status = store.CandidateFailed
				}
			}
		}
	}
	return told(b, record.Scores), u, r.DB.RecordBatch(ctx, r.id, record)
}

// fitness is what the experiment minimises; NaN says that scoring failed.
func (r *run) fitness(s *evaluator.Score) float64 {
	f := s.MeanKL()
	switch r.Config.Search.Fitness {
	case configs.PPL:
		f = s.Perplexity()
	case configs.TopKKL:
		f = s.MeanTopKL()
	}
	if math.IsInf(f, 0) {
		return math.NaN()
	}
	return f
}

// batchRecord is a batch without its scores, with the candidates that no earlier batch had.
func (r *run) batchRecord(b *search.Batch, slice evaluator.Slice) (store.BatchRecord, error) {
	record := store.BatchRecord{
		Generation: b.Generation, Stage: b.Stage,
		Slice: store.Slice{Tokens: int64(slice.Tokens), Hash: slice.Hash()},
	}
	for _, c := range b.Candidates {
		if c.ID < r.known {
			continue
		}
		r.known = c.ID + 1
		status := store.CandidateScored
		total, err := r.count(c.Genome)
		if errors.Is(err, export.ErrNoBlocks) {
			status = store.CandidateInfeasible
			r.infeasible[c.ID] = true
		} else if err != nil {
			return record, err
		}
		record.Candidates = append(record.Candidates, store.Candidate{
			ID: int64(c.ID + 1), Slot: c.Slot, Genome: c.Genome.String(), Parent: int64(c.Parent + 1), Operator: c.Operator,
			FileBytes: total.file, BitsPerWeight: r.bitsPerWeight(total), Nonzeros: total.nonzeros, Status: status,
		})
	}
	return record, nil
}

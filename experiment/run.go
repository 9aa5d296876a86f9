package experiment

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/finch-llm/finch/compress"
	"github.com/finch-llm/finch/configs"
	"github.com/finch-llm/finch/evaluator"
	"github.com/finch-llm/finch/export"
	"github.com/finch-llm/finch/model"
	"github.com/finch-llm/finch/search"
	"github.com/finch-llm/finch/store"
)

func hash(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// engine scores networks, as evaluator.Engine does.
type engine interface {
	Score(ctx context.Context, networks []*model.Network, slice evaluator.Slice) ([]evaluator.Score, error)
	Influence(ctx context.Context, slice evaluator.Slice) ([]float64, error)
	Change(ctx context.Context, slice evaluator.Slice) ([]float64, error)
	Distances(ctx context.Context, slice evaluator.Slice) ([][]float64, error)
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
	faults     faults
	pace       time.Duration // of the slowest scoring of the session, for one token of one candidate
}

// Run executes an experiment with one seed, or goes on where an earlier process stopped, and returns its run. When ctx
// ends, what has been scored is committed and ctx's error returned; when the session's time does, the batch that is being
// scored is finished and committed first.
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
	case ctx.Err() != nil || errors.Is(err, ErrTimeLimit):
		return r.id, errors.Join(err, s.DB.InterruptRun(after, r.id, seconds))
	default:
		marked := s.DB.FailRun(after, r.id, seconds, err)
		if errors.Is(err, store.ErrFull) && errors.Is(marked, store.ErrFull) || errors.Is(err, store.ErrIO) && errors.Is(marked, store.ErrIO) {
			return r.id, err // the database cannot be written to: said once is enough
		}
		return r.id, errors.Join(err, marked)
	}
}

func (t *Task) topK() int {
	if t.Config.Search.Fitness == configs.TopKKL {
		return t.Config.Search.TopK
	}
	return 0
}

// records are the sites and levels as the database keeps them.
func (p *Problem) records() ([]store.Site, []store.Level) {
	var sites []store.Site
	var levels []store.Level
	for i, s := range p.Space.Sites {
		sites = append(sites, store.Site{Position: i, Name: s.Name, Kind: s.Kind, Block: s.Block, Weights: s.Weights})
		for l, c := range p.sites[i].choices {
			level := store.Level{
				Site: i, Index: l, Name: c.name, Format: formats(c.infos), Bytes: c.cost.stored, Nonzeros: c.cost.nonzeros,
				RelativeError: relativeError(c.infos),
			}
			if len(c.infos) > 0 { // a gate's cost is that of layers that are no sites
				level.BitsPerWeight = compress.BitsPerWeight(c.cost.stored, s.Weights)
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
	r.Progress.Begin(r.Config.Name, r.seed, r.strategy.Effort().Tokens)
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
		if err := r.faults.count(&batch, answers); err != nil {
			return err
		}
		r.strategy.Tell(answers.fitness)
		if batch.Generation == 0 {
			first = r.strategy.Best()
		}
		if best = r.strategy.Best(); best.ID >= 0 {
			for i, c := range batch.Candidates {
				if c.ID == best.ID {
					fitness = answers.fitness[i]
				}
			}
		}
		update.Generations, update.Best = r.strategy.Effort().Generations, fitness
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
		if !update.Replayed { // however short the time, a session gets a batch further
			if err := r.Expired(); err != nil {
				return err
			}
		}
	}
	winner, err := r.noWorse(ctx, best, first)
	if err != nil {
		return err
	}
	return r.measure(ctx, winner)
}

// cautious is a strategy whose winner must not be worse than what it began with.
type cautious interface{ Naive() []search.Candidate }

// noWorse is the best candidate or, if the search began at the baseline or is cautious, what it began with where that is better: selection
// sees parts of the text only. It is judged on calibration text that the search did not see if there is any, and else on all.
func (r *run) noWorse(ctx context.Context, best, first search.Candidate) (search.Candidate, error) {
	var naive []search.Candidate
	if c, ok := r.strategy.(cautious); ok {
		naive = c.Naive()
	} else if r.settings.Start.Genome != nil {
		naive = []search.Candidate{first}
	}
	naive = slices.DeleteFunc(slices.Clone(naive), func(c search.Candidate) bool { return c.ID == best.ID })
	if len(naive) == 0 {
		return best, nil
	}
	text, _, err := r.fresh(r.Task)
	if err != nil {
		return best, err
	}
	networks := []*model.Network{r.Network(best.Genome)}
	for _, c := range naive {
		networks = append(networks, r.Network(c.Genome))
	}
	scores, err := r.insist(ctx, "comparing with the start", networks, text.Whole())
	if err != nil {
		return best, err
	}
	least := r.fitness(&scores[0])
	for i, c := range naive {
		if f := r.fitness(&scores[i+1]); f < least || math.IsNaN(least) {
			best, least = c, f
		}
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

// complete gives the settings with their defaults and what the method may want to know of the model.
func (r *run) complete(ctx context.Context) (search.Settings, error) {
	set := r.searchSettings()
	if err := r.inform(ctx, &set); err != nil {
		return set, err
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

// answer gives the fitness of every candidate of a batch: from the record if the batch is there, else by scoring it, in
// which case it is committed before answer returns.
func (r *run) answer(ctx context.Context, b *search.Batch) (a answers, u Update, err error) {
	slice, err := r.Calibration.Draw(search.SliceRand(r.seed, b.Generation, b.Stage), b.Tokens)
	if err != nil {
		return a, u, r.Config.Errorf("search.tokens", "%v", err)
	}
	record, err := r.batchRecord(b, slice)
	if err != nil {
		return a, u, err
	}
	u = Update{Generation: b.Generation, Scores: len(b.Candidates), Tokens: int64(b.Tokens)}
	old, ok, err := r.DB.Batch(ctx, r.id, b.Generation, b.Stage)
	if err != nil {
		return a, u, err
	}
	if ok {
		u.Replayed = true
		a, err = r.replay(b, &record, &old)
		return a, u, err
	}
	if record.Scores, err = r.score(ctx, b, slice); err != nil {
		return a, u, err
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
func (t *Task) fitness(s *evaluator.Score) float64 {
	f := s.MeanKL()
	switch t.Config.Search.Fitness {
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

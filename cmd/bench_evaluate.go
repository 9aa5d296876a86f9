package cmd

import (
	"context"
	"fmt"
	"math"
	"os"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"github.com/finch-llm/finch/configs"
	"github.com/finch-llm/finch/evaluator"
	"github.com/finch-llm/finch/experiment"
	"github.com/finch-llm/finch/internal/resources"
	"github.com/finch-llm/finch/model"
	"github.com/finch-llm/finch/model/finchling"
	"github.com/finch-llm/finch/search"
)

// evaluateOptions of bench evaluate.
type evaluateOptions struct {
	model, levels      string
	offspring, tokens  int
	sequence, boundary int
	rounds, cached     int
}

func newBenchEvaluate() *cobra.Command {
	var o evaluateOptions
	var asJSON bool
	c := &cobra.Command{
		Use:   "evaluate",
		Short: "scoring the offspring of one parent, with and without what they share",
		Long: `evaluate builds six levels of every layer of a model (integers of 2 to 8 bits in groups of 64) and scores the offspring of one parent, mutated as EvoPress does, against
the dense model. First every block of each is run, which gives tokens_per_second, gflops (of the candidates' own forward passes
and heads: the dense model's logits, which up to eight candidates share, are not counted as work) and of_peak; then only those
that the parent's activations in the cache do not save, which gives prefix_speedup. prefix_bound is what skipping every block before an offspring's first changed one can give at most.
peak_rss_bytes is the most memory that the process had while --cached-tokens of the parent were brought into the cache, all
levels in memory. level_switch_seconds is the time to make a candidate out of its genome.`,
		Example: `  finch bench evaluate --json
  finch bench evaluate --model SmolLM2-135M-Instruct.Q4_1.gguf --boundaries 2`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			for _, f := range []struct {
				name       string
				value, min int
			}{{"offspring", o.offspring, 1}, {"tokens", o.tokens, 2}, {"sequence", o.sequence, 2}, {"boundaries", o.boundary, 1}, {"rounds", o.rounds, 1}, {"cached-tokens", o.cached, 2}} {
				if f.value < f.min {
					return usagef("--%s %d: write %d or more", f.name, f.value, f.min)
				}
			}
			if o.tokens%o.sequence != 0 {
				return usagef("--tokens %d: write a multiple of --sequence, which is %d", o.tokens, o.sequence)
			}
			r, err := benchEvaluate(c, o)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(c, r)
			}
			r.print(c)
			return nil
		},
	}
	c.Flags().StringVar(&o.model, "model", "builtin:finchling", "the model")
	c.Flags().StringVar(&o.levels, "levels", "", "a folder to keep the levels in (default: a temporary one, so that they are built each time)")
	c.Flags().IntVar(&o.offspring, "offspring", 128, "how many to score")
	c.Flags().IntVar(&o.tokens, "tokens", 1024, "on so many tokens")
	c.Flags().IntVar(&o.sequence, "sequence", 512, "in sequences of so many")
	c.Flags().IntVar(&o.boundary, "boundaries", 1, "keep the activations at every block boundary, or every second, …")
	c.Flags().IntVar(&o.cached, "cached-tokens", 16384, "bring so many tokens of the parent into the cache to see what it takes, in sequences of 2048")
	c.Flags().IntVar(&o.rounds, "rounds", 4, "in how many rounds the offspring are scored, with and without the cache in turn")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// evaluateBench is what bench evaluate prints.
type evaluateBench struct {
	Model           string  `json:"model"`
	Path            string  `json:"path"`
	Threads         int     `json:"threads"`
	Offspring       int     `json:"offspring"`
	Tokens          int     `json:"tokens"`
	Sequence        int     `json:"sequence"`
	Peak            float64 `json:"peak_gflops"`
	TokensPerSecond float64 `json:"tokens_per_second"`
	GFLOPS          float64 `json:"gflops"`
	OfPeak          float64 `json:"of_peak"`
	PrefixSpeedup   float64 `json:"prefix_speedup"`
	PrefixBound     float64 `json:"prefix_bound"`
	Cached          int     `json:"cached_tokens"`
	Boundaries      int     `json:"boundaries"`
	PeakRSS         int64   `json:"peak_rss_bytes"`
	LevelSwitch     float64 `json:"level_switch_seconds"`
}

// benchExperiment is the search whose candidates are measured: a budget in the middle of six levels.
const benchExperiment = `
[[experiment]]
name        = "bench"
model       = %q
target      = "packed"
calibration = { data = "builtin:calibration", tokens = %d, sequence = %d }
levels      = ["int2-g64", "int3-g64", "int4-g64", "int5-g64", "int6-g64", "int8-g64"]
budget      = { bits_per_weight = 4.375 }
search      = { method = "evopress", starts = 1, generations = 1, offspring = %d, survivors = [1], tokens = [%d] }
`

func benchEvaluate(c *cobra.Command, o evaluateOptions) (*evaluateBench, error) {
	ctx := c.Context()
	session, err := newSession(c)
	if err != nil {
		return nil, err
	}
	defer session.Close()
	m, err := openModel(c, o.model)
	if err != nil {
		return nil, usagef("--model: %w", err)
	}
	if err := m.Close(); err != nil {
		return nil, err
	}
	session.Levels = o.levels
	if o.levels == "" {
		if session.Levels, err = os.MkdirTemp("", "finch-bench-"); err != nil {
			return nil, err
		}
		defer os.RemoveAll(session.Levels)
	}
	text := fmt.Sprintf(benchExperiment, o.model, o.tokens, o.sequence, o.offspring, o.tokens)
	file, err := configs.Decoder{Level: levelTrait}.Parse([]byte(text), "bench")
	if err != nil {
		return nil, err
	}
	task, err := session.Prepare(&file.Experiments[0])
	if err != nil {
		return nil, err
	}
	problem, err := session.Build(ctx, task)
	if err != nil {
		return nil, err
	}
	parent, offspring, err := family(problem)
	if err != nil {
		return nil, err
	}
	r := &evaluateBench{
		Model: o.model, Path: session.Path.Name(), Threads: session.Workers, Offspring: len(offspring), Tokens: o.tokens,
		Sequence: o.sequence, Cached: o.cached, Boundaries: o.boundary,
	}
	if err := r.memory(ctx, session, problem, parent, o.cached); err != nil {
		return nil, err
	}
	if err := r.speed(ctx, session, problem, parent, offspring, o.rounds); err != nil {
		return nil, err
	}
	r.LevelSwitch = levelSwitch(problem)
	return r, nil
}

// family is a parent and its offspring.
func family(p *experiment.Problem) (parent *model.Network, offspring []*model.Network, err error) {
	set := p.Config.Search
	strategy, err := search.New(set.Method, p.Space, search.Settings{
		Generations: set.Generations, Offspring: set.Offspring, Survivors: set.Survivors, Tokens: set.Tokens,
		Start: search.Start{Candidates: set.Starts, Tokens: set.Tokens[0]},
	}, 1)
	if err != nil {
		return nil, nil, err
	}
	batch, _ := strategy.Ask()
	parent = p.Network(batch.Candidates[0].Genome)
	for batch.Generation == 0 {
		strategy.Tell(make([]float64, len(batch.Candidates)))
		batch, _ = strategy.Ask()
	}
	for _, c := range batch.Candidates[:set.Offspring] {
		offspring = append(offspring, p.Network(c.Genome))
	}
	return parent, offspring, nil
}

// memory finds the peak of the process while a parent's activations are kept and all levels are in memory.
func (r *evaluateBench) memory(ctx context.Context, s *experiment.Session, p *experiment.Problem, parent *model.Network, tokens int) error {
	sequence := min(2048, p.Model.Context, tokens)
	corpus, err := evaluator.NewCorpus(p.Model.Tokenizer.Encode(finchling.Calibration), tokens, sequence, p.Model.Tokenizer.Prefix())
	if err != nil {
		return err
	}
	engine, err := evaluator.New(p.Model, evaluator.Options{
		Path: s.Path, Workers: s.Workers, Context: sequence, Cache: math.MaxInt64, CacheEvery: r.Boundaries,
	})
	if err != nil {
		return err
	}
	debug.FreeOSMemory()
	resources.ResetPeakMemory()
	p.Touch()
	if _, err := engine.Score(ctx, []*model.Network{parent}, corpus.Whole()); err != nil {
		return err
	}
	r.PeakRSS, _ = resources.PeakMemory()
	return nil
}

// speed scores the offspring in rounds, each round some of them: apart, and with the parent's activations in the cache.
func (r *evaluateBench) speed(ctx context.Context, s *experiment.Session, p *experiment.Problem, parent *model.Network, offspring []*model.Network, rounds int) error {
	options := evaluator.Options{Path: s.Path, Workers: s.Workers, Context: r.Sequence, Apart: true}
	apart, err := evaluator.New(p.Model, options)
	if err != nil {
		return err
	}
	options.Apart, options.Cache, options.CacheEvery = false, math.MaxInt64, r.Boundaries
	cached, err := evaluator.New(p.Model, options)
	if err != nil {
		return err
	}
	slice := p.Calibration.First(r.Tokens / r.Sequence)
	for _, e := range []*evaluator.Engine{apart, cached} { // makes the dense model's targets, fills the cache
		if _, err := e.Score(ctx, []*model.Network{parent}, slice); err != nil {
			return err
		}
	}
	var alone, together time.Duration
	for round := range rounds {
		some := offspring[round*len(offspring)/rounds : (round+1)*len(offspring)/rounds]
		if len(some) == 0 {
			continue
		}
		r.Peak = max(r.Peak, measurePeak(s.Path, s.Workers)/1e9)
		start := time.Now()
		want, err := apart.Score(ctx, some, slice)
		if err != nil {
			return err
		}
		alone += time.Since(start)
		start = time.Now()
		got, err := cached.Score(ctx, some, slice)
		if err != nil {
			return err
		}
		together += time.Since(start)
		for i := range got {
			if got[i].Sums != want[i].Sums {
				return fmt.Errorf("offspring %d scores KL %v from the cache and %v without it", i, got[i].MeanKL(), want[i].MeanKL())
			}
		}
	}
	whole, partial := work(p.Model, parent, offspring, slice)
	r.TokensPerSecond = float64(len(offspring)*slice.Tokens) / alone.Seconds()
	r.GFLOPS = whole / alone.Seconds() / 1e9
	r.OfPeak = r.GFLOPS / r.Peak
	r.PrefixSpeedup = alone.Seconds() / together.Seconds()
	r.PrefixBound = whole / partial
	return nil
}

// work is the floating-point operations of scoring all offspring, and those from each one's first changed block on.
func work(m *model.Model, parent *model.Network, offspring []*model.Network, slice evaluator.Slice) (whole, partial float64) {
	sequence := slice.Corpus.Sequence
	for range slice.Sequences {
		for _, n := range offspring {
			changed := false
			for b := range n.Blocks {
				operations := float64(m.Operations(&n.Blocks[b], sequence))
				whole += operations
				of, now := &parent.Blocks[b], &n.Blocks[b]
				changed = changed || now.Layers != of.Layers || now.DropAttn != of.DropAttn || now.DropMLP != of.DropMLP
				if changed {
					partial += operations
				}
			}
			head := float64(m.HeadOperations(sequence))
			whole += head
			partial += head
		}
	}
	return whole, partial
}

// levelSwitch is the time to make a network out of a genome.
func levelSwitch(p *experiment.Problem) float64 {
	genome := make(search.Genome, len(p.Space.Sites))
	n := 0
	start := time.Now()
	for time.Since(start) < 50*time.Millisecond {
		site := n % len(genome)
		genome[site] = uint8((int(genome[site]) + 1) % len(p.Space.Sites[site].Levels))
		p.Network(genome)
		n++
	}
	return time.Since(start).Seconds() / float64(n)
}

func (r *evaluateBench) print(c *cobra.Command) {
	out := c.OutOrStdout()
	fmt.Fprintf(out, "%s, %d offspring on %d tokens in sequences of %d, kernels %s, %d threads\n", r.Model, r.Offspring, r.Tokens, r.Sequence, r.Path, r.Threads)
	where := "every block boundary"
	if r.Boundaries > 1 {
		where = fmt.Sprintf("one block boundary in %d", r.Boundaries)
	}
	fmt.Fprintf(out, "every block of each   %8.0f tokens/s, %.0f GFLOP/s, %.0f %% of the peak of %.0f on these threads\n", r.TokensPerSecond, r.GFLOPS, 100*r.OfPeak, r.Peak)
	fmt.Fprintf(out, "with the cache        %8.3f times as fast; skipping unchanged beginnings gives %.3f\n", r.PrefixSpeedup, r.PrefixBound)
	fmt.Fprintf(out, "memory                %8d MiB with %d tokens cached at %s\n", r.PeakRSS>>20, r.Cached, where)
	fmt.Fprintf(out, "switching a level     %8.1f µs\n", 1e6*r.LevelSwitch)
}

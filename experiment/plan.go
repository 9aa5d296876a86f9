package experiment

import (
	"context"
	"fmt"
	"slices"

	"github.com/finch-llm/finch/compress"
	"github.com/finch-llm/finch/configs"
	"github.com/finch-llm/finch/evaluator"
	"github.com/finch-llm/finch/internal/resources"
	"github.com/finch-llm/finch/model"
	"github.com/finch-llm/finch/search"
)

// Plan is what an experiment will take at most, all seeds together.
type Plan struct {
	Experiment  string  `json:"experiment"`
	Method      string  `json:"method"`
	Budget      string  `json:"budget"`
	Seeds       int     `json:"seeds"`
	Tokens      int64   `json:"tokens"`  // scored, held-out text included
	Seconds     float64 `json:"seconds"` // at the speed of the dense model here, levels not counted
	MemoryBytes int64   `json:"memory_bytes"`
	Streams     bool    `json:"streams"`    // weights and levels do not fit into memory together, and are read again and again
	DiskBytes   int64   `json:"disk_bytes"` // levels that are not built yet, by this plan or one before it, and records

	least int64 // bytes of memory without which it cannot be done
}

// recordBytes is about what one score and its candidate take in the database, indexes included.
const recordBytes = 850

// Plans says what tasks will take, after measuring the speed of each model for a moment.
func (s *Session) Plans(ctx context.Context, tasks []*Task) ([]Plan, error) {
	plans := make([]Plan, len(tasks))
	speeds := map[*model.Model]float64{}
	planned := map[compress.Key]bool{}
	for i, t := range tasks {
		speed, ok := speeds[t.Model]
		if !ok {
			var err error
			if speed, err = s.speed(ctx, t); err != nil {
				return nil, err
			}
			speeds[t.Model] = speed
		}
		p, err := s.plan(t, speed, planned)
		if err != nil {
			return nil, err
		}
		plans[i] = p
	}
	return plans, nil
}

// speed is how many tokens per second the dense model is scored with.
func (s *Session) speed(ctx context.Context, t *Task) (float64, error) {
	o := s.options()
	o.Cache, o.Context, o.TopK = 0, t.Calibration.Sequence, t.topK() // a second call must not be quicker than the first
	engine, err := evaluator.New(t.Model, o)
	if err != nil {
		return 0, err
	}
	defer engine.Rest()
	slice := t.Calibration.First(2 * s.Workers)
	dense := []*model.Network{&t.Model.Network}
	if _, err := engine.Score(ctx, dense, slice); err != nil { // pages in the weights, makes the dense model's targets
		return 0, err
	}
	start := s.Clock()
	if _, err := engine.Score(ctx, dense, slice); err != nil {
		return 0, err
	}
	return float64(slice.Tokens) / max(s.Clock().Sub(start).Seconds(), 1e-6), nil
}

func (s *Session) plan(t *Task, speed float64, planned map[compress.Key]bool) (Plan, error) {
	problem, err := t.problem(t.estimate)
	if err != nil {
		return Plan{}, err
	}
	set, err := search.Complete(problem.Space, problem.searchSettings())
	if err != nil {
		return Plan{}, t.Config.Errorf("search", "%v", err)
	}
	effort, err := search.Check(t.Config.Search.Method, problem.Space, set)
	if err != nil {
		return Plan{}, t.Config.Errorf("search", "%v", err)
	}
	seeds := int64(len(t.Config.Seeds))
	options := s.options()
	levels, err := t.levelNeeds(s.Levels, options, planned)
	if err != nil {
		return Plan{}, err
	}
	held := 3 * int64(len(t.Evaluation.Tokens)) // winner, baseline, dense
	if t.Config.Search.Start == configs.StartUniform {
		held += 2 * int64(len(t.Calibration.Tokens)) // whether the winner is better than the start
	}
	tokens := seeds * (effort.Tokens + held)
	scores := effort.Tokens / int64(min(set.Start.Tokens, slices.Min(set.Tokens)))
	weights, activations, targets := t.Model.Bytes+levels.stored, t.activationBytes(s.Workers), t.targetBytes()
	least, scratch := activations+targets, int64(0)
	if inMemory := 2 * options.Targets; inMemory > 0 && targets > inMemory { // of two texts
		least, scratch = activations+inMemory, targets
	}
	return Plan{
		Experiment: t.Config.Name, Method: t.Config.Search.Method, Budget: describeBudget(&t.Config.Budget), Seeds: int(seeds),
		Tokens: tokens, Seconds: float64(tokens) / speed,
		MemoryBytes: max(weights+activations+targets+min(options.Cache, t.streamBytes()), t.Model.Bytes+levels.memory), // the search begins after the levels
		Streams:     options.Memory > 0 && weights > options.Memory,
		DiskBytes:   levels.disk + seeds*scores*recordBytes + max(scratch, levels.scratch),
		least:       max(least, levels.memory),
	}, nil
}

// FitsLevels refuses to make the levels that tasks lack with less memory or disk than that takes.
func (s *Session) FitsLevels(tasks []*Task) error {
	planned := map[compress.Key]bool{}
	var plans []Plan
	for _, t := range tasks {
		n, err := t.levelNeeds(s.Levels, s.options(), planned)
		if err != nil {
			return err
		}
		plans = append(plans, Plan{DiskBytes: n.disk + n.scratch, least: n.memory})
	}
	return s.Fits(plans)
}

// levelNeeds is what it takes to have a task's levels.
type levelNeeds struct {
	stored  int64 // bytes of them all
	disk    int64 // of what neither a file holds nor an earlier plan makes
	scratch int64 // of disk while they are made
	memory  int64 // while they are made; 0 if they are there
}

// levelNeeds looks for levels in the folder dir, and adds what is missing to planned. The options are those of the engine that runs
// the text through the model.
func (t *Task) levelNeeds(dir string, o evaluator.Options, planned map[compress.Key]bool) (n levelNeeds, err error) {
	want := t.wanted()
	missing, err := t.missing(dir, want)
	if err != nil {
		return n, err
	}
	through := t.before(dir, missing, want)
	for i, w := range append(want, through...) {
		_, info, err := t.estimate(w.layer, levelChoice{level: w.level})
		if err != nil {
			return n, err
		}
		if i < len(want) {
			n.stored += info.Bytes
		}
		if key := w.key(); !planned[key] && !compress.Built(dir, key) {
			n.disk += info.Bytes
			planned[key] = true
		}
	}
	n.disk += n.disk / 50 // headers, and what was measured
	if len(missing) > 0 {
		n.memory, n.scratch = t.buildingBytes(missing, o)
	}
	return n, nil
}

// buildingBytes is what it takes to make levels: copies of the layers that workers compress and, if the text is run through the model,
// the moments of a block's inputs, two factorizations of each if a level asks for them, the inputs that workers sum, and the
// residual stream, which is on disk if it takes more than Targets. A text that the model writes itself is written before.
func (t *Task) buildingBytes(missing []wanted, o evaluator.Options) (memory, disk int64) {
	workers := o.Workers
	var moments, weights, inputs int64
	var seen [model.NumKinds]bool
	for _, k := range t.Model.Kinds() {
		rows, cols := t.Model.Shape(k)
		weights = max(weights, int64(rows)*int64(cols))
		if in := k.Input(); !seen[in] {
			seen[in] = true
			moments += int64(cols) * int64(cols)
			if k.Stacked() {
				cols *= t.Model.ExpertsUsed
			}
			inputs += int64(cols)
		}
	}
	if !t.fitting.runs() {
		return int64(workers) * 2 * 4 * weights, 0
	}
	factors := int64(0)
	if slices.ContainsFunc(missing, func(w wanted) bool { return w.level.Needs() == compress.NeedsHessian }) {
		factors = 2
	}
	sequences, length := t.fitting.sequences(), t.fitting.text.Sequence
	stream := int64(sequences*length) * int64(4*t.Model.Hidden)
	if o.Targets > 0 && stream > o.Targets {
		stream, disk = 0, stream
	}
	tokens := int64(max(1024, length))
	memory = (1+factors)*8*moments + int64(workers)*4*max(tokens*inputs, 4*weights) + stream + t.activationBytes(workers)
	if t.fitting.writes() {
		o.Context = length
		memory = max(memory, o.SampleBytes(t.Model, evaluator.Sampling{Sequences: sequences, Length: length}))
	}
	return memory, disk
}

// targetBytes is what the dense model's hidden states take, kept for every token of both texts.
func (t *Task) targetBytes() int64 {
	return int64(len(t.Calibration.Tokens)+len(t.Evaluation.Tokens)) * int64(4*t.Model.Hidden+16)
}

// streamBytes is what the residual streams at all block boundaries take, for every token of the calibration text.
func (t *Task) streamBytes() int64 {
	return int64(len(t.Calibration.Tokens)) * int64(t.Model.Blocks) * int64(4*t.Model.Hidden)
}

// activationBytes is what the workers' forward passes take, for each token in work: some four vectors of each kind, and for
// two units the streams at all boundaries, from which offspring branch off, and those that wait for the head.
func (t *Task) activationBytes(workers int) int64 {
	tokens := int64(max(1024, t.Calibration.Sequence, t.Evaluation.Sequence))
	width := int64(t.Model.Inner() + t.Model.Hidden + t.Model.Heads*t.Model.HeadDim)
	return int64(workers)*tokens*width*4*4 + 2*tokens*int64(t.Model.Blocks+8)*int64(4*t.Model.Hidden)
}

// Fits refuses plans that need more memory or disk than there is.
func (s *Session) Fits(plans []Plan) error {
	var memory, disk int64
	for _, p := range plans { // one after the other: memory is the next one's, levels and records stay
		memory = max(memory, p.least)
		disk += p.DiskBytes
	}
	if free, ok := resources.FreeDisk(s.Levels); ok && disk > free {
		return fmt.Errorf("the experiments need %d MiB of disk beside the database, %d MiB are free: make room, or put --db elsewhere", disk>>20, free>>20)
	}
	if s.Memory > 0 && memory > s.Memory {
		return fmt.Errorf("the experiments need %d MiB of memory, %d MiB may be used: free some, or use fewer threads or calibration tokens", memory>>20, s.Memory>>20)
	}
	return nil
}

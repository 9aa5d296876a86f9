// Package evaluator scores candidates: it runs compressed networks over slices of text and compares their predictions
// with the text and with those of the dense model.
//
// What networks have in common is computed once (tree.go), also across calls (cache.go); the rest is shared out over
// workers, goroutines with a kernel worker each (pass.go). A token's score does not depend on the tokens and networks
// that are run beside it, and sums are taken per sequence and then over sequences in the slice's order. So results depend
// neither on the number of workers nor on what was shared or remembered.
package evaluator

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/finch-llm/finch/internal/mmap"
	"github.com/finch-llm/finch/kernels"
	"github.com/finch-llm/finch/model"
)

const (
	// unitTokens is how many tokens a unit holds if the sequences are short: enough to pay for unpacking each weight once,
	// few enough to keep the activations in cache and every core busy.
	unitTokens = 1024

	// headGroup is how many networks share the teacher's logits, which are not kept but computed again for each group.
	headGroup = 8
)

// Version is raised when the same network on the same slice gets other bits than before, in another order of summation for
// example: scores of different versions do not compare.
const Version = 1

// Engine scores networks of one model on this machine.
type Engine struct {
	model   *model.Model
	teacher *model.Model // nil: none
	options Options
	workers []*worker
	cache   *cache // nil: none
	pool    *pool
	advise  func([]byte, mmap.Advice)

	mu      sync.Mutex // guards targets; one Score at a time
	targets map[*Corpus]*targets
}

type worker struct {
	runner  *model.Runner
	teacher *model.Runner
	scores  [headGroup][]kernels.TokenScore // [positions] each
	targets kernels.TeacherTargets          // of a unit's positions
	next    []int32                         // the tokens that follow them
}

// Options of an engine.
type Options struct {
	Path    *kernels.Path
	Workers int
	Context int // longest sequence
	TopK    int // > 0: also the KL over the teacher's top k tokens, the rest as one

	// Teacher is the model to compare with, the dense model itself if nil. It must have the same vocabulary.
	Teacher *model.Model

	// Base is what was kept of a model to compare with, instead of Teacher. Only its own corpus can be scored.
	Base *Base

	// NoTeacher compares with the text only: KL and same tops are not computed.
	NoTeacher bool

	// Cache is how many bytes of residual streams are kept for later calls; 0: none.
	Cache int64

	// CacheEvery is at which block boundaries: at every one if 0 or 1, at every second if 2, ….
	CacheEvery int

	// Apart runs every network's blocks by themselves, from the embeddings on, whatever it shares with others. Scores are
	// the same.
	Apart bool

	// Memory is how many bytes of weights may stay in memory; 0: all. Networks that have more between them are run block
	// by block, so that each block is read once for all of them, on so much of the text at a time that their residual
	// streams take no more than Wave bytes (0: 1 GiB).
	Memory, Wave int64

	// Targets is how many bytes of the dense model's hidden states may be kept in memory for a corpus; 0: all. If they take
	// more, they are kept in a file in the folder Scratch; in memory all the same if that is empty.
	Targets int64
	Scratch string
}

// Share divides memory of so many bytes: a quarter for residual streams kept, an eighth for the dense model's hidden states on
// each of two texts, a quarter for weights, an eighth for streaming them. The rest is for what is being computed.
func (o *Options) Share(memory int64) {
	o.Cache, o.Targets, o.Memory, o.Wave = memory/4, memory/8, memory/4, memory/8
}

// wave is Wave or its default.
func (o *Options) wave() int64 {
	if o.Wave > 0 {
		return o.Wave
	}
	return 1 << 30
}

// New makes an engine for networks of m.
func New(m *model.Model, o Options) (*Engine, error) {
	e := &Engine{model: m, teacher: m, options: o, pool: &pool{}, advise: mmap.Advise, targets: map[*Corpus]*targets{}}
	if o.Teacher != nil {
		e.teacher = o.Teacher
	}
	switch {
	case o.Base != nil:
		e.teacher = nil
		if o.Base.head.Rows != m.Vocab {
			return nil, differentVocabularies(m, o.Base.Model, o.Base.head.Rows)
		}
	case o.NoTeacher:
		e.teacher = nil
	case e.teacher.Vocab != m.Vocab:
		return nil, differentVocabularies(m, e.teacher.Ref, e.teacher.Vocab)
	}
	e.cache = e.newCache()
	for range max(o.Workers, 1) {
		w := &worker{runner: model.NewRunner(m, o.Path, o.Context)}
		w.teacher = w.runner
		if e.teacher != nil && e.teacher != m {
			w.teacher = model.NewRunner(e.teacher, o.Path, o.Context)
		}
		e.workers = append(e.workers, w)
	}
	return e, nil
}

func differentVocabularies(m *model.Model, other string, vocab int) error {
	return fmt.Errorf("%s has a vocabulary of %d tokens, %s one of %d: they cannot be compared", m.Ref, m.Vocab, other, vocab)
}

func (e *Engine) newCache() *cache {
	if e.options.Cache == 0 || e.options.Apart {
		return nil
	}
	return newCache(e.options.Cache, e.options.CacheEvery, e.pool)
}

// Rest gives back all that was kept for later calls, in memory and on disk. They compute it again.
func (e *Engine) Rest() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	var failed []error
	for _, t := range e.targets {
		failed = append(failed, t.hidden.close())
	}
	e.targets, e.cache = map[*Corpus]*targets{}, e.newCache()
	e.pool.empty()
	return errors.Join(failed...)
}

// Forget gives back the residual streams that were kept for later calls, which are of no use once the networks that follow
// have nothing in common with those before.
func (e *Engine) Forget() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.cache = e.newCache()
	e.pool.empty()
}

// Path names the kernels that make the scores.
func (e *Engine) Path() string { return e.options.Path.Name() }

// Score runs every network over the slice, against the dense model. Networks and slice are only read, and must not change
// while the engine is in use.
func (e *Engine) Score(ctx context.Context, networks []*model.Network, slice Slice) ([]Score, error) {
	scores := make([]Score, len(networks))
	for i := range scores {
		scores[i].Sequences = make([]Sums, len(slice.Sequences))
		scores[i].Tokens = slice.Tokens
	}
	times, err := e.score(ctx, networks, slice, func(network, i int, p positions) error {
		scores[network].Sequences[i] = total(p.scores)
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i, t := range times {
		scores[i].Time = t
		for _, s := range scores[i].Sequences {
			scores[i].add(s)
		}
	}
	return scores, nil
}

// positions are the scored positions of a sequence as a network sees them. Both slices are used again afterwards.
type positions struct {
	hidden []float32 // states after the final norm [positions, hidden]
	scores []kernels.TokenScore
}

// score runs networks over a slice. take gets each network's positions in the slice's i-th sequence; different ones at the same
// time. It returns how long each network took.
func (e *Engine) score(ctx context.Context, networks []*model.Network, slice Slice, take func(network, i int, p positions) error) ([]time.Duration, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i, n := range networks {
		if len(n.Blocks) != e.model.Blocks {
			return nil, fmt.Errorf("scoring: network %d has %d blocks, %s has %d", i, len(n.Blocks), e.model.Ref, e.model.Blocks)
		}
	}
	if len(networks) == 0 || len(slice.Sequences) == 0 {
		return nil, nil
	}
	targets, err := e.prepare(ctx, slice)
	if err != nil {
		return nil, err
	}
	p := &pass{
		engine: e, runner: func(w *worker) *model.Runner { return w.runner }, hidden: e.model.Hidden, cache: e.cache,
		tree: newTree(networks, !e.options.Apart), group: headGroup,
	}
	p.finish = func(w *worker, u *unit, done []arrival) error { return e.head(w, p, u, done, targets, take) }
	if err := e.run(ctx, p, slice); err != nil {
		return nil, err
	}
	return p.times(), nil
}

// run runs a pass over a slice.
func (e *Engine) run(ctx context.Context, p *pass, slice Slice) error {
	if p.cache != nil {
		p.cache.attach(p.tree)
	}
	p.corpus, p.text = slice.Corpus, slice.Corpus.ids
	p.units = e.units(slice, e.unitTokens(p, slice.Tokens))
	return e.execute(ctx, p)
}

// unitTokens is how many tokens the units of a pass over so many may have.
func (e *Engine) unitTokens(p *pass, tokens int) int {
	limit := unitTokens
	if e.streams(p) {
		limit = int(min(unitTokens, e.options.wave()/int64(4*p.hidden*(p.tree.leaves+1))))
	}
	return min(limit, tokens*len(p.tree.leaf)/len(e.workers))
}

// streams says whether the networks of a pass have more weights than may stay in memory.
func (e *Engine) streams(p *pass) bool {
	return e.options.Memory > 0 && p.tree.bytes() > e.options.Memory
}

// execute runs the units of a pass, all at once, or in waves if the weights are streamed.
func (e *Engine) execute(ctx context.Context, p *pass) error {
	run := p.run
	if e.streams(p) {
		run = p.runStreaming
	}
	if err := run(ctx); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("scoring: %w", err)
	}
	return nil
}

// units cuts the text: whole sequences together up to so many tokens, the cut one at the end by itself.
func (e *Engine) units(s Slice, tokens int) []unit {
	sequence, whole := s.Corpus.Sequence, len(s.Sequences)
	if s.last() != sequence {
		whole--
	}
	units := cut(s.Sequences[:whole], sequence, tokens)
	if whole < len(s.Sequences) {
		units = append(units, unit{s.Sequences[whole:], whole, s.last()})
	}
	return units
}

// cut makes units of up to so many tokens, or one sequence.
func cut(sequences []int, length, tokens int) []unit {
	per := max(1, tokens/length)
	var units []unit
	for from := 0; from < len(sequences); from += per {
		units = append(units, unit{sequences[from:min(from+per, len(sequences))], from, length})
	}
	return units
}

// head scores networks that have passed their last block, all positions of a unit together, and hands them to take.
func (e *Engine) head(w *worker, p *pass, u *unit, done []arrival, t *targets, take func(network, i int, p positions) error) error {
	first, width := p.corpus.From, e.model.Hidden
	n := u.length - 1 - first // positions of each sequence
	if n <= 0 {
		return nil
	}
	all := len(u.sequences) * n
	w.next = w.next[:0]
	for _, sequence := range u.sequences {
		w.next = append(w.next, p.corpus.ids(sequence)[first+1:u.length]...)
	}
	in := e.scoreInput(w.next)
	in.Teacher = t.gather(&w.targets, u.sequences, n)
	out := make([][]kernels.TokenScore, len(done))
	for d, a := range done {
		w.runner.Norm(a.x)
		for i := range u.sequences { // what is scored moves to the front
			at := (i*u.length + first) * width
			copy(a.x[i*n*width:], a.x[at:at+n*width])
		}
		in.Hidden = append(in.Hidden, a.x[:all*width])
		if len(w.scores[d]) < all {
			w.scores[d] = make([]kernels.TokenScore, all)
		}
		out[d] = w.scores[d][:all]
	}
	w.runner.Worker().Score(out, in)
	for d, a := range done {
		for i := range u.sequences {
			seen := positions{in.Hidden[d][i*n*width : (i+1)*n*width], out[d][i*n : (i+1)*n]}
			for _, network := range p.tree.nodes[a.node].networks {
				if err := take(network, u.first+i, seen); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// scoreInput is what the model makes of positions that these tokens follow, as yet without hidden states or teacher.
func (e *Engine) scoreInput(next []int32) kernels.ScoreInput {
	return kernels.ScoreInput{Tokens: len(next), Head: e.model.Head, Softcap: float32(e.model.FinalSoftcap), Targets: next}
}

// each runs n tasks on the workers and returns the first error by task number, wrapped with what they are for. Nothing is
// started after ctx ends.
func (e *Engine) each(ctx context.Context, what string, n int, task func(w *worker, i int) error) error {
	var next atomic.Int64
	var group sync.WaitGroup
	errs := make([]error, n)
	attempt := func(w *worker, i int) (err error) {
		defer rescue(&err)
		return task(w, i)
	}
	for _, w := range e.workers[:min(len(e.workers), n)] {
		group.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				errs[i] = attempt(w, i)
			}
		})
	}
	group.Wait()
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, err := range errs {
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
	return nil
}

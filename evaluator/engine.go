// Package evaluator scores candidates: it runs compressed networks over slices of text and compares their predictions
// with the text and with those of the dense model.
//
// Work is cut into units of one network and a few sequences, each run by one goroutine from the embedding to the score.
// A token's score does not depend on the unit it is in, and sums are taken per sequence and then over sequences in the
// slice's order, so results do not depend on the number of workers.
package evaluator

import (
	"context"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/finch-llm/finch/kernels"
	"github.com/finch-llm/finch/model"
)

// unitTokens is how many tokens a unit holds if the sequences are short: enough to pay for unpacking each weight once,
// few enough to keep the activations in cache and every core busy.
const unitTokens = 1024

// Engine scores networks of one model on this machine.
type Engine struct {
	model   *model.Model
	teacher *model.Model // nil: none
	path    *kernels.Path
	topK    int
	workers []*worker

	mu       sync.Mutex // guards teachers; one Score at a time
	teachers map[*Corpus][]*kernels.TeacherTargets
}

type worker struct {
	runner  *model.Runner
	teacher *model.Runner
	hidden  []float32 // [tokens, hidden]
	scores  []kernels.TokenScore
}

// Options of an engine.
type Options struct {
	Path    *kernels.Path
	Workers int
	Context int // longest sequence
	TopK    int // > 0: also the KL over the teacher's top k tokens, the rest as one

	// Teacher is the model to compare with, the dense model itself if nil. It must have the same vocabulary.
	Teacher *model.Model

	// NoTeacher compares with the text only: KL and same tops are not computed.
	NoTeacher bool
}

// New makes an engine for networks of m.
func New(m *model.Model, o Options) (*Engine, error) {
	e := &Engine{model: m, teacher: m, path: o.Path, topK: o.TopK, teachers: map[*Corpus][]*kernels.TeacherTargets{}}
	if o.Teacher != nil {
		e.teacher = o.Teacher
	}
	if o.NoTeacher {
		e.teacher = nil
	} else if e.teacher.Vocab != m.Vocab {
		return nil, fmt.Errorf("%s has a vocabulary of %d tokens, %s one of %d: they cannot be compared", m.Ref, m.Vocab, e.teacher.Ref, e.teacher.Vocab)
	}
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

// Path names the kernels that make the scores.
func (e *Engine) Path() string { return e.path.Name() }

// Sums are totals over the scored positions of one sequence, in nats. A position is scored when its next token is in
// the sequence, so a sequence of n tokens has n − 1, less those before Corpus.From.
type Sums struct {
	KL, KL2   float64 // KL(dense‖network) over the full vocabulary, and its square
	TopKL     float64 // KL over the teacher's top k tokens, the rest as one
	NLL, NLL2 float64 // negative log-likelihood of the next token, and its square
	Same      int     // positions at which both find the same token most likely
	Positions int
}

func (s *Sums) add(o Sums) {
	s.KL += o.KL
	s.KL2 += o.KL2
	s.TopKL += o.TopKL
	s.NLL += o.NLL
	s.NLL2 += o.NLL2
	s.Same += o.Same
	s.Positions += o.Positions
}

// Score is what a network lost on a slice against the dense model.
type Score struct {
	Sums
	Sequences []Sums        // in the slice's order
	Tokens    int           // run through the network
	Time      time.Duration // of computing, summed over workers
}

// MeanKL is the mean KL(dense‖network) in nats per position.
func (s *Score) MeanKL() float64 { return s.KL / float64(s.Positions) }

// MeanTopKL is MeanKL over the teacher's top k tokens, the rest as one.
func (s *Score) MeanTopKL() float64 { return s.TopKL / float64(s.Positions) }

// Perplexity is exp of the mean negative log-likelihood of the text.
func (s *Score) Perplexity() float64 { return math.Exp(s.NLL / float64(s.Positions)) }

// unit is one network on consecutive entries of the slice.
type unit struct {
	network  int
	from, to int // into Slice.Sequences
}

// Score runs every network over the slice, against the dense model. Networks and slice are only read.
func (e *Engine) Score(ctx context.Context, networks []*model.Network, slice Slice) ([]Score, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	teachers, err := e.prepare(ctx, slice)
	if err != nil {
		return nil, err
	}
	scores := make([]Score, len(networks))
	units := e.units(len(networks), slice)
	times := make([]time.Duration, len(units))
	for i := range scores {
		scores[i].Sequences = make([]Sums, len(slice.Sequences))
		scores[i].Tokens = slice.Tokens
	}
	err = e.each(ctx, len(units), func(w *worker, i int) error {
		u := units[i]
		start := time.Now()
		err := e.run(w, networks[u.network], slice, u, teachers, scores[u.network].Sequences)
		times[i] = time.Since(start)
		return err
	})
	if err != nil {
		return nil, err
	}
	for i := range scores {
		for _, s := range scores[i].Sequences {
			scores[i].add(s)
		}
	}
	for i, u := range units {
		scores[u.network].Time += times[i]
	}
	return scores, nil
}

// units cuts the work: whole sequences together up to unitTokens, the cut one at the end by itself.
func (e *Engine) units(networks int, s Slice) []unit {
	whole := len(s.Sequences)
	if s.last() != s.Corpus.Sequence {
		whole--
	}
	per := max(1, unitTokens/s.Corpus.Sequence)
	var units []unit
	for n := range networks {
		for from := 0; from < whole; from += per {
			units = append(units, unit{n, from, min(from+per, whole)})
		}
		if whole < len(s.Sequences) {
			units = append(units, unit{n, whole, whole + 1})
		}
	}
	return units
}

// run is one unit: forward pass and score, sequence sums into out.
func (e *Engine) run(w *worker, net *model.Network, slice Slice, u unit, teachers []*kernels.TeacherTargets, out []Sums) error {
	length := slice.Corpus.Sequence
	if u.to == len(slice.Sequences) {
		length = slice.last()
	}
	var ids []int32
	for _, s := range slice.Sequences[u.from:u.to] {
		ids = append(ids, slice.Corpus.ids(s)[:length]...)
	}
	hidden := e.model.Hidden
	w.reserve(len(ids), hidden)
	if err := w.runner.Hidden(w.hidden, net, ids, length); err != nil {
		return err
	}
	for i := u.from; i < u.to; i++ {
		at := (i - u.from) * length
		out[i] = e.head(w, w.hidden[at*hidden:(at+length)*hidden], ids[at:at+length], teachers[slice.Sequences[i]], slice.Corpus.From)
	}
	return nil
}

// head scores one sequence's hidden states [tokens, hidden] at the positions from first.
func (e *Engine) head(w *worker, hidden []float32, ids []int32, teacher *kernels.TeacherTargets, first int) Sums {
	n, width := len(ids)-1-first, e.model.Hidden
	if n <= 0 {
		return Sums{}
	}
	in := kernels.ScoreInput{Tokens: n, Hidden: hidden[first*width : (first+n)*width], Head: e.model.Head, Targets: ids[first+1:]}
	if teacher != nil {
		in.Teacher = part(teacher, first, n, e.teacher.Hidden)
	}
	w.runner.Worker().Score(w.scores[:n], in)
	sums := Sums{Positions: n}
	for i, s := range w.scores[:n] {
		sums.KL += s.KL
		sums.KL2 += s.KL * s.KL
		sums.TopKL += s.TopKL
		sums.NLL += s.NLL
		sums.NLL2 += s.NLL * s.NLL
		if teacher != nil && s.Top == in.Teacher.Top[i] {
			sums.Same++
		}
	}
	return sums
}

// part is the targets of n positions from first on. Those of a prefix are a prefix of the targets, so a cut sequence needs
// none of its own.
func part(t *kernels.TeacherTargets, first, n, width int) *kernels.TeacherTargets {
	p := *t
	p.Hidden, p.LSE, p.Top = t.Hidden[first*width:(first+n)*width], t.LSE[first:first+n], t.Top[first:first+n]
	if t.KthLogit != nil {
		p.KthLogit = t.KthLogit[first : first+n]
	}
	return &p
}

// prepare computes the dense model's targets for the sequences of a slice that have none yet.
func (e *Engine) prepare(ctx context.Context, slice Slice) ([]*kernels.TeacherTargets, error) {
	c := slice.Corpus
	if e.teacher == nil {
		return make([]*kernels.TeacherTargets, c.Len()), nil
	}
	if len(e.teachers[c]) == 0 {
		e.teachers[c] = make([]*kernels.TeacherTargets, c.Len())
	}
	teachers := e.teachers[c]
	var missing []int
	for _, s := range slice.Sequences {
		if teachers[s] == nil {
			missing = append(missing, s)
		}
	}
	err := e.each(ctx, len(missing), func(w *worker, i int) error {
		s := missing[i]
		hidden := make([]float32, c.Sequence*e.teacher.Hidden)
		if err := w.teacher.Hidden(hidden, &e.teacher.Network, c.ids(s), c.Sequence); err != nil {
			return err
		}
		t := w.teacher.Worker().PrepareTeacher(hidden, c.Sequence, e.teacher.Head, e.topK)
		teachers[s] = &t
		return nil
	})
	return teachers, err
}

// each runs n tasks on the workers and returns the first error by task number. Nothing is started after ctx ends.
func (e *Engine) each(ctx context.Context, n int, task func(w *worker, i int) error) error {
	var next atomic.Int64
	var group sync.WaitGroup
	errs := make([]error, n)
	for _, w := range e.workers[:min(len(e.workers), n)] {
		group.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				errs[i] = task(w, i)
			}
		})
	}
	group.Wait()
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, err := range errs {
		if err != nil {
			return fmt.Errorf("scoring: %w", err)
		}
	}
	return nil
}

// reserve makes room for a unit of the given number of tokens.
func (w *worker) reserve(tokens, hidden int) {
	if len(w.scores) < tokens {
		w.hidden = make([]float32, tokens*hidden)
		w.scores = make([]kernels.TokenScore, tokens)
	}
}

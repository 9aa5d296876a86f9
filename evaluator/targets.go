package evaluator

import (
	"context"
	"fmt"
	"sync"

	"github.com/finch-llm/finch/kernels"
	"github.com/finch-llm/finch/model"
)

// targets is what KL needs to know of the dense model at the scored positions of a corpus. Of its logits nothing is kept but
// each position's log-sum: the rest is computed again, block by block, from its last hidden states.
type targets struct {
	sequences []*kernels.TeacherTargets // nil: not computed yet
	width     int
	hidden    *vectors
}

// newTargets makes room for a corpus, on disk if the hidden states take more than limit bytes.
func newTargets(c *Corpus, width int, limit int64, dir string) (*targets, error) {
	hidden, err := newVectors(c, c.positions()*width, limit, dir)
	if err != nil {
		return nil, fmt.Errorf("the dense model: %w", err)
	}
	return &targets{make([]*kernels.TeacherTargets, c.Len()), width, hidden}, nil
}

// gather puts together the targets of the first n scored positions of each sequence, in memory that to brings. Those of a
// prefix are a prefix of the targets, so a cut sequence needs none of its own. It is nil without a teacher.
func (t *targets) gather(to *kernels.TeacherTargets, sequences []int, n int) *kernels.TeacherTargets {
	if t == nil {
		return nil
	}
	to.Hidden, to.LSE, to.Top, to.KthLogit = to.Hidden[:0], to.LSE[:0], to.Top[:0], to.KthLogit[:0]
	for _, s := range sequences {
		of := t.sequences[s]
		to.Head, to.Softcap = of.Head, of.Softcap
		to.Hidden = append(to.Hidden, of.Hidden[:n*t.width]...)
		to.LSE = append(to.LSE, of.LSE[:n]...)
		to.Top = append(to.Top, of.Top[:n]...)
		if of.KthLogit == nil {
			to.KthLogit = nil
			continue
		}
		to.KthLogit = append(to.KthLogit, of.KthLogit[:n]...)
	}
	return to
}

// missing is the sequences of a slice that have no targets yet.
func (t *targets) missing(slice Slice) Slice {
	missing := Slice{Corpus: slice.Corpus}
	for _, s := range slice.Sequences {
		if t.sequences[s] == nil {
			missing.Sequences = append(missing.Sequences, s)
			missing.Tokens += slice.Corpus.Sequence
		}
	}
	return missing
}

// prepare computes the dense model's targets for the sequences of a slice that have none yet; nil without a teacher.
func (e *Engine) prepare(ctx context.Context, slice Slice) (*targets, error) {
	c := slice.Corpus
	if e.options.Base != nil {
		return e.recall(ctx, slice)
	}
	if e.teacher == nil {
		return nil, nil
	}
	t := e.targets[c]
	if t == nil {
		var err error
		if t, err = newTargets(c, e.teacher.Hidden, e.options.Targets, e.options.Scratch); err != nil {
			return nil, err
		}
		e.targets[c] = t
	}
	missing := t.missing(slice)
	if missing.Tokens == 0 {
		return t, nil
	}
	p := &pass{
		engine: e, runner: func(w *worker) *model.Runner { return w.teacher }, hidden: e.teacher.Hidden,
		tree: newTree([]*model.Network{&e.teacher.Network}, true), group: 1,
	}
	var mu sync.Mutex // guards t.sequences
	p.finish = func(w *worker, u *unit, done []arrival) error {
		w.teacher.Norm(done[0].x)
		n := c.positions()
		for i, s := range u.sequences {
			at := (i*u.length + c.From) * t.width
			if err := t.hidden.put(s, done[0].x[at:at+n*t.width]); err != nil {
				return fmt.Errorf("the dense model: %w", err)
			}
			of := w.teacher.Worker().PrepareTeacher(t.hidden.get(s), n, e.teacher.Head, float32(e.teacher.FinalSoftcap), e.options.TopK)
			mu.Lock()
			t.sequences[s] = &of
			mu.Unlock()
		}
		return nil
	}
	return t, e.run(ctx, p, missing)
}

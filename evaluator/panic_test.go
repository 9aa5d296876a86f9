package evaluator

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/finch-llm/finch/internal/testmodel"
	"github.com/finch-llm/finch/kernels"
	"github.com/finch-llm/finch/model"
)

// A network whose MLP has no weights: running it panics.
func hollow(m *model.Model, block int) *model.Network {
	n := m.Network.Clone()
	n.Blocks[block].Layers[model.FFNDown] = nil
	return n
}

// A panic is the error of its call, which says where, and the engine goes on as if nothing had been.
func TestPanicInAWorker(t *testing.T) {
	m := testmodel.Llama(1, 3, 64, 96, vocab)
	slice := corpus(t, 12, 32).Whole()
	for name, o := range map[string]Options{
		"one worker":    {Workers: 1},
		"three workers": {Workers: 3, Cache: 1 << 30},
		"streamed":      {Workers: 2, Memory: 1},
	} {
		t.Run(name, func(t *testing.T) {
			o.Path, o.Context = kernels.Paths()[0], 32
			e := newEngine(t, m, o)
			want := score(t, newEngine(t, m, o), candidates(m), slice)
			for block := range m.Blocks {
				_, err := e.Score(context.Background(), append(candidates(m), hollow(m, block)), slice)
				var p *Panic
				if !errors.As(err, &p) || !strings.Contains(p.Stack, "model.(*Runner).") || !strings.Contains(err.Error(), "scoring: panic: runtime error: ") {
					t.Fatalf("block %d: %v", block, err)
				}
				if n := strings.Count(p.Stack, " < ") + 1; n != 4 || strings.Contains(p.Stack, "runtime.") {
					t.Errorf("block %d: stack %s", block, p.Stack)
				}
				got := score(t, e, candidates(m), slice)
				for i := range got {
					if got[i].Sums != want[i].Sums || !slices.Equal(got[i].Sequences, want[i].Sequences) {
						t.Errorf("block %d: network %d scores %+v afterwards, want %+v", block, i, got[i].Sums, want[i].Sums)
					}
				}
			}
		})
	}
}

func TestPanicInATask(t *testing.T) {
	e := newEngine(t, testmodel.Llama(1, 1, 64, 96, vocab), Options{Path: kernels.Paths()[0], Workers: 2, Context: 32})
	err := e.each(context.Background(), "a task", 5, func(_ *worker, i int) error {
		if i >= 3 {
			panic("no weights")
		}
		return nil
	})
	if err == nil || !strings.HasPrefix(err.Error(), "a task: panic: no weights (evaluator.TestPanicInATask.func1 panic_test.go:") {
		t.Errorf("%v", err)
	}
}

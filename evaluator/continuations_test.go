package evaluator

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/finch-llm/finch/internal/testmodel"
	"github.com/finch-llm/finch/kernels"
	"github.com/finch-llm/finch/model"
)

// texts are continuations of many lengths, of one token and of all that can be predicted among them.
func texts(n, vocab int) []Continuation {
	rng, ids := rng(3), testmodel.Tokens(5, 64*n, vocab)
	var list []Continuation
	for i := range n {
		length := 2 + rng.IntN(40)
		from := 1 + rng.IntN(length-1)
		switch i % 5 {
		case 0:
			from = length - 1
		case 1:
			from = 1
		}
		list = append(list, Continuation{ids[64*i : 64*i+length], from})
	}
	return list
}

// TestContinuations compares with a corpus of each text alone.
func TestContinuations(t *testing.T) {
	m := testmodel.Llama(1, 3, 64, 96, vocab)
	for _, p := range kernels.Paths() {
		testContinuations(t, m, candidates(m)[1], p, 30)
	}
}

// TestContinuationsOfArchitectures has models that limit their logits.
func TestContinuationsOfArchitectures(t *testing.T) {
	for name, m := range goldenModels(t) {
		t.Run(name, func(t *testing.T) { testContinuations(t, m, &m.Network, kernels.Paths()[0], 8) })
	}
}

func testContinuations(t *testing.T, m *model.Model, network *model.Network, p *kernels.Path, n int) {
	t.Helper()
	list := texts(n, m.Vocab)
	e := newEngine(t, m, Options{Path: p, Workers: 3, Context: 64, NoTeacher: true})
	got, err := e.Continuations(context.Background(), network, list)
	if err != nil {
		t.Fatal(err)
	}
	for i, text := range list {
		c, err := NewCorpus(text.Tokens, len(text.Tokens), len(text.Tokens), -1)
		if err != nil {
			t.Fatal(err)
		}
		c.From = text.From - 1
		if want := score(t, e, []*model.Network{network}, c.Whole())[0]; math.Abs(got[i].Log+want.NLL) > 1e-12 || want.Positions != len(text.Tokens)-text.From {
			t.Errorf("%s: text %d has log-likelihood %g, alone %g over %d positions", p.Name(), i, got[i].Log, -want.NLL, want.Positions)
		}
	}
}

// TestGreedyContinuation takes the likeliest tokens as they come, and then changes one.
func TestGreedyContinuation(t *testing.T) {
	m := testmodel.Llama(1, 3, 64, 96, vocab)
	e := newEngine(t, m, Options{Path: kernels.Paths()[0], Workers: 1, Context: 64, NoTeacher: true})
	greedy := func(ids []int32, from int) bool {
		found, err := e.Continuations(context.Background(), &m.Network, []Continuation{{ids, from}})
		if err != nil {
			t.Fatal(err)
		}
		return found[0].Greedy
	}
	ids := []int32{7, 8}
	for len(ids) < 6 {
		likeliest := 0
		for id := range int32(vocab) {
			if greedy(append(slices.Clone(ids), id), len(ids)) {
				likeliest++
				ids = append(ids, id)
				break
			}
		}
		if likeliest != 1 {
			t.Fatalf("no token follows %v", ids)
		}
	}
	if !greedy(ids, 2) {
		t.Errorf("%v is not greedy", ids[2:])
	}
	ids[3] = (ids[3] + 1) % vocab
	if greedy(ids, 2) || greedy(ids[:4], 3) {
		t.Errorf("%v is greedy", ids[2:])
	}
}

func TestContinuationsDoNotDependOnNeighbours(t *testing.T) {
	m := testmodel.Llama(1, 3, 64, 96, vocab)
	list := texts(25, vocab)
	var want []Likelihood
	for _, o := range []Options{{Workers: 1}, {Workers: 4}, {Workers: 2, Memory: 1, Wave: 1 << 16}} {
		o.Path, o.Context, o.NoTeacher = kernels.Paths()[0], 64, true
		e := newEngine(t, m, o)
		got, err := e.Continuations(context.Background(), &m.Network, list)
		if err != nil {
			t.Fatal(err)
		}
		if want == nil {
			want = got
		}
		if !slices.Equal(got, want) {
			t.Errorf("%d workers, %d bytes of memory: other scores", o.Workers, o.Memory)
		}
		alone, err := e.Continuations(context.Background(), &m.Network, list[9:10])
		if err != nil || alone[0] != want[9] {
			t.Errorf("a text alone scores %+v, among others %+v: %v", alone, want[9], err)
		}
	}
	if none, err := newEngine(t, m, Options{Path: kernels.Paths()[0], NoTeacher: true}).Continuations(context.Background(), &m.Network, nil); err != nil || len(none) != 0 {
		t.Errorf("no texts score %v, %v", none, err)
	}
}

func TestContinuationsStop(t *testing.T) {
	m := testmodel.Llama(1, 3, 64, 96, vocab)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	e := newEngine(t, m, Options{Path: kernels.Paths()[0], Workers: 2, Context: 64, NoTeacher: true})
	if _, err := e.Continuations(ctx, &m.Network, texts(4, vocab)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

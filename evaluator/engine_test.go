package evaluator

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/finch-llm/finch/internal/testmodel"
	"github.com/finch-llm/finch/kernels"
	"github.com/finch-llm/finch/model"
)

const vocab = 101

func engine(t *testing.T, m *model.Model, path *kernels.Path, workers int) *Engine {
	t.Helper()
	e, err := New(m, Options{Path: path, Workers: workers, Context: 64, TopK: 10})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func corpus(t *testing.T, sequences, length int) *Corpus {
	t.Helper()
	c, err := NewCorpus(testmodel.Tokens(2, sequences*length, vocab), sequences*length, length)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func rng(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0)) }

// candidates are the dense network and three ever more damaged ones.
func candidates(m *model.Model) []*model.Network {
	attn, mlp, both := m.Network.Clone(), m.Network.Clone(), m.Network.Clone()
	attn.Blocks[1].DropAttn = true
	mlp.Blocks[2].DropMLP = true
	both.Blocks[0].DropAttn, both.Blocks[0].DropMLP = true, true
	return []*model.Network{&m.Network, attn, mlp, both}
}

func score(t *testing.T, e *Engine, nets []*model.Network, s Slice) []Score {
	t.Helper()
	scores, err := e.Score(context.Background(), nets, s)
	if err != nil {
		t.Fatal(err)
	}
	for i := range scores {
		scores[i].Time = 0
	}
	return scores
}

func TestScoreIsZeroForTheDenseModel(t *testing.T) {
	m := testmodel.Llama(1, 3, 64, 96, vocab)
	for _, p := range kernels.Paths() {
		e := engine(t, m, p, 2)
		scores := score(t, e, candidates(m), corpus(t, 5, 32).Whole())
		if kl := scores[0].MeanKL(); math.Abs(kl) > 1e-9 || scores[0].Same != scores[0].Positions {
			t.Errorf("%s: the dense model has KL %g to itself, same top %d of %d", p.Name(), kl, scores[0].Same, scores[0].Positions)
		}
		for i, s := range scores[1:] {
			if !(s.MeanKL() > 1e-3) || !(s.MeanTopKL() <= s.MeanKL()+1e-6) || !(s.MeanTopKL() > 0) {
				t.Errorf("%s: candidate %d has KL %g, top-k KL %g", p.Name(), i+1, s.MeanKL(), s.MeanTopKL())
			}
		}
		if s := scores[0]; s.Positions != 5*31 || s.Tokens != 5*32 {
			t.Errorf("%d positions, %d tokens", s.Positions, s.Tokens)
		}
	}
}

func TestScoreDoesNotDependOnWorkersOrNeighbours(t *testing.T) {
	m := testmodel.Llama(1, 3, 64, 96, vocab)
	nets, c := candidates(m), corpus(t, 40, 32)
	slice, err := c.Draw(rng(7), 35*32+11)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range kernels.Paths() {
		want := score(t, engine(t, m, p, 1), nets, slice)
		for _, workers := range []int{2, 5} {
			got := score(t, engine(t, m, p, workers), nets, slice)
			for i := range got {
				if got[i].Sums != want[i].Sums || !slices.Equal(got[i].Sequences, want[i].Sequences) {
					t.Errorf("%s, %d workers: candidate %d scores %+v, with one worker %+v", p.Name(), workers, i, got[i].Sums, want[i].Sums)
				}
			}
		}
		alone := Slice{Corpus: c, Sequences: slice.Sequences[3:4], Tokens: 32}
		if got := score(t, engine(t, m, p, 1), nets[1:2], alone); got[0].Sums != want[1].Sequences[3] {
			t.Errorf("%s: a sequence alone scores %+v, among others %+v", p.Name(), got[0].Sums, want[1].Sequences[3])
		}
	}
}

func TestFromSkipsTheContext(t *testing.T) {
	m := testmodel.Llama(1, 3, 64, 96, vocab)
	p := kernels.Paths()[0]
	c := corpus(t, 4, 32)
	all := score(t, engine(t, m, p, 1), candidates(m)[1:2], c.Whole())
	c.From = 16
	half := score(t, engine(t, m, p, 1), candidates(m)[1:2], c.Whole())
	if half[0].Positions != 4*15 || half[0].NLL >= all[0].NLL {
		t.Errorf("from 16: %+v, from 0: %+v", half[0].Sums, all[0].Sums)
	}
}

func TestScoreStopsWithItsContext(t *testing.T) {
	m := testmodel.Llama(1, 3, 64, 96, vocab)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := engine(t, m, kernels.Paths()[0], 2).Score(ctx, candidates(m), corpus(t, 4, 32).Whole())
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestTeacherOfAnotherVocabularyIsRefused(t *testing.T) {
	_, err := New(testmodel.Llama(1, 1, 64, 96, vocab), Options{Path: kernels.Paths()[0], Context: 8, Teacher: testmodel.Llama(1, 1, 64, 96, vocab+1)})
	if err == nil {
		t.Error("no error")
	}
}

func TestDraw(t *testing.T) {
	c := corpus(t, 20, 32)
	a, _ := c.Draw(rng(1), 100)
	b, _ := c.Draw(rng(1), 100)
	if a.Hash() != b.Hash() || len(a.Sequences) != 4 || a.last() != 4 {
		t.Errorf("%+v, %+v", a, b)
	}
	if other, _ := c.Draw(rng(2), 100); other.Hash() == a.Hash() {
		t.Error("two seeds draw one slice")
	}
	if _, err := c.Draw(rng(1), 20*32+1); err == nil {
		t.Error("more tokens than the corpus has are drawn")
	}
	seen := map[int]bool{}
	whole, _ := c.Draw(rng(1), 20*32)
	for _, s := range whole.Sequences {
		seen[s] = true
	}
	if len(seen) != 20 {
		t.Errorf("%d different sequences of 20", len(seen))
	}
}

func TestPairedKL(t *testing.T) {
	var a, b Score
	for i := range 50 {
		hard := float64(i%7) + 1
		a.Sequences = append(a.Sequences, Sums{KL: 10 * hard, Positions: 10})
		b.Sequences = append(b.Sequences, Sums{KL: 10*hard + 1 + float64(i%2), Positions: 10})
	}
	d := PairedKL(&a, &b)
	if math.Abs(d.Mean+0.15) > 1e-12 || d.Mean+d.Half >= 0 {
		t.Errorf("difference %+v, want -0.15 and clearly below zero", d)
	}
	// 50 values of ±0.05 about the mean: t(0.975, 49) = 2.0096 times 0.05·√(50/49)/√50.
	if want := 2.0096 * 0.05 * math.Sqrt(50.0/49) / math.Sqrt(50); math.Abs(d.Half-want) > 1e-5 {
		t.Errorf("half-width %g, want %g", d.Half, want)
	}
}

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
	c, err := NewCorpus(testmodel.Tokens(2, sequences*length, vocab), sequences*length, length, -1)
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
	for i := range 64 {
		hard := float64(i%7) + 1
		a.Sequences = append(a.Sequences, Sums{KL: 10 * hard, Positions: 10})
		b.Sequences = append(b.Sequences, Sums{KL: 10*hard + 1 + float64(i/8%2), Positions: 10})
	}
	d := PairedKL(&a, &b)
	if math.Abs(d.Mean+0.15) > 1e-12 || d.Mean+d.Half >= 0 {
		t.Errorf("difference %+v, want -0.15 and clearly below zero", d)
	}
	// Eight batches, half of them 0.05 below the mean and half above: t(0.975, 7) = 2.3646 times 0.05·√(8/7)/√8.
	if want := 2.3646 * 0.05 * math.Sqrt(8.0/7) / math.Sqrt(8); math.Abs(d.Half-want) > 1e-5 {
		t.Errorf("half-width %g, want %g", d.Half, want)
	}
}

// Where neighbours are alike, an interval from single sequences is too narrow: the interval must cover the mean nineteen
// times in twenty.
func TestIntervalCoversTheMeanOfDependentSequences(t *testing.T) {
	const trials, sequences = 2000, 64
	r := rng(3)
	missed := 0
	for range trials {
		s := make([]Sums, sequences)
		passage := 0.0
		for i := range s {
			if i%4 == 0 { // a passage lasts four sequences
				passage = r.NormFloat64()
			}
			s[i] = Sums{KL: passage + 0.5*r.NormFloat64(), Positions: 1}
		}
		if v := over(s, func(i int) float64 { return s[i].KL }); math.Abs(v.Mean) > v.Half {
			missed++
		}
	}
	if share := float64(missed) / trials; share < 0.03 || share > 0.07 {
		t.Errorf("the interval misses the mean %.1f %% of the time, want 5 %%", 100*share)
	}
}

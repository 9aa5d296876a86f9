package evaluator

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/finch-llm/finch/compress"
	"github.com/finch-llm/finch/internal/testmodel"
	"github.com/finch-llm/finch/kernels"
	"github.com/finch-llm/finch/model"
)

// goldenModels are the tiny models of all architectures (tools/golden/architectures.py).
func goldenModels(t *testing.T) map[string]*model.Model {
	t.Helper()
	const folder = "../model/testdata/architectures"
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	models := map[string]*model.Model{}
	for _, e := range entries {
		m, err := model.Open(filepath.Join(folder, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { m.Close() })
		models[e.Name()] = m
	}
	return models
}

// goldenCorpus is so many random sequences of 40 tokens, longer than the windows of these models.
func goldenCorpus(t *testing.T, m *model.Model, sequences int) *Corpus {
	t.Helper()
	c, err := NewCorpus(testmodel.Tokens(5, sequences*40, m.Vocab), sequences*40, 40, -1)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// at stores every layer of a model at a level.
func at(t *testing.T, m *model.Model, name string) *model.Network {
	t.Helper()
	level, err := compress.ParseLevel(name)
	if err != nil {
		t.Fatal(err)
	}
	n := m.Network.Clone()
	for b := range n.Blocks {
		for _, k := range m.Kinds() {
			dense := n.Blocks[b].Layers[k]
			layer := compress.Layer{Name: model.LayerName(b, k), Rows: dense.Rows, Cols: dense.Cols, Weights: make([]float32, dense.Rows*dense.Cols)}
			kernels.UnpackBlocks(layer.Weights, dense.Format, dense.Data)
			if n.Blocks[b].Layers[k], err = compress.Compress(layer, level); err != nil {
				t.Fatal(err)
			}
		}
	}
	return n
}

// nll is the negative log-likelihood of a sequence, from all of its logits.
func nll(t *testing.T, m *model.Model, n *model.Network, p *kernels.Path, ids []int32) float64 {
	t.Helper()
	r := model.NewRunner(m, p, len(ids))
	hidden, logits := make([]float32, len(ids)*m.Hidden), make([]float32, len(ids)*m.Vocab)
	if err := r.Hidden(hidden, n, ids, len(ids)); err != nil {
		t.Fatal(err)
	}
	r.Logits(logits, hidden)
	sum := 0.0
	for i, next := range ids[1:] {
		of, exps := logits[i*m.Vocab:(i+1)*m.Vocab], 0.0
		for _, l := range of {
			exps += math.Exp(float64(l))
		}
		sum += math.Log(exps) - float64(of[next])
	}
	return sum
}

// Networks of every architecture, dense, sparse, quantized and with dropped sublayers, score what their logits say, whatever
// they share with each other and whoever computes them.
func TestScoresOfArchitectures(t *testing.T) {
	for name, m := range goldenModels(t) {
		c := goldenCorpus(t, m, 9)
		dropped := at(t, m, "sparse-0.30")
		dropped.Blocks[0].DropMLP, dropped.Blocks[1].DropAttn = true, true
		networks := []*model.Network{&m.Network, at(t, m, "sparse-0.50"), at(t, m, "q8_0"), dropped}
		best := kernels.Paths()[0]
		for _, p := range slices.Compact([]*kernels.Path{best, best.Exact()}) {
			want := score(t, newEngine(t, m, Options{Path: p, Workers: 1, Context: c.Sequence, Apart: true}), networks, c.Whole())
			got := score(t, newEngine(t, m, Options{Path: p, Workers: 3, Context: c.Sequence, Cache: 1 << 30}), networks, c.Whole())
			for i := range networks {
				if got[i].Sums != want[i].Sums || !slices.Equal(got[i].Sequences, want[i].Sequences) {
					t.Errorf("%s, %s: network %d scores %+v, by itself %+v", name, p.Name(), i, got[i].Sums, want[i].Sums)
				}
				ids := c.ids(7)
				if is := nll(t, m, networks[i], p, ids); math.Abs(got[i].Sequences[7].NLL-is) > 1e-4*is {
					t.Errorf("%s, %s: network %d has the likelihood %g, from its logits %g", name, p.Name(), i, got[i].Sequences[7].NLL, is)
				}
			}
			if kl := got[0].MeanKL(); math.Abs(kl) > 1e-9 {
				t.Errorf("%s, %s: the dense model has KL %g to itself", name, p.Name(), kl)
			}
			for i, s := range got[1:] {
				if !(s.MeanKL() > 1e-6) {
					t.Errorf("%s, %s: network %d has KL %g", name, p.Name(), i+1, s.MeanKL())
				}
			}
		}
	}
}

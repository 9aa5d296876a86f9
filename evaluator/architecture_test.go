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

// logProbabilities of the next token at each position.
func logProbabilities(t *testing.T, m *model.Model, path *kernels.Path, net *model.Network, ids []int32) [][]float64 {
	t.Helper()
	r := model.NewRunner(m, path, len(ids))
	hidden := make([]float32, len(ids)*m.Hidden)
	if err := r.Hidden(hidden, net, ids, len(ids)); err != nil {
		t.Fatal(err)
	}
	logits := make([]float32, len(ids)*m.Vocab)
	r.Logits(logits, hidden)
	rows := make([][]float64, len(ids))
	for i := range rows {
		sum := 0.0
		for _, x := range logits[i*m.Vocab : (i+1)*m.Vocab] {
			sum += math.Exp(float64(x))
		}
		for _, x := range logits[i*m.Vocab : (i+1)*m.Vocab] {
			rows[i] = append(rows[i], float64(x)-math.Log(sum))
		}
	}
	return rows
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
				dense, student := logProbabilities(t, m, p, networks[0], c.ids(7)), logProbabilities(t, m, p, networks[i], c.ids(7))
				kl, nll, sums := 0.0, 0.0, got[i].Sequences[7]
				for at, next := range c.ids(7)[1:] {
					nll -= student[at][next]
					for v, l := range dense[at] {
						kl += math.Exp(l) * (l - student[at][v])
					}
				}
				if math.Abs(sums.NLL-nll) > 1e-4*nll || math.Abs(sums.KL-kl) > 1e-4*kl+1e-5 {
					t.Errorf("%s, %s: network %d has NLL %g, KL %g; of its logits: %g, %g", name, p.Name(), i, sums.NLL, sums.KL, nll, kl)
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

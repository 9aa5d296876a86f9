package evaluator

import (
	"math"
	"path/filepath"
	"testing"

	"github.com/finch-llm/finch/kernels"
	"github.com/finch-llm/finch/model"
)

// TestScoresOfEveryArchitecture compares the engine's scores with those of whole rows of logits, which tests of package
// model compare with transformers.
func TestScoresOfEveryArchitecture(t *testing.T) {
	folders, err := filepath.Glob("../model/testdata/architectures/*")
	if err != nil || len(folders) == 0 {
		t.Fatalf("no models: %v", err)
	}
	path, err := kernels.Select("")
	if err != nil {
		t.Fatal(err)
	}
	path = path.Exact()
	for _, folder := range folders {
		t.Run(filepath.Base(folder), func(t *testing.T) {
			m, err := model.Open(folder)
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			ids := make([]int32, 48)
			for i := range ids {
				ids[i] = int32((7*i + i*i) % m.Vocab)
			}
			c, err := NewCorpus(ids, len(ids), len(ids), -1)
			if err != nil {
				t.Fatal(err)
			}
			dropped := m.Network.Clone()
			dropped.Blocks[1].DropMLP = true
			e := newEngine(t, m, Options{Path: path, Workers: 2, Context: c.Sequence})
			got := score(t, e, []*model.Network{dropped}, c.Whole())[0]

			dense, student := logProbabilities(t, m, path, &m.Network, ids), logProbabilities(t, m, path, dropped, ids)
			kl, nll := 0.0, 0.0
			for i, next := range ids[1:] {
				nll -= student[i][next]
				for v, p := range dense[i] {
					kl += math.Exp(p) * (p - student[i][v])
				}
			}
			if math.Abs(got.NLL-nll) > 1e-4*nll || math.Abs(got.KL-kl) > 1e-4*kl+1e-5 || kl == 0 {
				t.Errorf("NLL %g, KL %g; of logits: %g, %g", got.NLL, got.KL, nll, kl)
			}
		})
	}
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

package model

import (
	"math"
	"testing"

	"github.com/finch-llm/finch/kernels"
)

// LogitsOf runs a model over ids and returns [tokens, vocab].
func LogitsOf(t *testing.T, m *Model, path *kernels.Path, ids []int32) []float32 {
	t.Helper()
	r := NewRunner(m, path, len(ids))
	hidden := make([]float32, len(ids)*m.Hidden)
	if err := r.Hidden(hidden, &m.Network, ids, len(ids)); err != nil {
		t.Fatal(err)
	}
	out := make([]float32, len(ids)*m.Vocab)
	r.Worker().MatMul(out, hidden, len(ids), m.Head)
	return out
}

// Divergence is KL(want‖got) in nats, both logits over the vocabulary.
func Divergence(want []float64, got []float32) float64 {
	var wantSum, gotSum float64
	wantMax, gotMax := math.Inf(-1), math.Inf(-1)
	for i := range want {
		wantMax, gotMax = max(wantMax, want[i]), max(gotMax, float64(got[i]))
	}
	for i := range want {
		wantSum += math.Exp(want[i] - wantMax)
		gotSum += math.Exp(float64(got[i]) - gotMax)
	}
	wantLSE, gotLSE := wantMax+math.Log(wantSum), gotMax+math.Log(gotSum)
	var sum float64
	for i := range want {
		sum += math.Exp(want[i]-wantLSE) * ((want[i] - wantLSE) - (float64(got[i]) - gotLSE))
	}
	return sum
}

// Rounds says whether a path rounds to bf16.
func Rounds(p *kernels.Path) bool { return p.Exact() != p }

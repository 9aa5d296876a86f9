package model_test

import (
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"io"
	"math"
	"os"
	"slices"
	"testing"

	"github.com/finch-llm/finch/internal/testmodel"
	"github.com/finch-llm/finch/kernels"
	"github.com/finch-llm/finch/model"
)

func widen(x []float32) []float64 {
	y := make([]float64, len(x))
	for i := range x {
		y[i] = float64(x[i])
	}
	return y
}

func readGzip(t *testing.T, path string) []byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestSmolLM2AgreesWithTransformers(t *testing.T) {
	m := testmodel.SmolLM2(t)
	var want struct {
		IDs       []int32   `json:"ids"`
		NLL       []float64 `json:"nll"`
		VocabIDs  []int     `json:"vocab_ids"`
		Positions []struct {
			Position  int       `json:"position"`
			LSE       float64   `json:"logsumexp"`
			TopIDs    []int     `json:"top_ids"`
			TopLogits []float64 `json:"top_logits"`
			Logits    []float64 `json:"logits"`
		} `json:"positions"`
		Full []int `json:"full_positions"`
	}
	if err := json.Unmarshal(readGzip(t, "testdata/smollm2_logits.json.gz"), &want); err != nil {
		t.Fatal(err)
	}
	full := readGzip(t, "testdata/smollm2_logits.f32.gz")
	var exact []float32 // of a path in fp32
	for _, p := range slices.Backward(kernels.Paths()) {
		got := model.LogitsOf(t, m, p, want.IDs)
		if !model.Rounds(p) {
			exact = got
		}
		row := func(position int) []float32 { return got[position*m.Vocab : (position+1)*m.Vocab] }

		divergence := 0.0 // per token, over the full vocabulary
		if model.Rounds(p) {
			// From the fp32 paths, at every position: two are too few for a mean of what varies by a factor of ten.
			for i := range want.IDs {
				divergence += model.Divergence(widen(exact[i*m.Vocab:(i+1)*m.Vocab]), row(i)) / float64(len(want.IDs))
			}
		} else {
			for i, position := range want.Full {
				known := make([]float64, m.Vocab)
				for j := range known {
					known[j] = float64(math.Float32frombits(binary.LittleEndian.Uint32(full[(i*m.Vocab+j)*4:])))
				}
				divergence = max(divergence, model.Divergence(known, row(position)))
			}
		}
		worst := 0.0
		for _, w := range want.Positions {
			r := row(w.Position)
			for j, id := range w.TopIDs {
				worst = max(worst, math.Abs(float64(r[id])-w.TopLogits[j]))
			}
			for j, id := range want.VocabIDs {
				worst = max(worst, math.Abs(float64(r[id])-w.Logits[j]))
			}
		}
		nll := 0.0
		for i, w := range want.NLL {
			lse := 0.0
			for _, l := range row(i) {
				lse += math.Exp(float64(l) - 30)
			}
			nll = max(nll, math.Abs(math.Log(lse)+30-float64(row(i)[want.IDs[i+1]])-w))
		}
		t.Logf("%s: KL %.2g, logits differ by %.2g, NLL by %.2g", p.Name(), divergence, worst, nll)
		klLimit, logitLimit := 1e-6, 1e-3
		if model.Rounds(p) {
			klLimit, logitLimit = 2e-4, 0.5 // docs/performance.md says where it comes from
		}
		if !(divergence < klLimit) || !(worst < logitLimit) || !(nll < logitLimit) {
			t.Errorf("%s: KL %g (limit %g), logits differ by %g, NLL by %g (limit %g)", p.Name(), divergence, klLimit, worst, nll, logitLimit)
		}
	}
}

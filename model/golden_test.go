package model

import (
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/finch-llm/finch/kernels"
	"github.com/finch-llm/finch/model/safetensors"
)

// Logits of transformers in fp32, by tools/golden/logits.py.
type golden struct {
	IDs    []int32     `json:"ids"`
	Logits [][]float64 `json:"logits"` // [tokens, vocab]
}

// oneToken is a tokenizer for models that are only given ids.
const oneToken = `{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}}`

// logits runs a model over ids and returns [tokens, vocab].
func logits(t *testing.T, m *Model, path *kernels.Path, ids []int32) []float32 {
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

// kl is KL(want‖got) in nats, both logits over the vocabulary.
func kl(want []float64, got []float32) float64 {
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

func widen(x []float32) []float64 {
	y := make([]float64, len(x))
	for i := range x {
		y[i] = float64(x[i])
	}
	return y
}

// fast says whether a path rounds to bf16.
func fast(p *kernels.Path) bool { return p.Name() == "avx512bf16" }

func TestLogitsAgreeWithTransformers(t *testing.T) {
	for _, name := range []string{"tiny-llama", "tiny-llama-tied"} {
		dir := filepath.Join("testdata", name)
		config, err := os.ReadFile(filepath.Join(dir, "config.json"))
		if err != nil {
			t.Fatal(err)
		}
		weights, err := safetensors.OpenFolder(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer weights.Close()
		m, err := fromHuggingFace(dir, config, []byte(oneToken), weights)
		if err != nil {
			t.Fatal(err)
		}
		var want golden
		data, err := os.ReadFile(filepath.Join(dir, "logits.json"))
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(data, &want); err != nil {
			t.Fatal(err)
		}
		for _, p := range kernels.Paths() {
			got := logits(t, m, p, want.IDs)
			worst, largest, divergence := 0.0, 0.0, 0.0
			for i, row := range want.Logits {
				for j, w := range row {
					worst = max(worst, math.Abs(w-float64(got[i*m.Vocab+j])))
					largest = max(largest, math.Abs(w))
				}
				divergence = max(divergence, kl(row, got[i*m.Vocab:(i+1)*m.Vocab]))
			}
			t.Logf("%s, %s: difference %.2g of %.3g, KL %.2g", name, p.Name(), worst, largest, divergence)
			limit, klLimit := 1e-5, 1e-9
			if fast(p) {
				limit, klLimit = 0.03, 0.01 // random weights, logits far from flat
			}
			if !(worst <= limit*largest) || !(divergence <= klLimit) {
				t.Errorf("%s, %s: logits differ by %g of %g, KL %g", name, p.Name(), worst, largest, divergence)
			}
		}
	}
}

// smolLM2 opens the real model, or skips.
func smolLM2(t *testing.T) *Model {
	t.Helper()
	path := os.Getenv("FINCH_SMOLLM2")
	if path == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			t.Skip("no cache folder: SmolLM2 is not tested")
		}
		path = filepath.Join(cache, "finch", "SmolLM2-135M-Instruct.Q4_1.gguf")
	}
	if _, err := os.Stat(path); err != nil {
		t.Skipf("SmolLM2 is not tested: %v: tools/smollm2/fetch.sh brings it", err)
	}
	m, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
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
	m := smolLM2(t)
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
		got := logits(t, m, p, want.IDs)
		if !fast(p) {
			exact = got
		}
		row := func(position int) []float32 { return got[position*m.Vocab : (position+1)*m.Vocab] }

		divergence := 0.0 // per token, over the full vocabulary
		if fast(p) {
			// From the fp32 paths, at every position: two are too few for a mean of what varies by a factor of ten.
			for i := range want.IDs {
				divergence += kl(widen(exact[i*m.Vocab:(i+1)*m.Vocab]), row(i)) / float64(len(want.IDs))
			}
		} else {
			for i, position := range want.Full {
				known := make([]float64, m.Vocab)
				for j := range known {
					known[j] = float64(math.Float32frombits(binary.LittleEndian.Uint32(full[(i*m.Vocab+j)*4:])))
				}
				divergence = max(divergence, kl(known, row(position)))
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
		if fast(p) {
			klLimit, logitLimit = 2e-4, 0.5 // docs/performance.md says where it comes from
		}
		if !(divergence < klLimit) || !(worst < logitLimit) || !(nll < logitLimit) {
			t.Errorf("%s: KL %g (limit %g), logits differ by %g, NLL by %g (limit %g)", p.Name(), divergence, klLimit, worst, nll, logitLimit)
		}
	}
}

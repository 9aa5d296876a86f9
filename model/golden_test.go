package model

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/finch-llm/finch/kernels"
	"github.com/finch-llm/finch/model/safetensors"
	"github.com/finch-llm/finch/model/tokenizer"
)

// Logits of transformers in fp32, by tools/golden/logits.py.
type golden struct {
	IDs    []int32     `json:"ids"`
	Logits [][]float64 `json:"logits"` // [tokens, vocab]
}

// oneToken is a tokenizer for models that are only given ids.
const oneToken = `{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}}`

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
		m, err := fromHuggingFace(dir, config, &tokenizer.Files{JSON: []byte(oneToken)}, weights)
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
			got := LogitsOf(t, m, p, want.IDs)
			worst, largest, divergence := 0.0, 0.0, 0.0
			for i, row := range want.Logits {
				for j, w := range row {
					worst = max(worst, math.Abs(w-float64(got[i*m.Vocab+j])))
					largest = max(largest, math.Abs(w))
				}
				divergence = max(divergence, Divergence(row, got[i*m.Vocab:(i+1)*m.Vocab]))
			}
			t.Logf("%s, %s: difference %.2g of %.3g, KL %.2g", name, p.Name(), worst, largest, divergence)
			limit, klLimit := 1e-5, 1e-9
			if Rounds(p) {
				limit, klLimit = 0.03, 0.01 // random weights, logits far from flat
			}
			if !(worst <= limit*largest) || !(divergence <= klLimit) {
				t.Errorf("%s, %s: logits differ by %g of %g, KL %g", name, p.Name(), worst, largest, divergence)
			}
		}
	}
}

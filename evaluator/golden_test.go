package evaluator

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/finch-llm/finch/compress"
	"github.com/finch-llm/finch/kernels"
	"github.com/finch-llm/finch/model"
)

// Statistics of transformers' activations in float64, by tools/golden/statistics.py.
type goldenStatistics struct {
	IDs    [][]int32 `json:"ids"`
	Layers []struct {
		Name    string    `json:"name"`
		Squares []float64 `json:"squares"`
		Product []float64 `json:"product"`
		Norm    float64   `json:"norm"`
	} `json:"layers"`
}

func TestStatisticsAgreeWithTransformers(t *testing.T) {
	const source = "../model/testdata/tiny-llama"
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(source)); err != nil {
		t.Fatal(err)
	}
	tokenizer := []byte(`{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}}`)
	if err := os.WriteFile(filepath.Join(dir, "tokenizer.json"), tokenizer, 0o666); err != nil {
		t.Fatal(err)
	}
	m, err := model.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	var want goldenStatistics
	data, err := os.ReadFile("testdata/statistics.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatal(err)
	}
	var ids []int32
	for _, s := range want.IDs {
		ids = append(ids, s...)
	}
	c, err := NewCorpus(ids, len(ids), len(want.IDs[0]), -1)
	if err != nil {
		t.Fatal(err)
	}
	if len(want.Layers) != m.Blocks*len(m.Kinds()) {
		t.Fatalf("%d layers", len(want.Layers))
	}
	for _, p := range kernels.Paths() {
		if p.Exact() != p {
			continue
		}
		e := newEngine(t, m, Options{Path: p, Workers: 2, Context: c.Sequence, NoTeacher: true})
		got := map[string]*compress.Statistics{}
		for b, block := range collect(t, e, Calibration{Corpus: c, Needs: everything}) {
			for _, k := range m.Kinds() {
				got[model.LayerName(b, k)] = block[k]
			}
		}
		for _, layer := range want.Layers {
			s := got[layer.Name]
			n, norm := len(s.Squares), 0.0
			for i := range n {
				product := 0.0
				for j := range n {
					h := s.Hessian[i*n+j]
					norm += h * h
					product += h * float64(1-2*(j%2)) / float64(j+1)
				}
				if d := math.Abs(s.Squares[i] - layer.Squares[i]); !(d <= 1e-5*layer.Squares[i]) {
					t.Fatalf("%s, %s: mean square %d is %g, want %g", p.Name(), layer.Name, i, s.Squares[i], layer.Squares[i])
				}
				if d := math.Abs(product - layer.Product[i]); !(d <= 1e-5*layer.Norm) {
					t.Fatalf("%s, %s: row %d times v is %g, want %g", p.Name(), layer.Name, i, product, layer.Product[i])
				}
			}
			if norm = math.Sqrt(norm); !(math.Abs(norm-layer.Norm) <= 1e-5*layer.Norm) {
				t.Errorf("%s, %s: the norm is %g, want %g", p.Name(), layer.Name, norm, layer.Norm)
			}
		}
	}
}

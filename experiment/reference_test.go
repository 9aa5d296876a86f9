package experiment

import (
	"context"
	"encoding/json"
	"math"
	"path/filepath"
	"testing"

	"github.com/finch-llm/finch/compress"
	"github.com/finch-llm/finch/evaluator"
	"github.com/finch-llm/finch/kernels"
	"github.com/finch-llm/finch/model"
	"github.com/finch-llm/finch/model/finchling"
)

// On layers of a trained model, the errors of the outputs are those of a plain float64 implementation of the papers, with second moments
// of its own (tools/golden/gptq_layers.py).
func TestTrainedLayersMatchReference(t *testing.T) {
	var golden struct {
		Tokens, Sequence int
		Errors           map[string]map[string]float64 // by layer, then by level
	}
	if err := json.Unmarshal([]byte(read(t, filepath.Join("testdata", "gptq_layers.json"))), &golden); err != nil {
		t.Fatal(err)
	}
	m, err := model.Open("builtin:finchling")
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	corpus, err := evaluator.NewCorpus(m.Tokenizer.Encode(finchling.Calibration), golden.Tokens, golden.Sequence, m.Tokenizer.Prefix())
	if err != nil {
		t.Fatal(err)
	}
	engine, err := evaluator.New(m, evaluator.Options{Path: kernels.Paths()[0].Exact(), Workers: 2, Context: golden.Sequence, NoTeacher: true})
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	err = engine.Statistics(context.Background(), &evaluator.Calibration{
		Corpus: corpus,
		Needs: func(block int, k model.Kind) compress.Needs {
			if golden.Errors[model.LayerName(block, k)] == nil {
				return compress.NeedsNothing
			}
			return compress.NeedsHessian
		},
		Take: func(block int, of *[model.NumKinds]*compress.Statistics) error {
			for k, statistics := range of {
				name := model.LayerName(block, model.Kind(k))
				w := m.Network.Blocks[block].Layers[k]
				for levelName, want := range golden.Errors[name] {
					seen++
					layer := compress.Layer{Name: name, Rows: w.Rows, Cols: w.Cols, Weights: unpack(w), Statistics: statistics}
					level := level(t, levelName)
					made, err := compress.Compress(layer, level)
					if err != nil {
						return err
					}
					got := compress.Describe(layer, level, made).OutputError
					if t.Logf("%s at %s: %.6g, reference %.6g", name, levelName, got, want); math.Abs(got-want) > 0.01*want {
						t.Errorf("%s at %s has an output error of %.6g, want %.6g", name, levelName, got, want)
					}
				}
			}
			return nil
		},
	})
	if err != nil || seen != 9 {
		t.Errorf("%d levels were compared, %v", seen, err)
	}
}

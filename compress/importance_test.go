package compress

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/finch-llm/finch/kernels"
	"github.com/finch-llm/finch/model/finchling"
	"github.com/finch-llm/finch/model/safetensors"
)

// testImportance is that of tools/golden/importance.py: few columns matter most.
func testImportance(cols int) []float64 {
	importance := gaussian(8, cols)
	for i, g := range importance {
		v := float64(g*g) + 0.01
		if i%32 == 0 {
			v *= 50
		}
		importance[i] = float64(float32(v))
	}
	return importance
}

type importanceGolden struct {
	Name             string
	Rows, Cols       int
	Important, Plain map[string]float64
}

func readImportanceGolden(t *testing.T) []importanceGolden {
	t.Helper()
	data, err := os.ReadFile("testdata/importance.json")
	if err != nil {
		t.Fatal(err)
	}
	var sets []importanceGolden
	if err := json.Unmarshal(data, &sets); err != nil {
		t.Fatal(err)
	}
	return sets
}

// weights are those of testWeights, or the first rows of a matrix of finchling.
func (g *importanceGolden) weights(t *testing.T) []float32 {
	t.Helper()
	if !strings.HasPrefix(g.Name, "model.") {
		return testWeights(g.Name, g.Rows, g.Cols)
	}
	file, err := safetensors.Parse(finchling.Weights, "finchling")
	if err != nil {
		t.Fatal(err)
	}
	tensor, ok := file.Tensor(g.Name)
	if !ok || tensor.Shape[1] != g.Cols {
		t.Fatalf("finchling has no %s of %d columns", g.Name, g.Cols)
	}
	w := make([]float32, g.Rows*g.Cols)
	for i := range w {
		w[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(tensor.Data[2*i:])) << 16) // bf16
	}
	return w
}

// weightedError is relativeError with each weight counting by the importance of its column; nil stands for ones.
func weightedError(f kernels.Format, blocks []byte, w []float32, importance []float64) float64 {
	decoded := make([]float32, len(w))
	kernels.UnpackBlocks(decoded, f, blocks)
	var difference, energy float64
	for i, v := range w {
		d, weight := float64(v)-float64(decoded[i]), 1.0
		if importance != nil {
			weight = importance[i%len(importance)]
		}
		difference += weight * d * d
		energy += weight * float64(v) * float64(v)
	}
	return difference / energy
}

// Rounding may not be worse than ggml's own quantizer by more than one per cent, with an importance matrix and, for the
// formats that TestEncodeErrorAgainstGGML does not know, without.
func TestImportanceErrorAgainstGGML(t *testing.T) {
	for _, set := range readImportanceGolden(t) {
		w := set.weights(t)
		compare := func(name string, importance []float64, wants map[string]float64) {
			for _, f := range kernels.Formats() {
				want, ok := wants[f.String()]
				if !ok {
					continue
				}
				t.Run(set.Name+"/"+f.String()+"/"+name, func(t *testing.T) {
					blocks := make([]byte, f.RowBytes(len(w)))
					EncodeBlocks(blocks, f, w, importance)
					got := weightedError(f, blocks, w, importance)
					t.Logf("relative squared error %.5g, ggml's %.5g, ratio %.4f", got, want, got/want)
					if got > 1.01*want {
						t.Errorf("relative squared error %.5g, ggml's is %.5g", got, want)
					}
				})
			}
		}
		compare("important", testImportance(set.Cols), set.Important)
		compare("plain", nil, set.Plain)
	}
}

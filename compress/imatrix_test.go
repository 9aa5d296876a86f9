package compress

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/finch-llm/finch/kernels"
)

func importantLayer(rows, cols int) Layer {
	return Layer{Name: "blk.0.ffn_up", Rows: rows, Cols: cols, Weights: testWeights("gaussian", rows, cols),
		Statistics: &Statistics{Tokens: 1, Squares: testImportance(cols)}}
}

// What matters is stored better than without knowing, for every format and its fallback.
func TestImportanceMatrixServesImportantColumns(t *testing.T) {
	for _, name := range (importanceMatrix{}).Levels() {
		for _, cols := range []int{512, 96} {
			layer := importantLayer(32, cols)
			level, plain := mustLevel(t, name), mustLevel(t, strings.TrimPrefix(name, imatrixPrefix))
			if f := level.Format(cols); f == kernels.Q8_0 {
				continue // takes no notice
			}
			var errs [2]float64
			for i, l := range []Level{level, plain} {
				m, err := Compress(layer, l)
				if err != nil {
					t.Fatal(err)
				}
				errs[i] = weightedError(m.Format, m.Data, layer.Weights, layer.Statistics.Squares)
			}
			if !(errs[0] < 0.9*errs[1]) {
				t.Errorf("%s of %d columns has the weighted error %.4g, %s %.4g", level, cols, errs[0], plain, errs[1])
			}
		}
	}
}

// The unit of the inputs makes no difference, and inputs that are always zero still have weights.
func TestImportanceIsRelative(t *testing.T) {
	layer := importantLayer(4, 256)
	for c := range 64 {
		layer.Statistics.Squares[c] = 0
	}
	for _, name := range (importanceMatrix{}).Levels() {
		level := mustLevel(t, name)
		a, err := Compress(layer, level)
		if err != nil {
			t.Fatal(err)
		}
		scaled := layer
		scaled.Statistics = &Statistics{Tokens: 1, Squares: make([]float64, layer.Cols)}
		for c, s := range layer.Statistics.Squares {
			scaled.Statistics.Squares[c] = 1024 * s
		}
		b, err := Compress(scaled, level)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(a.Data, b.Data) {
			t.Errorf("%s differs when all inputs are 32 times as large", name)
		}
		row := make([]float32, layer.Cols)
		kernels.Unpack(row, a, 0)
		var difference, energy float64
		for c := range 64 {
			d := float64(row[c]) - float64(layer.Weights[c])
			difference += d * d
			energy += float64(layer.Weights[c]) * float64(layer.Weights[c])
		}
		if !(difference < 0.5*energy) {
			t.Errorf("%s stores weights of inputs that were zero with the relative error %g", name, difference/energy)
		}
	}
}

func TestImportanceMatrixOfZeros(t *testing.T) {
	layer := importantLayer(4, 256)
	ones := Layer{Name: layer.Name, Rows: 4, Cols: 256, Weights: layer.Weights, Statistics: &Statistics{Squares: make([]float64, 256)}}
	layer.Statistics = &Statistics{Squares: make([]float64, 256)}
	for c := range 256 {
		ones.Statistics.Squares[c] = 1
	}
	level := mustLevel(t, "imatrix-q3_k")
	a, err := Compress(layer, level)
	if err != nil {
		t.Fatal(err)
	}
	b, err := Compress(ones, level)
	if err != nil {
		t.Fatal(err)
	}
	ea, eb := relativeError(a.Format, a.Data, layer.Weights), relativeError(b.Format, b.Data, layer.Weights)
	if math.Abs(ea-eb) > 1e-6 {
		t.Errorf("inputs that are all zero give the error %g, all one %g", ea, eb)
	}
}

func TestImportanceMatrixRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		statistics *Statistics
		message    string
	}{
		"none":     {nil, "needs statistics of the 256 inputs"},
		"too few":  {&Statistics{Squares: make([]float64, 255)}, "needs statistics of the 256 inputs"},
		"NaN":      {&Statistics{Squares: append(make([]float64, 255), math.NaN())}, "mean square of input 255 is NaN"},
		"negative": {&Statistics{Squares: append(make([]float64, 255), -1)}, "mean square of input 255 is -1"},
		"infinite": {&Statistics{Squares: append(make([]float64, 255), math.Inf(1))}, "mean square of input 255 is +Inf"},
	} {
		t.Run(name, func(t *testing.T) {
			layer := importantLayer(1, 256)
			layer.Statistics = c.statistics
			_, err := Compress(layer, mustLevel(t, "imatrix-iq2_xxs"))
			if err == nil || !strings.Contains(err.Error(), c.message) || !strings.Contains(err.Error(), layer.Name) {
				t.Errorf("the error is %v, want one that says %q", err, c.message)
			}
		})
	}
}

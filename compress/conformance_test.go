package compress

import (
	"bytes"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/finch-llm/finch/kernels"
)

// errorBounds bounds the relative squared error of each format, for every layer of the suite (times its slack). Rounding to a float is off
// by at most half a unit in the last place; the other bounds are what t-distributed weights of four degrees of freedom
// give, plus a few per cent.
var errorBounds = map[kernels.Format]float64{
	kernels.F32:    0,
	kernels.F16:    0x1p-22,
	kernels.BF16:   0x1p-16,
	kernels.Q4_0:   0.0145,
	kernels.Q4_1:   0.011,
	kernels.Q5_0:   0.0034,
	kernels.Q5_1:   0.0026,
	kernels.Q8_0:   6e-5,
	kernels.Q2_K:   0.11,
	kernels.Q3_K:   0.035,
	kernels.Q4_K:   0.0078,
	kernels.Q5_K:   0.0019,
	kernels.Q6_K:   0.00056,
	kernels.IQ4_NL: 0.0093,

	kernels.IQ4_XS:  0.009,
	kernels.IQ3_S:   0.025,
	kernels.IQ3_XXS: 0.0415,
	kernels.IQ2_S:   0.092,
	kernels.IQ2_XS:  0.11,
	kernels.IQ2_XXS: 0.163,
}

// errorBound is that of errorBounds or, for integer groups, one that quarters with every bit.
func errorBound(f kernels.Format) float64 {
	if g, ok := f.IntGroup(); ok {
		return intErrorBounds[g.Group] / float64(int(1)<<(2*g.Bits))
	}
	return errorBounds[f]
}

var intErrorBounds = map[int]float64{32: 3.7, 64: 5.6, 128: 8.4}

// The suite that every registered compressor passes at each of its levels.
func TestConformance(t *testing.T) {
	layers := conformanceLayers()
	for _, c := range registry {
		for _, level := range sampleLevels(t, c) {
			t.Run(c.Name()+"/"+level.Name(), func(t *testing.T) {
				for _, layer := range layers {
					if level.Needs() == NeedsSquares {
						layer.Statistics = columnStatistics(layer.Cols)
					}
					t.Run(layer.Name, func(t *testing.T) { conforms(t, layer.Layer, level, errorBound(level.Format(layer.Cols))*layer.slack) })
				}
				t.Run("refuses", func(t *testing.T) { refusesBadWeights(t, level) })
			})
		}
	}
}

// sampleLevels fills the placeholders of a compressor's level names.
func sampleLevels(t *testing.T, c Compressor) []Level {
	t.Helper()
	var levels []Level
	for _, name := range c.Levels() {
		name = strings.NewReplacer("RATIO", "0.50", "ZEROS", "256", "KEEP:OF", "2:4").Replace(name)
		for _, f := range kernels.Formats() {
			filled := strings.Replace(name, "FORMAT", f.String(), 1)
			if g, ok := f.IntGroup(); ok {
				if g.Bits > 4 && filled != name {
					continue // rtn has them all
				}
				filled = strings.NewReplacer("BITS", strconv.Itoa(g.Bits), "GROUP", strconv.Itoa(g.Group)).Replace(filled)
			}
			if level, ok, err := c.Parse(filled); ok && err == nil && !slices.Contains(levels, level) {
				levels = append(levels, level)
			}
		}
	}
	if len(levels) == 0 {
		t.Fatalf("%s has no levels", c.Name())
	}
	return levels
}

type conformanceLayer struct {
	Layer
	slack float64
}

func conformanceLayers() []conformanceLayer {
	fill := func(rows, cols int, weight func(i int) float32) []float32 {
		w := make([]float32, rows*cols)
		for i := range w {
			w[i] = weight(i)
		}
		return w
	}
	normal := testWeights("gaussian", 64, 256)
	ordinary := func(name string, rows, cols int, weights []float32) conformanceLayer {
		return conformanceLayer{Layer{Name: name, Rows: rows, Cols: cols, Weights: weights}, 1}
	}
	layers := []conformanceLayer{
		ordinary("gaussian", 16, 1024, testWeights("gaussian", 16, 1024)),
		ordinary("heavy", 16, 1024, testWeights("heavy", 16, 1024)),
		ordinary("zeros", 4, 256, make([]float32, 1024)),
		ordinary("constant", 4, 256, fill(4, 256, func(int) float32 { return 0.75 })),
		ordinary("negative", 4, 256, fill(4, 256, func(int) float32 { return -0.3 })),
		ordinary("positive", 16, 256, fill(16, 256, func(i int) float32 { return float32(math.Abs(float64(normal[i]))) })),
		{Layer{Name: "outliers", Rows: 16, Cols: 256, Weights: fill(16, 256, func(i int) float32 {
			if i%256 == 77 {
				return 8
			}
			return normal[i]
		})}, 7}, // it widens the steps of its whole block
		ordinary("one row", 1, 768, normal[:768]),
		ordinary("one column", 512, 1, normal[:512]),
		ordinary("blocks of 32", 9, 288, normal[:9*288]),
		ordinary("no blocks", 10, 100, normal[:1000]),
		ordinary("large", 2, 256, fill(2, 256, func(i int) float32 { return normal[i] * 500000 })),
	}
	statistics := map[int]*Statistics{} // layers with the same inputs share them
	for i, l := range layers {
		if statistics[l.Cols] == nil {
			statistics[l.Cols] = testStatistics(l.Cols)
		}
		layers[i].Statistics = statistics[l.Cols]
	}
	return layers
}

// columnStatistics are those of inputs of which every eighth counts twice.
func columnStatistics(cols int) *Statistics {
	s := &Statistics{Tokens: 1, Squares: make([]float64, cols)}
	for c := range s.Squares {
		s.Squares[c] = 1 + float64(c%8/7)
	}
	return s
}

func conforms(t *testing.T, layer Layer, level Level, bound float64) {
	before := append([]float32(nil), layer.Weights...)
	m, err := Compress(layer, level)
	if err != nil {
		t.Fatal(err)
	}
	for i, w := range before {
		if layer.Weights[i] != w {
			t.Fatalf("weight %d of the input was changed", i)
		}
	}
	again, err := Compress(layer, level)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(m.Data, again.Data) || !bytes.Equal(m.Mask, again.Mask) {
		t.Error("the same layer gives other bytes the second time")
	}

	weights := int64(len(layer.Weights))
	info := Describe(layer, level, m)
	if f := level.Format(layer.Cols); m.Format != f || m.Rows != layer.Rows || m.Cols != layer.Cols {
		t.Errorf("stored as %v [%d, %d], want %v [%d, %d]", m.Format, m.Rows, m.Cols, f, layer.Rows, layer.Cols)
	}
	if info.NonZeros != weights-level.Zeros(weights) {
		t.Errorf("%d of %d weights are stored, want %d", info.NonZeros, weights, weights-level.Zeros(weights))
	}
	if want := expectedBytes(m); info.Bytes != want || info.Bytes != int64(len(m.Data)+len(m.Mask)) {
		t.Errorf("%d bytes, want %d", info.Bytes, want)
	}
	if level.Needs() == NeedsHessian { // weights that make up for others are far from where they were
		atMost := plainOutputError(t, layer, level)
		atMost += bound / 8 // constant rows may lie on one grid and, by chance, not on another
		if !(info.OutputError <= atMost) {
			t.Errorf("relative squared error of the outputs %g in %v is over the %g of the plain level", info.OutputError, m.Format, atMost)
		}
		return
	}
	if bound += prunedShare(layer, m); !(info.RelativeError <= bound) {
		t.Errorf("relative squared error %g in %v is over %g", info.RelativeError, m.Format, bound)
	}
}

// plainOutputError is the output error of the level that stores as much without looking at the inputs.
func plainOutputError(t *testing.T, layer Layer, level Level) float64 {
	t.Helper()
	name := strings.TrimSuffix(strings.TrimPrefix(level.Name(), "gptq-"), "-act")
	if pruned, ok := strings.CutPrefix(name, "sparsegpt"); ok {
		name = "sparse" + pruned
	}
	plain := mustLevel(t, name)
	m, err := Compress(layer, plain)
	if err != nil {
		t.Fatal(err)
	}
	return Describe(layer, plain, m).OutputError
}

func expectedBytes(m *kernels.Matrix) int64 {
	if m.Mask == nil {
		return int64(m.Rows) * int64(m.Format.RowBytes(m.Cols))
	}
	bytes := m.Rows * ((m.Cols + 7) / 8)
	for r := range m.Rows {
		bytes += int(m.RowStart[r+1]-m.RowStart[r]) * m.Format.BlockBytes()
	}
	return int64(bytes)
}

// prunedShare is the share of the layer's squared weights that is not stored.
func prunedShare(layer Layer, m *kernels.Matrix) float64 {
	if m.Mask == nil {
		return 0
	}
	var pruned, all float64
	stride := (m.Cols + 7) / 8
	for i, w := range layer.Weights {
		square := float64(w) * float64(w)
		all += square
		if row, col := i/m.Cols, i%m.Cols; m.Mask[row*stride+col/8]>>(col%8)&1 == 0 {
			pruned += square
		}
	}
	if all == 0 {
		return 0
	}
	return pruned / all
}

func refusesBadWeights(t *testing.T, level Level) {
	bad := []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))}
	if limit := MaxMagnitude(level.Format(256)); limit < math.MaxFloat32 {
		bad = append(bad, math.Nextafter32(limit, math.MaxFloat32))
	}
	for _, w := range bad {
		layer := Layer{Name: "blk.3.attn_q", Rows: 2, Cols: 256, Weights: make([]float32, 512), Statistics: testStatistics(256)}
		layer.Weights[300] = w
		_, err := Compress(layer, level)
		if err == nil || !strings.Contains(err.Error(), "blk.3.attn_q") || !strings.Contains(err.Error(), "row 1, column 44") {
			t.Errorf("weight %g gives the error %v", w, err)
		}
	}
	for _, layer := range []Layer{{Name: "l", Rows: 2, Cols: 3, Weights: make([]float32, 5)}, {Name: "l"}, {Name: "l", Rows: -1, Cols: -1, Weights: make([]float32, 1)}} {
		if _, err := Compress(layer, level); err == nil {
			t.Errorf("a layer of %d × %d with %d weights is stored", layer.Rows, layer.Cols, len(layer.Weights))
		}
	}
}

func TestCompressRefusesGates(t *testing.T) {
	if _, err := Compress(Layer{Name: "blk.1.mlp", Rows: 1, Cols: 1, Weights: []float32{1}}, Drop); err == nil {
		t.Error("a layer is stored as drop")
	}
}

package compress

import (
	"errors"
	"fmt"
	"strings"

	"github.com/finch-llm/finch/kernels"
)

// roundToNearest stores every weight in a format, each block by itself and without calibration data. Its levels are named
// like the formats.
type roundToNearest struct{}

func (roundToNearest) Name() string { return "rtn" }
func (roundToNearest) Version() int { return 1 }

func (roundToNearest) Needs(Level) Needs { return NeedsNothing }

func (roundToNearest) Levels() []string {
	var names []string
	for _, f := range kernels.Formats() {
		if _, ok := f.IntGroup(); !ok && Encodes(f) {
			names = append(names, f.String())
		}
	}
	return append(names, "intBITS-gGROUP", "intBITS-gGROUP-sym")
}

func (c roundToNearest) Parse(name string) (Level, bool, error) {
	f, err := kernels.ParseFormat(name)
	if err != nil && strings.HasPrefix(name, "int") {
		return Level{}, true, errors.New("integer levels have 2 to 8 bits in groups of 32, 64 or 128 weights, symmetric or not: write int3-g64 or int3-g64-sym, for example")
	}
	if err != nil {
		return Level{}, false, nil // the name of another compressor's level
	}
	if !Encodes(f) {
		return Level{}, true, fmt.Errorf("finch runs models with weights in %v, but cannot round weights to it", f)
	}
	return Level{name: name, compressor: c.Name(), format: f}, true, nil
}

func (roundToNearest) Compress(layer Layer, level Level) (*kernels.Matrix, error) {
	return encodeDense(layer, level.Format(layer.Cols), nil), nil
}

// encodeDense rounds all weights of a layer to a format, by the importance of each column if it is known.
func encodeDense(layer Layer, f kernels.Format, importance []float64) *kernels.Matrix {
	m := newDense(layer, f)
	EncodeBlocks(m.Data, f, layer.Weights, importance)
	return m
}

// newDense is a layer in a format, its blocks still to be written.
func newDense(layer Layer, f kernels.Format) *kernels.Matrix {
	return &kernels.Matrix{Format: f, Rows: layer.Rows, Cols: layer.Cols, Data: make([]byte, f.RowBytes(len(layer.Weights)))}
}

// Fallback is the format that rows of cols weights get when f's blocks do not divide them: the one that llama.cpp takes,
// which is the next larger with blocks of 32, or f16 if those do not fit either. Integer groups become smaller first.
func Fallback(f kernels.Format, cols int) kernels.Format {
	if cols%f.BlockWeights() == 0 {
		return f
	}
	if g, ok := f.IntGroup(); ok && g.Group > kernels.MinIntGroup {
		g.Group /= 2
		return Fallback(g.Format(), cols)
	}
	switch f {
	case kernels.Q2_K, kernels.Q3_K, kernels.IQ2_XXS, kernels.IQ2_XS, kernels.IQ2_S, kernels.IQ3_XXS, kernels.IQ3_S, kernels.IQ4_XS:
		return Fallback(kernels.IQ4_NL, cols)
	case kernels.Q4_K:
		return Fallback(kernels.Q5_0, cols)
	case kernels.Q5_K:
		return Fallback(kernels.Q5_1, cols)
	case kernels.Q6_K:
		return Fallback(kernels.Q8_0, cols)
	}
	return kernels.F16
}

package compress

import (
	"math"

	"github.com/finch-llm/finch/kernels"
)

// BitsPerWeight is the one meaning of bits per weight in finch: all bits that are stored for some weights (codes, scales,
// offsets, padding and, for sparse layers, the mask) over the number of dense weights they stand for, pruned ones
// included. Every format and level, one layer or many, is counted with it. 0 if weights is 0.
func BitsPerWeight(bytes, weights int64) float64 {
	if weights == 0 {
		return 0
	}
	return float64(bytes) * 8 / float64(weights)
}

// Info describes a layer stored at a level.
type Info struct {
	Layer      string
	Level      string
	Format     kernels.Format // of the stored weights; not that of the level's name where a fallback was taken
	Sparse     bool           // there is a mask
	Rows, Cols int
	Bytes      int64 // stored size: blocks and mask
	NonZeros   int64 // weights that are stored; those of a dense layer all are

	// RelativeError is ‖W − Ŵ‖² / ‖W‖² for the decoded weights Ŵ; 0 for a layer of zeros that stays zero.
	RelativeError float64

	// OutputError is tr(ΔW H ΔWᵀ) / tr(W H Wᵀ) with ΔW = W − Ŵ and H the second moments of the layer's inputs: the squared error of
	// its outputs on calibration text, relative to their squares. NaN where H was not known. It is in the Measures of a level database,
	// not in level files, which do not depend on a text that others were fitted to.
	OutputError float64
}

// Weights is the number of dense weights, pruned ones included.
func (i Info) Weights() int64 { return int64(i.Rows) * int64(i.Cols) }

// BitsPerWeight is the stored size per dense weight.
func (i Info) BitsPerWeight() float64 { return BitsPerWeight(i.Bytes, i.Weights()) }

// Describe measures a layer as m stores it at a level. The error of its outputs is measured if there are statistics of its inputs.
func Describe(layer Layer, level Level, m *kernels.Matrix) Info {
	return describe(layer, level, m, outputSquares(layer))
}

// describe is given the outputSquares of the layer.
func describe(layer Layer, level Level, m *kernels.Matrix, outputs float64) Info {
	i := Info{
		Layer:       layer.Name,
		Level:       level.Name(),
		Format:      m.Format,
		Sparse:      m.Mask != nil,
		Rows:        m.Rows,
		Cols:        m.Cols,
		Bytes:       m.Bytes(),
		NonZeros:    m.NonZeros(),
		OutputError: math.NaN(),
	}
	difference := make([]float32, len(layer.Weights))
	i.RelativeError = matrixError(difference, layer.Weights, m)
	if !math.IsNaN(outputs) {
		i.OutputError = relative(quadratic(difference, layer), outputs)
	}
	return i
}

// matrixError is the squared error of m relative to the dense weights [Rows, Cols], summed row by row. It leaves W − Ŵ in
// difference.
func matrixError(difference, weights []float32, m *kernels.Matrix) float64 {
	decoded := make([]float32, m.Cols)
	var squares, energy float64
	for r := range m.Rows {
		kernels.Unpack(decoded, m, r)
		from := r * m.Cols
		for c, w := range weights[from : from+m.Cols] {
			d := float64(w) - float64(decoded[c])
			difference[from+c] = float32(d)
			squares += float64(d * d)
			energy += float64(float64(w) * float64(w))
		}
	}
	return relative(squares, energy)
}

// outputSquares is tr(W H Wᵀ), the mean square of a layer's outputs; NaN if H is not known.
func outputSquares(layer Layer) float64 {
	if s := layer.Statistics; s == nil || s.Hessian == nil {
		return math.NaN()
	}
	return quadratic(layer.Weights, layer)
}

// quadratic is tr(A H Aᵀ) for A [Rows, Cols] and the second moments of a layer's inputs.
func quadratic(a []float32, layer Layer) float64 {
	s := newSheet(a, layer.Rows, layer.Cols, identity(layer.Cols))
	return max(s.quadratic(layer.Statistics.Hessian), 0) // a singular H may give less, by rounding
}

func relative(difference, energy float64) float64 {
	if energy == 0 {
		return difference
	}
	return difference / energy
}

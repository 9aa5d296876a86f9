package compress

import (
	"math"
	"testing"

	"github.com/finch-llm/finch/kernels"
)

// Scores of both layers are compared with one mean: 1, 2, 3 and 3·4, 1·4, 0 have the mean 22/6.
func TestOutlierShare(t *testing.T) {
	layers := []*kernels.Matrix{denseMatrix(1, 3, 1, -2, 3), denseMatrix(3, 1, -3, 1, 0)}
	squares := [][]float64{{1, 1, 1}, {16}}
	for _, c := range []struct{ m, want float64 }{{0, 5. / 6}, {1, 2. / 6}, {2, 1. / 6}, {12 * 6. / 22, 0}, {5, 0}} {
		if got := OutlierShare(layers, squares, c.m); got != c.want {
			t.Errorf("m = %v: %v, want %v", c.m, got, c.want)
		}
	}
}

func denseMatrix(rows, cols int, weights ...float32) *kernels.Matrix {
	m := &kernels.Matrix{Format: kernels.F32, Rows: rows, Cols: cols}
	for _, w := range weights {
		bits := math.Float32bits(w)
		m.Data = append(m.Data, byte(bits), byte(bits>>8), byte(bits>>16), byte(bits>>24))
	}
	return m
}

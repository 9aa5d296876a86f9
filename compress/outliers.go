package compress

import (
	"math"

	"github.com/finch-llm/finch/kernels"
)

// OutlierShare is the share of the weights of some layers, taken together, whose score |w|·√(mean x²) is more than m times the mean
// score: OWL's layerwise outlier distribution of a block (Yin et al., arXiv 2310.05175). squares are the mean squares of each
// layer's inputs [layers][Cols].
func OutlierShare(layers []*kernels.Matrix, squares [][]float64, m float64) float64 {
	sum, weights := 0.0, 0
	eachScore(layers, squares, func(score float64) {
		sum += score
		weights++
	})
	threshold, outliers := m*sum/float64(weights), 0
	eachScore(layers, squares, func(score float64) {
		if score > threshold {
			outliers++
		}
	})
	return float64(outliers) / float64(weights)
}

// eachScore goes through the weights row by row, so that no layer is decoded whole.
func eachScore(layers []*kernels.Matrix, squares [][]float64, see func(score float64)) {
	for i, layer := range layers {
		norms := make([]float64, layer.Cols)
		for c := range norms {
			norms[c] = math.Sqrt(squares[i][c])
		}
		row := make([]float32, layer.Cols)
		for r := range layer.Rows {
			kernels.Unpack(row, layer, r)
			for c, w := range row {
				see(math.Abs(float64(w)) * norms[c])
			}
		}
	}
}

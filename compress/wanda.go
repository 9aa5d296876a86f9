package compress

import (
	"math"

	"github.com/finch-llm/finch/kernels"
)

// wanda prunes the weights of smallest |w|·√(mean x²) in each row (Sun et al., arXiv 2306.11695), and rounds the others as
// importanceMatrix does. Its levels are named as those of magnitude: "wanda-0.60", "wanda-2:4", "wanda-0.50+q4_0".
type wanda struct{}

func (wanda) Name() string { return "wanda" }
func (wanda) Version() int { return 1 }

func (wanda) Needs(Level) Needs { return NeedsSquares }

func (wanda) Levels() []string { return prunedLevels("wanda") }

func (c wanda) Parse(name string) (Level, bool, error) { return parsePruned(c, "wanda", name) }

func (wanda) Compress(layer Layer, level Level) (*kernels.Matrix, error) {
	s, err := newSelection(layer, level)
	if err != nil {
		return nil, err
	}
	importance, err := columnImportance(layer.Statistics.Squares)
	if err != nil {
		return nil, err
	}
	scores := make([]float32, layer.Cols)
	for row := range layer.Rows {
		from, to := row*layer.Cols, (row+1)*layer.Cols
		for c, w := range layer.Weights[from:to] {
			scores[c] = float32(float64(w) * math.Sqrt(layer.Statistics.Squares[c]))
		}
		if s.of > 0 {
			prunePattern(s.pruned[from:to], scores, s.keep, s.of)
		} else {
			pruneSmallest(s.pruned[from:to], scores, s.share(row, row+1, layer.Rows))
		}
	}
	return s.matrix(level.Format(layer.Cols), layer.Weights, importance), nil
}

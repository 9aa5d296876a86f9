package compress

import (
	"fmt"
	"math"
	"strconv"

	"github.com/finch-llm/finch/kernels"
)

// magnitude prunes the weights of smallest magnitude in each layer and stores the others, in bf16 or another format with
// blocks of at most 32 weights (Han et al., arXiv 1506.02626). Its levels are a share of zeros ("sparse-0.60",
// "sparse-0.50+q4_0"), a pattern ("sparse-2:4") or an exact number of zeros ("sparse@4096").
type magnitude struct{}

func (magnitude) Name() string { return "magnitude" }
func (magnitude) Version() int { return 1 }

func (magnitude) Needs(Level) Needs { return NeedsNothing }

func (magnitude) Levels() []string { return prunedLevels("sparse") }

func (c magnitude) Parse(name string) (Level, bool, error) { return parsePruned(c, "sparse", name) }

// SparseZeros is the level with exactly n zeros in each layer. It panics if n is negative, or if the blocks of values are
// larger than 128 weights.
func SparseZeros(n int64, values kernels.Format) Level {
	if n < 0 || values.BlockWeights() > maxSparseBlock {
		panic(fmt.Sprintf("compress: no sparse level has %d zeros and %v values", n, values))
	}
	return prunedLevel(magnitude{}, "sparse@"+strconv.FormatInt(n, 10), values, pruning{exact: true, zeros: n})
}

func (magnitude) Compress(layer Layer, level Level) (*kernels.Matrix, error) {
	s, err := newSelection(layer, level)
	if err != nil {
		return nil, err
	}
	if s.of > 0 {
		prunePattern(s.pruned, layer.Weights, s.keep, s.of)
	} else {
		pruneSmallest(s.pruned, layer.Weights, s.zeros)
	}
	return s.matrix(level.Format(layer.Cols), layer.Weights, nil), nil
}

// smallest returns a function that, asked for each of weights in turn, says whether it is among the n of smallest
// magnitude. Among equals the first are.
func smallest(weights []float32, n int) func(w float32) bool {
	if n == 0 {
		return func(float32) bool { return false }
	}
	// The bits of |w| order like |w|: find those of the n-th smallest, 16 by 16, by counting.
	const low = 1 << 15
	counts := make([]int, 1<<16)
	for _, w := range weights {
		counts[magnitudeBits(w)/low]++
	}
	high, rest := nth(counts, n)
	clear(counts)
	for _, w := range weights {
		if b := magnitudeBits(w); b/low == high {
			counts[b%low]++
		}
	}
	last, ties := nth(counts, rest)
	threshold := high*low + last
	return func(w float32) bool {
		b := magnitudeBits(w)
		if b == threshold && ties > 0 {
			ties--
			return true
		}
		return b < threshold
	}
}

func magnitudeBits(w float32) uint32 { return math.Float32bits(w) &^ (1 << 31) }

// nth finds the bin that holds the n-th element, n ≥ 1, and which element of that bin it is.
func nth(counts []int, n int) (bin uint32, rest int) {
	for counts[bin] < n {
		n -= counts[bin]
		bin++
	}
	return bin, n
}

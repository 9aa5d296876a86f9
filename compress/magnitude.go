package compress

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/finch-llm/finch/kernels"
)

// magnitude prunes the weights of smallest magnitude in each layer and stores the others, in bf16 or another format with
// blocks of at most 32 weights (Han et al., arXiv 1506.02626). Its levels are a share of zeros ("sparse-0.60",
// "sparse-0.50+q4_0") or an exact number of them ("sparse@4096").
type magnitude struct{}

const (
	maxSparseBlock   = 32             // bounds the padding of a row of kept weights
	maxSparseWeights = math.MaxUint32 // kernels.Matrix.RowStart counts blocks in 32 bits
)

func (magnitude) Name() string { return "magnitude" }
func (magnitude) Version() int { return 1 }

func (magnitude) Needs(Level) Needs { return NeedsNothing }

func (magnitude) Levels() []string {
	return []string{"sparse-RATIO", "sparse-RATIO+FORMAT", "sparse@ZEROS", "sparse@ZEROS+FORMAT"}
}

// SparseZeros is the level with exactly n zeros in each layer. It panics if n is negative, or if the blocks of values are
// larger than 32 weights.
func SparseZeros(n int64, values kernels.Format) Level {
	if n < 0 || values.BlockWeights() > maxSparseBlock {
		panic(fmt.Sprintf("compress: no sparse level has %d zeros and %v values", n, values))
	}
	return sparseLevel("sparse@"+strconv.FormatInt(n, 10), values, pruning{sparse: true, exact: true, zeros: n})
}

func sparseLevel(name string, values kernels.Format, p pruning) Level {
	if values != kernels.BF16 {
		name += "+" + values.String()
	}
	return Level{name: name, compressor: magnitude{}.Name(), format: values, pruning: p}
}

func (magnitude) Parse(name string) (Level, bool, error) {
	amount, format, hasFormat := strings.Cut(name, "+")
	values := kernels.BF16
	if hasFormat {
		f, err := kernels.ParseFormat(format)
		if err != nil {
			return Level{}, true, err
		}
		if !Encodes(f) {
			return Level{}, true, fmt.Errorf("finch cannot round weights to %v: write q4_0 or another format that is a level", f)
		}
		if f.BlockWeights() > maxSparseBlock {
			return Level{}, true, fmt.Errorf("%v has blocks of %d weights, too large for the kept weights of a row: write q4_0 or another format with blocks of at most %d",
				f, f.BlockWeights(), maxSparseBlock)
		}
		values = f
	}
	if digits, ok := strings.CutPrefix(amount, "sparse@"); ok {
		zeros, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || zeros < 0 {
			return Level{}, true, fmt.Errorf("%q is not a number of zeros: write sparse@4096, for example", digits)
		}
		return SparseZeros(zeros, values), true, nil
	}
	if digits, ok := strings.CutPrefix(amount, "sparse-"); ok {
		share, err := strconv.ParseFloat(digits, 64)
		if err != nil || !(share >= 0 && share <= 1) {
			return Level{}, true, fmt.Errorf("%q is not a share of zeros between 0 and 1: write sparse-0.60, for example", digits)
		}
		return sparseLevel("sparse-"+formatShare(share), values, pruning{sparse: true, share: share}), true, nil
	}
	return Level{}, false, nil
}

// formatShare writes at least two decimals: "0.60", "0.625".
func formatShare(share float64) string {
	text := strconv.FormatFloat(math.Abs(share), 'f', -1, 64) // no "-0"
	if _, decimals, _ := strings.Cut(text, "."); len(decimals) < 2 {
		return strconv.FormatFloat(math.Abs(share), 'f', 2, 64)
	}
	return text
}

func (magnitude) Compress(layer Layer, level Level) (*kernels.Matrix, error) {
	weights := int64(len(layer.Weights))
	zeros := level.Zeros(weights)
	if zeros > weights {
		return nil, fmt.Errorf("%d zeros are more than its %d weights", zeros, weights)
	}
	if weights > maxSparseWeights {
		return nil, fmt.Errorf("%d weights are more than a sparse layer holds (%d)", weights, int64(maxSparseWeights))
	}
	stride := (layer.Cols + 7) / 8
	m := &kernels.Matrix{Format: level.Format(layer.Cols), Rows: layer.Rows, Cols: layer.Cols}
	m.Mask = make([]byte, layer.Rows*stride)
	pruned := smallest(layer.Weights, int(zeros))
	for i, w := range layer.Weights {
		if !pruned(w) {
			row, col := i/layer.Cols, i%layer.Cols
			m.Mask[row*stride+col/8] |= 1 << (col % 8)
		}
	}
	m.IndexRows()
	packRows(m, layer.Weights)
	return m, nil
}

// packRows fills m.Data with the weights [Rows, Cols] that m.Mask keeps, each row padded with zeros to whole blocks.
func packRows(m *kernels.Matrix, weights []float32) {
	size := m.Format.BlockBytes()
	m.Data = make([]byte, int(m.RowStart[m.Rows])*size)
	stride := len(m.Mask) / m.Rows
	kept := make([]float32, 0, m.Cols+maxSparseBlock)
	for r := range m.Rows {
		kept = kept[:0]
		mask := m.Mask[r*stride:]
		for c, w := range weights[r*m.Cols : (r+1)*m.Cols] {
			if mask[c/8]>>(c%8)&1 != 0 {
				kept = append(kept, w)
			}
		}
		for len(kept)%m.Format.BlockWeights() != 0 {
			kept = append(kept, 0)
		}
		EncodeBlocks(m.Data[int(m.RowStart[r])*size:], m.Format, kept, nil)
	}
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

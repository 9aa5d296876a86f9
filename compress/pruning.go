package compress

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/finch-llm/finch/kernels"
)

const (
	maxSparseBlock   = 128            // bounds the padding of a row of kept weights
	maxSparseWeights = math.MaxUint32 // kernels.Matrix.RowStart counts blocks in 32 bits
)

// pruning says how many weights of a layer are zeros that are not stored: a share of them or, if exact, a number.
type pruning struct {
	sparse, exact bool
	share         float64
	zeros         int64
	keep, of      int // of each run of so many weights of a row, so many are kept; 0 if they may lie anywhere
}

// prunedLevels are the names of the levels of a compressor that prunes.
func prunedLevels(prefix string) []string {
	var names []string
	for _, amount := range []string{"-RATIO", "-KEEP:OF", "@ZEROS"} {
		names = append(names, prefix+amount, prefix+amount+"+FORMAT")
	}
	return names
}

// parsePruned reads the name of a level of c: how much is pruned, and the format of what is kept.
func parsePruned(c Compressor, prefix, name string) (Level, bool, error) {
	amount, ok := strings.CutPrefix(name, prefix)
	if !ok || !strings.HasPrefix(amount, "-") && !strings.HasPrefix(amount, "@") {
		return Level{}, false, nil
	}
	amount, format, hasFormat := strings.Cut(amount, "+")
	values := kernels.BF16
	if hasFormat {
		var err error
		if values, err = parseSparseFormat(format); err != nil {
			return Level{}, true, err
		}
	}
	var p pruning
	var err error
	digits := amount[1:]
	switch {
	case amount[0] == '@':
		p, err = parseZeros(prefix, digits)
		amount = "@" + strconv.FormatInt(p.zeros, 10)
	case strings.Contains(digits, ":"):
		p, err = parsePattern(prefix, digits)
		amount = fmt.Sprintf("-%d:%d", p.keep, p.of)
	default:
		p, err = parseShare(prefix, digits)
		amount = "-" + formatShare(p.share)
	}
	if err != nil {
		return Level{}, true, err
	}
	return prunedLevel(c, prefix+amount, values, p), true, nil
}

func prunedLevel(c Compressor, name string, values kernels.Format, p pruning) Level {
	if values != kernels.BF16 {
		name += "+" + values.String()
	}
	p.sparse = true
	return Level{name: name, compressor: c.Name(), format: values, pruning: p}
}

// parseSparseFormat reads the format of the weights that are kept.
func parseSparseFormat(name string) (kernels.Format, error) {
	f, err := kernels.ParseFormat(name)
	if err != nil {
		return 0, err
	}
	if !Encodes(f) {
		return 0, fmt.Errorf("finch cannot round weights to %v: write q4_0 or another format that is a level", f)
	}
	if f.BlockWeights() > maxSparseBlock {
		return 0, fmt.Errorf("%v has blocks of %d weights, too large for the kept weights of a row: write q4_0 or another format with blocks of at most %d",
			f, f.BlockWeights(), maxSparseBlock)
	}
	return f, nil
}

func parseZeros(prefix, digits string) (pruning, error) {
	zeros, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || zeros < 0 {
		return pruning{}, fmt.Errorf("%q is not a number of zeros: write %s@4096, for example", digits, prefix)
	}
	return pruning{exact: true, zeros: zeros}, nil
}

func parseShare(prefix, digits string) (pruning, error) {
	share, err := strconv.ParseFloat(digits, 64)
	if err != nil || !(share >= 0 && share <= 1) {
		return pruning{}, fmt.Errorf("%q is not a share of zeros between 0 and 1: write %s-0.60, for example", digits, prefix)
	}
	return pruning{share: math.Abs(share)}, nil // no "-0"
}

// maxPattern is the longest run of an N:M pattern. Runs are powers of two.
const maxPattern = 32

func parsePattern(prefix, digits string) (pruning, error) {
	left, right, _ := strings.Cut(digits, ":")
	keep, err1 := strconv.Atoi(left)
	of, err2 := strconv.Atoi(right)
	if err1 != nil || err2 != nil || keep < 1 || keep >= of || of > maxPattern || of&(of-1) != 0 {
		return pruning{}, fmt.Errorf("%q is not a pattern of N kept weights in each M, with M 2, 4, 8, 16 or 32: write %s-2:4, for example", digits, prefix)
	}
	return pruning{share: 1 - float64(keep)/float64(of), keep: keep, of: of}, nil
}

// formatShare writes at least two decimals: "0.60", "0.625".
func formatShare(share float64) string {
	text := strconv.FormatFloat(share, 'f', -1, 64)
	if _, decimals, _ := strings.Cut(text, "."); len(decimals) < 2 {
		return strconv.FormatFloat(share, 'f', 2, 64)
	}
	return text
}

// selection is what a level prunes of one layer.
type selection struct {
	rows, cols int
	zeros      int
	keep, of   int    // as in pruning
	pruned     []bool // [rows, cols]
}

// newSelection has nothing pruned yet. Rows that the runs of a pattern do not divide are pruned anywhere, as much.
func newSelection(layer Layer, level Level) (*selection, error) {
	weights := int64(len(layer.Weights))
	zeros := level.Zeros(weights)
	if zeros > weights {
		return nil, fmt.Errorf("%d zeros are more than its %d weights", zeros, weights)
	}
	if weights > maxSparseWeights {
		return nil, fmt.Errorf("%d weights are more than a sparse layer holds (%d)", weights, int64(maxSparseWeights))
	}
	s := &selection{rows: layer.Rows, cols: layer.Cols, zeros: int(zeros), pruned: make([]bool, weights)}
	if p := level.pruning; p.of > 0 && layer.Cols%p.of == 0 {
		s.keep, s.of = p.keep, p.of
	}
	return s, nil
}

// share is how many of the zeros go to parts from to end of n equal ones.
func (s *selection) share(from, end, n int) int {
	before := func(part int) int { return int(int64(s.zeros) * int64(part) / int64(n)) }
	return before(end) - before(from)
}

// pruneSmallest marks the n weights of smallest |score|. Among equals the first go.
func pruneSmallest(pruned []bool, scores []float32, n int) {
	small := smallest(scores, n)
	for i, s := range scores {
		pruned[i] = small(s)
	}
}

// prunePattern marks the weights of smallest |score| in each run so that some are kept of each.
func prunePattern(pruned []bool, scores []float32, keep, of int) {
	for ; len(scores) > 0; pruned, scores = pruned[of:], scores[of:] {
		for range of - keep {
			least := -1
			for i, s := range scores[:of] {
				if !pruned[i] && (least < 0 || magnitudeBits(s) < magnitudeBits(scores[least])) {
					least = i
				}
			}
			pruned[least] = true
		}
	}
}

// matrix stores what is kept of weights [rows, cols] in a format, rounded by the importance of each column if it is known.
func (s *selection) matrix(f kernels.Format, weights []float32, importance []float64) *kernels.Matrix {
	stride := (s.cols + 7) / 8
	m := &kernels.Matrix{Format: f, Rows: s.rows, Cols: s.cols, Mask: make([]byte, s.rows*stride)}
	for i, pruned := range s.pruned {
		if !pruned {
			row, col := i/s.cols, i%s.cols
			m.Mask[row*stride+col/8] |= 1 << (col % 8)
		}
	}
	m.IndexRows()
	packRows(m, weights, importance)
	return m
}

// packRows fills m.Data with the weights [Rows, Cols] that m.Mask keeps, each row padded with zeros to whole blocks.
func packRows(m *kernels.Matrix, weights []float32, importance []float64) {
	size := m.Format.BlockBytes()
	m.Data = make([]byte, int(m.RowStart[m.Rows])*size)
	stride := len(m.Mask) / m.Rows
	kept := make([]float32, 0, m.Cols+maxSparseBlock)
	var columns []float64 // the importance of each kept weight
	for r := range m.Rows {
		kept, columns = kept[:0], columns[:0]
		mask := m.Mask[r*stride:]
		for c, w := range weights[r*m.Cols : (r+1)*m.Cols] {
			if mask[c/8]>>(c%8)&1 == 0 {
				continue
			}
			kept = append(kept, w)
			if importance != nil {
				columns = append(columns, importance[c])
			}
		}
		for len(kept)%m.Format.BlockWeights() != 0 {
			kept = append(kept, 0)
			if importance != nil {
				columns = append(columns, columns[len(columns)-1]) // scales are not fit to a weight or two alone
			}
		}
		EncodeBlocks(m.Data[int(m.RowStart[r])*size:], m.Format, kept, columns)
	}
}

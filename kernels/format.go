package kernels

import (
	"fmt"
	"math/bits"
	"strings"
)

// Format is one way to store a row of weights: consecutive blocks of BlockWeights weights in BlockBytes bytes.
// Layouts are those of GGUF (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md and ggml-common.h).
type Format uint8

const (
	F32 Format = iota
	F16
	BF16
	Q4_0
	Q4_1
	Q5_0
	Q5_1
	Q8_0
	Q2_K
	Q3_K
	Q4_K
	Q5_K
	Q6_K
	IQ4_NL
	numFormats
)

var formats = [numFormats]struct {
	name    string
	weights int
	bytes   int
}{
	F32:    {"f32", 1, 4},
	F16:    {"f16", 1, 2},
	BF16:   {"bf16", 1, 2},
	Q4_0:   {"q4_0", 32, 18},
	Q4_1:   {"q4_1", 32, 20},
	Q5_0:   {"q5_0", 32, 22},
	Q5_1:   {"q5_1", 32, 24},
	Q8_0:   {"q8_0", 32, 34},
	Q2_K:   {"q2_k", 256, 84},
	Q3_K:   {"q3_k", 256, 110},
	Q4_K:   {"q4_k", 256, 144},
	Q5_K:   {"q5_k", 256, 176},
	Q6_K:   {"q6_k", 256, 210},
	IQ4_NL: {"iq4_nl", 32, 18},
}

// Formats lists every format, in the order of its constants.
func Formats() []Format {
	all := make([]Format, numFormats)
	for i := range all {
		all[i] = Format(i)
	}
	return all
}

// ParseFormat finds a format by its lower-case GGUF name, such as "q4_k".
func ParseFormat(name string) (Format, error) {
	for f, info := range formats {
		if info.name == name {
			return Format(f), nil
		}
	}
	names := make([]string, numFormats)
	for i, info := range formats {
		names[i] = info.name
	}
	return 0, fmt.Errorf("unknown weight format %q: write one of %s", name, strings.Join(names, ", "))
}

func (f Format) String() string    { return formats[f].name }
func (f Format) BlockWeights() int { return formats[f].weights }
func (f Format) BlockBytes() int   { return formats[f].bytes }

// RowBytes is the stored size of one row of n weights; n must be a multiple of BlockWeights.
func (f Format) RowBytes(n int) int { return n / formats[f].weights * formats[f].bytes }

// Matrix is a weight matrix W [Rows outputs, Cols inputs] in its stored representation: what is multiplied is what ships.
type Matrix struct {
	Format     Format
	Rows, Cols int

	// Data holds the blocks, row after row. It may be memory-mapped and unaligned.
	// Dense: Rows × RowBytes(Cols). Sparse: for each row the blocks of its non-zero weights, in column order, the
	// last block padded with zeros.
	Data []byte

	// Mask, if not nil, makes the matrix sparse: one bit per weight, least significant first, each row padded to whole
	// bytes. A set bit says that the weight is stored in Data, a clear bit that it is zero.
	Mask []byte

	// RowStart, for sparse matrices, is the first block of each row in Data, with one more entry for the end [Rows+1].
	// It follows from Mask (IndexRows) and is not stored.
	RowStart []uint32
}

// IndexRows computes RowStart from Mask.
func (m *Matrix) IndexRows() {
	stride := (m.Cols + 7) / 8
	m.RowStart = make([]uint32, m.Rows+1)
	for r := range m.Rows {
		n := 0
		for _, b := range m.Mask[r*stride : (r+1)*stride] {
			n += bits.OnesCount8(b)
		}
		blocks := (n + m.Format.BlockWeights() - 1) / m.Format.BlockWeights()
		m.RowStart[r+1] = m.RowStart[r] + uint32(blocks)
	}
}

// NonZeros is the number of weights with a set bit in Mask, or Rows × Cols for a dense matrix.
func (m *Matrix) NonZeros() int64 {
	if m.Mask == nil {
		return int64(m.Rows) * int64(m.Cols)
	}
	n := 0
	for _, b := range m.Mask {
		n += bits.OnesCount8(b)
	}
	return int64(n)
}

// Bytes is the stored size: blocks and mask.
func (m *Matrix) Bytes() int64 { return int64(len(m.Data) + len(m.Mask)) }

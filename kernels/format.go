package kernels

import (
	"fmt"
	"math/bits"
	"strings"
)

// Format is one way to store a row of weights: consecutive blocks of BlockWeights weights in BlockBytes bytes.
// Layouts are those of GGUF (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md and ggml-common.h), or finch's own
// (IntGroup).
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
	IQ4_XS
	IQ3_XXS
	IQ3_S
	IQ2_XXS
	IQ2_XS
	IQ2_S
	IQ1_S
	IQ1_M
	TQ1_0
	TQ2_0
	Q1_0
	Q2_0
	MXFP4
	NVFP4
	Q8_K
	firstInt   // the formats of every IntGroup begin here
	numFormats = firstInt + numIntGroups
)

type formatInfo struct {
	name    string
	weights int
	bytes   int
}

var formats = withIntGroups([numFormats]formatInfo{
	F32:     {"f32", 1, 4},
	F16:     {"f16", 1, 2},
	BF16:    {"bf16", 1, 2},
	Q4_0:    {"q4_0", 32, 18},
	Q4_1:    {"q4_1", 32, 20},
	Q5_0:    {"q5_0", 32, 22},
	Q5_1:    {"q5_1", 32, 24},
	Q8_0:    {"q8_0", 32, 34},
	Q2_K:    {"q2_k", 256, 84},
	Q3_K:    {"q3_k", 256, 110},
	Q4_K:    {"q4_k", 256, 144},
	Q5_K:    {"q5_k", 256, 176},
	Q6_K:    {"q6_k", 256, 210},
	IQ4_NL:  {"iq4_nl", 32, 18},
	IQ4_XS:  {"iq4_xs", 256, 136},
	IQ3_XXS: {"iq3_xxs", 256, 98},
	IQ3_S:   {"iq3_s", 256, 110},
	IQ2_XXS: {"iq2_xxs", 256, 66},
	IQ2_XS:  {"iq2_xs", 256, 74},
	IQ2_S:   {"iq2_s", 256, 82},
	IQ1_S:   {"iq1_s", 256, 50},
	IQ1_M:   {"iq1_m", 256, 56},
	TQ1_0:   {"tq1_0", 256, 54},
	TQ2_0:   {"tq2_0", 256, 66},
	Q1_0:    {"q1_0", 128, 18},
	Q2_0:    {"q2_0", 64, 18},
	MXFP4:   {"mxfp4", 32, 17},
	NVFP4:   {"nvfp4", 64, 36},
	Q8_K:    {"q8_k", 256, 292},
})

// Formats lists every format, in the order of its constants.
func Formats() []Format {
	all := make([]Format, numFormats)
	for i := range all {
		all[i] = Format(i)
	}
	return all
}

// ParseFormat finds a format by its name: the lower-case one of GGUF, such as "q4_k", or that of an IntGroup.
func ParseFormat(name string) (Format, error) {
	for f, info := range formats {
		if info.name == name {
			return Format(f), nil
		}
	}
	names := make([]string, firstInt)
	for f := range firstInt {
		names[f] = f.String()
	}
	return 0, fmt.Errorf("unknown weight format %q: write one of %s, or int3-g64 (2 to 8 bits, groups of 32, 64 or 128; int3-g64-sym has no zero points)",
		name, strings.Join(names, ", "))
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

// RowRange is the matrix of rows [from, to), an expert's for example. It shares Data and Mask. Of a sparse matrix, RowStart must be
// there; the range has its own.
func (m *Matrix) RowRange(from, to int) *Matrix {
	check(0 <= from && from <= to && to <= m.Rows, "rows %d to %d of %d", from, to, m.Rows)
	part := *m
	part.Rows = to - from
	if m.Mask == nil {
		row := m.Format.RowBytes(m.Cols)
		part.Data = m.Data[from*row : to*row]
		return &part
	}
	stride, block := (m.Cols+7)/8, m.Format.BlockBytes()
	first, end := m.RowStart[from], m.RowStart[to]
	part.Mask = m.Mask[from*stride : to*stride]
	part.Data = m.Data[int(first)*block : int(end)*block]
	part.RowStart = make([]uint32, part.Rows+1)
	for i := range part.RowStart {
		part.RowStart[i] = m.RowStart[from+i] - first
	}
	return &part
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

package kernels

/*
#include "kernels.h"
*/
import "C"

import "unsafe"

// MatMul computes dst [tokens, m.Rows] = x [tokens, m.Cols] · Wᵀ.
func (w *Worker) MatMul(dst, x []float32, tokens int, m *Matrix) {
	check(tokens >= 0 && len(dst) == tokens*m.Rows && len(x) == tokens*m.Cols,
		"MatMul of %d tokens with a %d × %d matrix: dst has %d values, x %d", tokens, m.Rows, m.Cols, len(dst), len(x))
	m.check()
	if len(dst) == 0 {
		return
	}
	packed := w.pack(&w.x, x, tokens, m.Cols)
	w.multiply(floats(dst), m.Rows, packed, tokens, m, 0, m.Rows)
}

// Logits computes dst [tokens, vocabulary] = hidden [tokens, head.Cols] · Wᵀ, of which softcap·tanh(logit/softcap) is made
// unless softcap is 0. It is for generation; Score needs no logits.
func (w *Worker) Logits(dst, hidden []float32, tokens int, head *Matrix, softcap float32) {
	w.MatMul(dst, hidden, tokens, head)
	w.softcap(floats(dst), head.Rows, tokens, head.Rows, softcap)
}

// softcap caps logits [tokens, n], whose rows are stride apart, unless limit is 0.
func (w *Worker) softcap(logits *C.float, stride, tokens, n int, limit float32) {
	check(limit >= 0, "softcap %v", limit)
	if limit > 0 {
		C.finch_softcap(w.path.isa, logits, C.int64_t(stride), C.int64_t(tokens), C.int64_t(n), C.float(limit))
	}
}

// pack brings x [tokens, cols] into the order of the register tile, once for all panels of W.
func (w *Worker) pack(b *buffer, x []float32, tokens, cols int) *C.uint32_t {
	packed := (*C.uint32_t)(unsafe.Pointer(b.grow(w.packedSize(tokens, cols))))
	C.finch_pack(w.path.gemm, packed, floats(x), C.int64_t(tokens), C.int64_t(cols))
	return packed
}

// packEach packs tokens [first, first + tokens) of each x [·, cols], side by side.
func (w *Worker) packEach(xs [][]float32, first, tokens, cols int) []*C.uint32_t {
	size := w.packedSize(tokens, cols) + vector
	memory := unsafe.Pointer(w.x.grow(len(xs) * size))
	packed := make([]*C.uint32_t, len(xs))
	for i, x := range xs {
		packed[i] = (*C.uint32_t)(unsafe.Add(memory, 4*i*size))
		C.finch_pack(w.path.gemm, packed[i], floats(x[first*cols:]), C.int64_t(tokens), C.int64_t(cols))
	}
	return packed
}

// packedSize is the number of units that pack fills.
func (w *Worker) packedSize(tokens, cols int) int {
	g := w.path.gemm
	return roundUp(tokens, int(g.tile)) * roundUp((cols+int(g.per)-1)/int(g.per), C.GROUP)
}

// multiply computes outputs first to end of W into dst [tokens, stride].
func (w *Worker) multiply(dst *C.float, stride int, packed *C.uint32_t, tokens int, m *Matrix, first, end int) {
	g := w.path.gemm
	units := roundUp((m.Cols+int(g.per)-1)/int(g.per), C.GROUP)
	panel := (*C.uint32_t)(unsafe.Pointer(w.panel.grow(units * int(g.panel))))

	width := C.CHUNK
	stored := 0
	if m.Mask != nil {
		width = roundUp(m.Cols, C.GROUP)
		stored = m.Cols + m.Format.BlockWeights()
	}
	rows := w.rows.grow(C.GROUP*(width+C.GROUP) + stored)

	C.finch_multiply(w.path, dst, C.int64_t(stride), packed, C.int64_t(tokens), C.int64_t(first), C.int64_t(end),
		C.int64_t(m.Cols), C.int(m.Format), C.int64_t(m.Format.BlockWeights()), C.int64_t(m.Format.BlockBytes()),
		(*C.uint8_t)(unsafe.SliceData(m.Data)), (*C.uint8_t)(unsafe.SliceData(m.Mask)),
		(*C.uint32_t)(unsafe.SliceData(m.RowStart)), panel, rows)
}

// check panics if C would read outside of Data or Mask.
func (m *Matrix) check() {
	weights, size := m.Format.BlockWeights(), m.Format.BlockBytes()
	if m.Mask == nil {
		check(m.Cols%weights == 0, "%d columns are not whole blocks of %v", m.Cols, m.Format)
		check(len(m.Data) >= m.Rows*m.Format.RowBytes(m.Cols), "%d bytes of data do not hold a %d × %d matrix of %v",
			len(m.Data), m.Rows, m.Cols, m.Format)
		return
	}
	check(len(m.Mask) >= m.Rows*((m.Cols+7)/8), "%d bytes of mask do not cover a %d × %d matrix", len(m.Mask), m.Rows, m.Cols)
	check(len(m.RowStart) == m.Rows+1, "RowStart has %d entries for %d rows: call IndexRows", len(m.RowStart), m.Rows)
	check(int(m.RowStart[m.Rows])*size <= len(m.Data), "RowStart points beyond %d bytes of data: call IndexRows", len(m.Data))
	for r := range m.Rows {
		first, end := m.RowStart[r], m.RowStart[r+1]
		check(first <= end && int(end-first)*weights < m.Cols+weights, "RowStart does not fit row %d: call IndexRows", r)
	}
}

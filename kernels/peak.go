package kernels

/*
#include "kernels.h"
*/
import "C"

import "unsafe"

// Peak runs the multiply's instructions on registers alone, without loads and stores, and returns how many floating-point
// operations those were, at least the number asked for. What they take is the least that a multiply of as many operations
// can take.
func (w *Worker) Peak(operations int) int {
	g := w.path.gemm
	perUnit := 2 * int(g.tile) * int(g.panel) * int(g.per)
	units := (operations + perUnit - 1) / perUnit
	sums, operands := w.logits.grow(int(g.tile*g.panel)), w.x.grow(int(g.panel))
	clear(unsafe.Slice((*float32)(sums), int(g.tile*g.panel)))
	for i := range int(g.panel) {
		*(*float32)(unsafe.Add(unsafe.Pointer(operands), 4*i)) = 1
	}
	unit := (*C.uint32_t)(unsafe.Pointer(operands))
	C.finch_peak(g, sums, unit, unit, C.int64_t(units))
	return units * perUnit
}

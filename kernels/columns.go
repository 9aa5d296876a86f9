package kernels

/*
#include "kernels.h"
*/
import "C"

import "unsafe"

// Lanes is the number of rows in a Column.
const Lanes = C.COLUMN

// Column is one column of as many rows of a matrix, in float64.
type Column [Lanes]float64

// SubtractProducts computes dst[k] −= Σ coefficients[k·stride + j]·src[j] for each k, over j in order. Products are rounded
// before they are subtracted: the bits are the same on every machine.
func SubtractProducts(dst, src []Column, coefficients []float64, stride int) {
	if len(dst) == 0 || len(src) == 0 {
		return
	}
	check(stride >= len(src) && len(coefficients) >= (len(dst)-1)*stride+len(src),
		"%d coefficients in rows of %d for %d × %d columns", len(coefficients), stride, len(dst), len(src))
	C.finch_subtract_products((*C.double)(unsafe.Pointer(unsafe.SliceData(dst))), C.int64_t(len(dst)),
		(*C.double)(unsafe.Pointer(unsafe.SliceData(src))), C.int64_t(len(src)),
		(*C.double)(unsafe.SliceData(coefficients)), C.int64_t(stride))
}

package kernels

import "unsafe"

// Dense is a matrix of float32 numbers w [rows, cols], whose memory it shares.
func Dense(rows, cols int, w []float32) *Matrix {
	check(len(w) == rows*cols, "a matrix of %d × %d: %d weights", rows, cols, len(w))
	return &Matrix{Format: F32, Rows: rows, Cols: cols, Data: unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(w))), 4*len(w))}
}

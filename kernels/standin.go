package kernels

func (m *Matrix) RowRange(from, to int) *Matrix {
	if m.Mask != nil {
		panic("sparse")
	}
	n := m.Format.RowBytes(m.Cols)
	return &Matrix{Format: m.Format, Rows: to - from, Cols: m.Cols, Data: m.Data[from*n : to*n]}
}

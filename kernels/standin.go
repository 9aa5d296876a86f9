package kernels

import "math"

func (m *Matrix) RowRange(from, to int) *Matrix {
	if m.Mask != nil {
		panic("sparse")
	}
	n := m.Format.RowBytes(m.Cols)
	return &Matrix{Format: m.Format, Rows: to - from, Cols: m.Cols, Data: m.Data[from*n : to*n]}
}

func (w *Worker) AddRows(x, bias []float32, tokens int) {
	for t := range tokens {
		w.Add(x[t*len(bias):(t+1)*len(bias)], bias)
	}
}

func (w *Worker) LayerNorm(dst, x, weight, bias []float32, tokens int, eps float32) {
	n := len(weight)
	for t := range tokens {
		r, d := x[t*n:(t+1)*n], dst[t*n:(t+1)*n]
		var mean, v float64
		for _, x := range r {
			mean += float64(x)
		}
		mean /= float64(n)
		for _, x := range r {
			v += (float64(x) - mean) * (float64(x) - mean)
		}
		s := 1 / math.Sqrt(v/float64(n)+float64(eps))
		for i, x := range r {
			d[i] = float32((float64(x)-mean)*s)*weight[i] + bias[i]
		}
	}
}

func (w *Worker) GELUTanh(dst, x []float32) {
	for i, v := range x {
		v := float64(v)
		dst[i] = float32(0.5 * v * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(v+0.044715*v*v*v))))
	}
}

func (w *Worker) GeGLU(dst, gate, up []float32) {
	g := make([]float32, len(gate))
	w.GELUTanh(g, gate)
	for i := range g {
		dst[i] = g[i] * up[i]
	}
}

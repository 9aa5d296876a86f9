package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// checkMatMul compares one product with the reference: to the bit on the portable path; within half a unit in the last place
// of each partial sum on the fused ones; and on bf16, of factors that the reference rounds as well, within the same and what
// denormal factors can be worth.
func checkMatMul(t *testing.T, p *Path, x []float32, tokens int, m *Matrix) []float32 {
	t.Helper()
	bf16 := p.Name() == "avx512bf16"
	exact, magnitude, rounded := naiveMatMul(x, tokens, m, bf16)
	got := make([]float32, tokens*m.Rows)
	p.NewWorker().MatMul(got, x, tokens, m)
	if p.Name() == "portable" {
		sameBits(t, "product", got, rounded)
		return got
	}
	denormal := 0.0
	if bf16 {
		denormal = 0x1p-120 // vdpbf16ps takes denormals for zero
	}
	for i := range got {
		near(t, "product", i, float64(got[i]), exact[i], float64(m.Cols+2)*(0x1p-24*magnitude[i]+0x1p-149)+denormal)
	}
	return got
}

func TestMatMulFormats(t *testing.T) {
	eachPath(t, func(t *testing.T, p *Path) {
		for _, f := range Formats() {
			for _, density := range []float64{1, 0.4} {
				t.Run(fmt.Sprintf("%v-%g", f, density), func(t *testing.T) {
					rng := rand.New(rand.NewPCG(1, uint64(f)))
					for _, cols := range []int{f.BlockWeights(), 3 * f.BlockWeights(), 512} {
						for _, tokens := range []int{1, 5, 13} {
							checkMatMul(t, p, normals(rng, tokens*cols), tokens, randomMatrix(rng, f, 35, cols, density))
						}
					}
				})
			}
		}
	})
}

func TestMatMulShapes(t *testing.T) {
	shapes := []struct{ tokens, rows, cols int }{
		{1, 1, 1}, {1, 1, 2}, {2, 3, 5}, {12, 32, 16}, {13, 33, 17}, {24, 64, 31}, {25, 65, 33}, {11, 15, 77}, {7, 16, 15},
		{6, 48, 255}, {3, 17, 257}, {2, 31, 1025}, {13, 5, 2047}, {1, 34, 2100}, {5, 33, 4100}, {3, 0, 8}, {0, 3, 8}, {2, 3, 0},
	}
	eachPath(t, func(t *testing.T, p *Path) {
		rng := rand.New(rand.NewPCG(2, 0))
		for _, s := range shapes {
			t.Run(fmt.Sprint(s), func(t *testing.T) {
				x := normals(rng, s.tokens*s.cols)
				checkMatMul(t, p, x, s.tokens, randomMatrix(rng, F32, s.rows, s.cols, 1))
				checkMatMul(t, p, x, s.tokens, randomMatrix(rng, F16, s.rows, s.cols, 0.3))
				checkMatMul(t, p, x, s.tokens, randomMatrix(rng, Q4_K, s.rows, s.cols, 0.7)) // sparse rows of any length
			})
		}
	})
}

// A product with the identity is the transpose of W, so this compares the C unpacking with the reference bit by bit.
func TestMatMulUnpacksExactly(t *testing.T) {
	const cols = 512
	identity := make([]float32, cols*cols)
	for i := range cols {
		identity[i*cols+i] = 1
	}
	eachPath(t, func(t *testing.T, p *Path) {
		if p.Name() == "avx512bf16" {
			t.Skip("rounds W")
		}
		for _, f := range Formats() {
			for _, density := range []float64{1, 0.5} {
				m := randomMatrix(rand.New(rand.NewPCG(3, uint64(f))), f, 17, cols, density)
				got := make([]float32, cols*m.Rows)
				p.NewWorker().MatMul(got, identity, cols, m)
				row, column := make([]float32, cols), make([]float32, cols)
				for r := range m.Rows {
					Unpack(row, m, r)
					for c := range row {
						row[c] += 0 // −0 becomes 0, as in a sum
						column[c] = got[c*m.Rows+r]
					}
					sameBits(t, fmt.Sprintf("%v row %d", f, r), column, row)
				}
			}
		}
	})
}

func TestMatMulExtremes(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	extremes := map[string][]float32{
		"nan":       {nan, 1, 2, 3},
		"inf":       {1, inf, 2, -3},
		"inf-inf":   {inf, -inf, 1, 1},
		"denormals": {0x1p-140, -0x1p-149, 0x1p-130, 0},
		"huge":      {1e30, -1e30, 1e20, 1e-30},
		"zeros":     {0, float32(math.Copysign(0, -1)), 0, 0},
	}
	eachPath(t, func(t *testing.T, p *Path) {
		for name, values := range extremes {
			t.Run(name, func(t *testing.T) {
				rng := rand.New(rand.NewPCG(4, 0))
				const tokens, rows, cols = 14, 35, 45
				x, w := normals(rng, tokens*cols), normals(rng, rows*cols)
				copy(x[3*cols+20:], values) // one token only
				checkMatMul(t, p, x, tokens, f32Matrix(w, rows, cols))
				x = normals(rng, tokens*cols)
				copy(w[33*cols+41:], values) // one row only
				checkMatMul(t, p, x, tokens, f32Matrix(w, rows, cols))
			})
		}
	})
}

// Every row of the product is the same whatever batch it is computed in.
func TestMatMulIndependentOfTokens(t *testing.T) {
	eachPath(t, func(t *testing.T, p *Path) {
		rng := rand.New(rand.NewPCG(5, 0))
		const tokens, rows, cols = 29, 50, 2304
		x, m, w := normals(rng, tokens*cols), randomMatrix(rng, Q3_K, rows, cols, 1), p.NewWorker()
		all := make([]float32, tokens*rows)
		w.MatMul(all, x, tokens, m)
		for _, part := range []struct{ first, end int }{{0, 1}, {28, 29}, {3, 15}, {1, 29}, {7, 13}} {
			n := part.end - part.first
			got := make([]float32, n*rows)
			w.MatMul(got, x[part.first*cols:part.end*cols], n, m)
			sameBits(t, fmt.Sprint(part), got, all[part.first*rows:part.end*rows])
		}
		// Nor does it depend on the other rows of W.
		stride := m.Format.RowBytes(cols)
		one := &Matrix{Format: m.Format, Rows: 1, Cols: cols, Data: m.Data[37*stride : 38*stride]}
		got := make([]float32, tokens)
		w.MatMul(got, x, tokens, one)
		for i := range got {
			sameBits(t, "row 37", got[i:i+1], all[i*rows+37:i*rows+38])
		}
	})
}

// A range of rows multiplies as those rows do in the whole, and weighs what they weigh.
func TestRowRange(t *testing.T) {
	eachPath(t, func(t *testing.T, p *Path) {
		rng := rand.New(rand.NewPCG(8, 0))
		const tokens, rows, cols = 5, 40, 256
		w := p.NewWorker()
		for _, f := range []Format{F32, Q4_K, IntGroup{3, 64, false}.Format()} {
			for _, density := range []float64{1, 0.4} {
				m, x, all := randomMatrix(rng, f, rows, cols, density), normals(rng, tokens*cols), make([]float32, tokens*rows)
				w.MatMul(all, x, tokens, m)
				var bytes, nonZeros int64
				for _, r := range []struct{ from, to int }{{0, 0}, {0, 1}, {1, 17}, {17, 40}, {40, 40}} {
					part := m.RowRange(r.from, r.to)
					got := make([]float32, tokens*part.Rows)
					w.MatMul(got, x, tokens, part)
					for i := range tokens {
						sameBits(t, fmt.Sprintf("%v-%g %+v", f, density, r), got[i*part.Rows:(i+1)*part.Rows], all[i*rows+r.from:i*rows+r.to])
					}
					bytes += part.Bytes()
					nonZeros += part.NonZeros()
				}
				if spare := m.Bytes() - bytes; spare != 0 || nonZeros != m.NonZeros() {
					t.Errorf("%v-%g: the parts have %d bytes less and %d non-zeros, the whole has %d", f, density, spare, nonZeros, m.NonZeros())
				}
			}
		}
	})
}

func TestMatMulRefusesWrongShapes(t *testing.T) {
	w := Paths()[0].NewWorker()
	rng := rand.New(rand.NewPCG(7, 0))
	sparse := randomMatrix(rng, Q8_0, 4, 64, 0.5)
	sparse.RowStart[2] = 100
	tests := map[string]struct {
		dst, x int
		m      *Matrix
	}{
		"dst":      {7, 64, randomMatrix(rng, F32, 4, 64, 1)},
		"x":        {4, 63, randomMatrix(rng, F32, 4, 64, 1)},
		"data":     {4, 64, &Matrix{Format: F32, Rows: 4, Cols: 64, Data: make([]byte, 1000)}},
		"blocks":   {4, 33, &Matrix{Format: Q8_0, Rows: 4, Cols: 33, Data: make([]byte, 1000)}},
		"rowstart": {4, 64, sparse},
		"mask":     {4, 64, &Matrix{Format: F32, Rows: 4, Cols: 64, Mask: make([]byte, 31), RowStart: make([]uint32, 5)}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			w.MatMul(make([]float32, test.dst), make([]float32, test.x), 1, test.m)
		})
	}
}

package kernels

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"
)

// eachPath runs a test on every path of this CPU.
func eachPath(t *testing.T, test func(t *testing.T, p *Path)) {
	for _, p := range Paths() {
		t.Run(p.Name(), func(t *testing.T) { test(t, p) })
	}
}

func normals(rng *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	return x
}

// scaleOffsets are the places of f16 scales in a block: random bytes there would be NaN or huge. setScales knows those of
// formats without places.
var scaleOffsets = map[Format][]int{
	Q4_0: {0}, Q4_1: {0, 2}, Q5_0: {0}, Q5_1: {0, 2}, Q8_0: {0}, IQ4_NL: {0},
	Q2_K: {80, 82}, Q3_K: {108}, Q4_K: {0, 2}, Q5_K: {0, 2}, Q6_K: {208},
	IQ4_XS: {0}, IQ3_XXS: {0}, IQ3_S: {0}, IQ2_XXS: {0}, IQ2_XS: {0}, IQ2_S: {0}, IQ1_S: {0},
	TQ1_0: {52}, TQ2_0: {64}, Q1_0: {0}, Q2_0: {0}, IQ1_M: nil, Q8_K: nil,
}

// setScales gives a block f16 scales, or scales of another kind that are near.
func setScales(block []byte, f Format, h uint16) {
	switch {
	case f >= firstInt:
		binary.LittleEndian.PutUint16(block, h)
	case f == IQ1_M:
		for i := range 4 {
			block[49+2*i] = block[49+2*i]&15 | byte(h>>(4*i))<<4
		}
	case f == MXFP4:
		block[0] = byte(h>>10&31) + 112
	case f == Q8_K:
		binary.LittleEndian.PutUint32(block, math.Float32bits(half(binary.LittleEndian.AppendUint16(nil, h))))
	}
	for _, offset := range scaleOffsets[f] {
		binary.LittleEndian.PutUint16(block[offset:], h)
	}
}

// randomMatrix has random blocks at an odd address. A density below 1 makes it sparse, with row 0 empty and row 1 full.
func randomMatrix(rng *rand.Rand, f Format, rows, cols int, density float64) *Matrix {
	m := &Matrix{Format: f, Rows: rows, Cols: cols}
	size := rows * f.RowBytes(cols)
	if density < 1 {
		stride := (cols + 7) / 8
		m.Mask = make([]byte, rows*stride)
		for r := range rows {
			for c := range cols {
				if r == 1 || r > 1 && rng.Float64() < density {
					m.Mask[r*stride+c/8] |= 1 << (c % 8)
				}
			}
		}
		m.IndexRows()
		size = int(m.RowStart[rows]) * f.BlockBytes()
	}
	m.Data = make([]byte, size+1)[1:]
	for i := range m.Data {
		m.Data[i] = byte(rng.Uint32())
	}
	block := f.BlockBytes()
	for at := 0; at < size; at += block {
		switch f {
		case F32:
			binary.LittleEndian.PutUint32(m.Data[at:], math.Float32bits(float32(rng.NormFloat64())))
		case F16:
			m.Data[at+1] = m.Data[at+1]&0xbb | 0x20 // exponents from 8 to 14
		case BF16:
			binary.LittleEndian.PutUint16(m.Data[at:], uint16(math.Float32bits(float32(rng.NormFloat64()))>>16))
		}
		setScales(m.Data[at:at+block], f, uint16(0x2000+rng.IntN(0x800)|rng.IntN(2)<<15)) // ±0.008 to 0.03
	}
	return m
}

// f32Matrix stores w [rows, cols].
func f32Matrix(w []float32, rows, cols int) *Matrix {
	m := &Matrix{Format: F32, Rows: rows, Cols: cols}
	for _, x := range w {
		m.Data = binary.LittleEndian.AppendUint32(m.Data, math.Float32bits(x))
	}
	return m
}

func toBF16(x float32) float32 {
	bits := math.Float32bits(x)
	if x != x {
		return x
	}
	return math.Float32frombits((bits + 0x7fff + bits>>16&1) &^ 0xffff)
}

// naiveMatMul gives x · Wᵀ in float64, with the sum of the magnitudes of the terms as a yardstick for rounding errors, and in
// float32 as the portable path must compute it.
func naiveMatMul(x []float32, tokens int, m *Matrix, bf16 bool) (exact, magnitude []float64, rounded []float32) {
	n := tokens * m.Rows
	exact, magnitude, rounded = make([]float64, n), make([]float64, n), make([]float32, n)
	row := make([]float32, m.Cols)
	for r := range m.Rows {
		Unpack(row, m, r)
		for t := range tokens {
			at := t*m.Rows + r
			for k, w := range row {
				a := x[t*m.Cols+k]
				if bf16 {
					a, w = toBF16(a), toBF16(w)
				}
				product := float64(a) * float64(w)
				exact[at] += product
				magnitude[at] += math.Abs(product)
				rounded[at] += float32(a * w)
			}
		}
	}
	return exact, magnitude, rounded
}

// near fails the test unless got is want within the tolerance, or both are NaN or the same infinity.
func near(t *testing.T, what string, i int, got, want, tolerance float64) {
	t.Helper()
	switch {
	case math.IsNaN(want) && math.IsNaN(got), got == want, math.Abs(got-want) <= tolerance:
	default:
		t.Fatalf("%s %d is %g, want %g ± %g", what, i, got, want, tolerance)
	}
}

// sameBits fails the test unless a and b agree in every bit; NaNs agree with each other.
func sameBits(t *testing.T, what string, a, b []float32) {
	t.Helper()
	if len(a) != len(b) {
		t.Fatalf("%s: %d and %d values", what, len(a), len(b))
	}
	for i := range a {
		if math.Float32bits(a[i]) != math.Float32bits(b[i]) && (a[i] == a[i] || b[i] == b[i]) {
			t.Fatalf("%s: value %d is %g and %g", what, i, a[i], b[i])
		}
	}
}

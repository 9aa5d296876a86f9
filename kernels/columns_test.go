package kernels

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// Bit for bit what the plain loop gives, with products rounded before they are subtracted.
func TestSubtractProducts(t *testing.T) {
	rng := rand.New(rand.NewPCG(30, 0))
	random := func(n int) []Column {
		columns := make([]Column, n)
		for i := range columns {
			for j := range columns[i] {
				columns[i][j] = rng.NormFloat64()
			}
		}
		return columns
	}
	for _, shape := range []struct{ columns, terms, stride int }{{0, 3, 3}, {3, 0, 1}, {1, 1, 1}, {1, 7, 7}, {5, 3, 4}, {4, 33, 70}} {
		t.Run(fmt.Sprintf("%+v", shape), func(t *testing.T) {
			src, dst := random(shape.terms), random(shape.columns)
			coefficients := make([]float64, shape.columns*shape.stride)
			for i := range coefficients {
				coefficients[i] = rng.NormFloat64()
			}
			want := append([]Column(nil), dst...)
			for k := range want {
				for j := range src {
					for i := range want[k] {
						want[k][i] -= float64(coefficients[k*shape.stride+j] * src[j][i])
					}
				}
			}
			SubtractProducts(dst, src, coefficients, shape.stride)
			for k := range want {
				if dst[k] != want[k] {
					t.Fatalf("column %d is %v, want %v", k, dst[k], want[k])
				}
			}
		})
	}
}

func BenchmarkSubtractProducts(b *testing.B) {
	const n = 128
	src, dst, coefficients := make([]Column, n), make([]Column, n), make([]float64, n*n)
	for b.Loop() {
		SubtractProducts(dst, src, coefficients, n)
	}
	b.ReportMetric(float64(b.N*n*n*Lanes)/float64(b.Elapsed().Nanoseconds()), "GMAC/s")
}

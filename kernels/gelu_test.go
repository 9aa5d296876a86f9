package kernels

import (
	"math"
	"math/rand/v2"
	"testing"
)

func naiveGELU(x float64) float64 { return x / 2 * math.Erfc(-x/math.Sqrt2) }

// naiveGELUTanh avoids the difference 1 + tanh(u), which would cancel.
func naiveGELUTanh(x float64) float64 {
	return x / (1 + math.Exp(-2*math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
}

// nearGELU fails the test unless got is want to a relative 4·2⁻²³, or to what a denormal factor of x is worth.
func nearGELU(t *testing.T, what string, x, got float32, want float64) {
	t.Helper()
	if err := math.Abs(float64(got) - want); !(err <= 4*0x1p-23*math.Abs(want)+(1+math.Abs(float64(x)))*0x1p-149) &&
		float64(got) != want && (got == got || want == want) {
		t.Fatalf("%s of %g is %g, want %g", what, x, got, want)
	}
}

// Every exponent, and densely where the functions bend.
func TestGELU(t *testing.T) {
	x := []float32{0, float32(math.Copysign(0, -1)), 14.4, -14.4, -14.5, -14.6, -10.7, -10.8, math.MaxFloat32, -math.MaxFloat32}
	x = append(x, hostile...)
	for v := float32(-15.5); v < 15.5; v += 0.00437 {
		x = append(x, v)
	}
	for v := float32(0x1p-149); v < 0x1p100; v *= 1.937 {
		x = append(x, v, -v)
	}
	eachPath(t, func(t *testing.T, p *Path) {
		w, erf, tanh := p.NewWorker(), make([]float32, len(x)), make([]float32, len(x))
		w.GELU(erf, x)
		w.GELUTanh(tanh, x)
		for i, v := range x {
			nearGELU(t, "GELU", v, erf[i], naiveGELU(float64(v)))
			nearGELU(t, "GELUTanh", v, tanh[i], naiveGELUTanh(float64(v)))
		}
	})
}

// GeGLU is GELUTanh and a multiplication, to the bit, and all of them work in place and on any length.
func TestGeGLU(t *testing.T) {
	eachHostile(t, func(t *testing.T, p *Path, rng *rand.Rand, value float32) {
		w := p.NewWorker()
		for _, n := range odd {
			gate, up := spoilt(rng, n, value), spoilt(rng, n, value)
			want, product := make([]float32, n), make([]float32, n)
			w.GELUTanh(want, gate)
			w.GELUTanh(product, gate)
			for i := range product {
				product[i] *= up[i]
			}
			got := make([]float32, n)
			w.GeGLU(got, gate, up)
			sameBits(t, "product", got, product)
			w.GeGLU(up, gate, up)
			sameBits(t, "product in up", up, product)
			w.GELU(got, gate)
			erf := append([]float32(nil), gate...)
			w.GELU(erf, erf)
			sameBits(t, "GELU in place", erf, got)
			w.GELUTanh(gate, gate)
			sameBits(t, "GELUTanh in place", gate, want)
		}
	})
}

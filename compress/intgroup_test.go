package compress

import (
	"math"
	"testing"

	"github.com/finch-llm/finch/kernels"
)

// intFormats calls test with every format of integer groups.
func intFormats(t *testing.T, test func(t *testing.T, f kernels.Format, g kernels.IntGroup)) {
	for _, f := range kernels.Formats() {
		if g, ok := f.IntGroup(); ok {
			t.Run(f.String(), func(t *testing.T) { test(t, f, g) })
		}
	}
}

// Weights that lie on a grid, both of its ends included, come back as they are.
func TestIntGroupsKeepTheirGrid(t *testing.T) {
	intFormats(t, func(t *testing.T, f kernels.Format, g kernels.IntGroup) {
		const scale = 0.01171875 // 3/256, a binary16
		codes := splitmix(uint64(f), g.Group)
		for _, zero := range []int{0, 1, 1 << (g.Bits - 1), 1<<g.Bits - 1} {
			if g.Symmetric && zero != 1<<(g.Bits-1) {
				continue
			}
			x := make([]float32, g.Group)
			for i := range x {
				x[i] = scale * float32(int(codes[i]>>(64-g.Bits))-zero)
			}
			x[3], x[7] = scale*float32(-zero), scale*float32(1<<g.Bits-1-zero)
			got := make([]float32, g.Group)
			kernels.UnpackBlocks(got, f, encode(f, x))
			for i := range x {
				if got[i] != x[i] {
					t.Fatalf("zero point %d: weight %d is %g, was %g", zero, i, got[i], x[i])
				}
			}
		}
	})
}

// The search may not do worse than the plain grid from the smallest to the largest weight, and does better with few bits.
func TestIntGroupsAgainstMinMax(t *testing.T) {
	intFormats(t, func(t *testing.T, f kernels.Format, g kernels.IntGroup) {
		w := testWeights("heavy", 16, 1024)
		var plain, energy float64
		for at := 0; at < len(w); at += g.Group {
			plain += minMaxError(w[at:at+g.Group], g)
		}
		for _, v := range w {
			energy += float64(v) * float64(v)
		}
		got := relativeError(f, encode(f, w), w) * energy
		atMost := plain
		if g.Bits <= 3 {
			atMost *= 0.95
		}
		if got > atMost {
			t.Errorf("squared error %.5g, %.5g with the plain grid", got, plain)
		}
	})
}

// minMaxError is the squared error of round-to-nearest as GPTQ's quantizer does it.
func minMaxError(x []float32, g kernels.IntGroup) (sum float64) {
	low, high := 0.0, 0.0
	for _, v := range x {
		low, high = min(low, float64(v)), max(high, float64(v))
	}
	top := math.Ldexp(1, g.Bits) - 1
	scale := (high - low) / top
	zero := math.Round(-low / scale)
	if g.Symmetric {
		zero = (top + 1) / 2
		scale = max(high, -low) / zero
	}
	scale = float64(halfValue(halfBits(float32(scale))))
	for _, v := range x {
		q := min(max(math.Round(float64(v)/scale+zero), 0), top)
		e := float64(v) - scale*(q-zero)
		sum += e * e
	}
	return sum
}

package compress

import (
	"math"
	"testing"

	"github.com/finch-llm/finch/kernels"
)

// The search for entries finds what trying all of them finds, with every sign that can be wrong.
func TestEightFindsTheNearestEntries(t *testing.T) {
	for _, f := range []kernels.Format{kernels.IQ2_XXS, kernels.IQ2_S, kernels.IQ3_XXS} {
		t.Run(f.String(), func(t *testing.T) {
			e := iqEncoder{iqGrid: &iqGrid{book: newCodeBook(f)}}
			x := gaussian(11, 8*40)
			w := gaussian(12, 8*40)
			for i := 0; i < len(x); i += 8 {
				var a, weights, wa [8]float64
				for j := range a {
					a[j], weights[j] = math.Abs(x[i+j]), w[i+j]*w[i+j]
					wa[j] = weights[j] * a[j]
				}
				const scale = 0.04
				for wrong := range 2 {
					entries := []int{i % 256, 7}[:8/e.book.width]
					got := e.eight(entries, wa[:], weights[:], scale, wrong)
					want := nearestEight(e.book, a[:], weights[:], scale, wrong)
					if math.Abs(got-want) > 1e-9 {
						t.Errorf("vector %d, %d signs wrong: error %g, the least is %g", i/8, wrong, got, want)
					}
				}
			}
		})
	}
}

// nearestEight tries everything.
func nearestEight(b *codeBook, a, w []float64, scale float64, wrong int) float64 {
	if wrong == 0 {
		return leastError(b, a, w, scale)
	}
	least := math.Inf(1)
	for i := range a {
		a[i] = -a[i]
		least = min(least, leastError(b, a, w, scale))
		a[i] = -a[i]
	}
	return least
}

// leastError is the sum over the vectors of a of the least Σ w·((a − scale·v)² − a²).
func leastError(b *codeBook, a, w []float64, scale float64) (sum float64) {
	for from := 0; from < len(a); from += b.width {
		least := math.Inf(1)
		for _, entry := range b.entries {
			e := 0.0
			for j, v := range entry {
				d := a[from+j] - scale*v
				e += w[from+j] * (d*d - a[from+j]*a[from+j])
			}
			least = min(least, e)
		}
		sum += least
	}
	return sum
}

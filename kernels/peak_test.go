package kernels

import (
	"testing"
	"unsafe"
)

func BenchmarkPeak(b *testing.B) {
	for _, p := range Paths() {
		b.Run(p.Name(), func(b *testing.B) {
			w, operations := p.NewWorker(), 0
			for b.Loop() {
				operations += w.Peak(1e8)
			}
			b.ReportMetric(float64(operations)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
		})
	}
}

// The instructions are executed, not optimised away: with x and w of ones, every sum counts the columns.
func TestPeakComputes(t *testing.T) {
	eachPath(t, func(t *testing.T, p *Path) {
		w := p.NewWorker()
		operations := w.Peak(1 << 20)
		g := w.path.gemm
		tile := int(g.tile * g.panel)
		want := float32(operations / (2 * tile * int(g.per))) // of two bf16 in a 1.0, the upper is 1 and the lower 0
		for i, sum := range unsafe.Slice((*float32)(w.logits.grow(tile)), tile) {
			if sum != want {
				t.Fatalf("sum %d is %v, want %v", i, sum, want)
			}
		}
	})
}

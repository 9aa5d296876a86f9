package kernels

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
)

func BenchmarkMatMul(b *testing.B) {
	const tokens = 512
	shapes := []struct {
		format     Format
		rows, cols int
		density    float64
	}{
		{F32, 256, 256, 1}, {BF16, 1024, 1024, 1}, {Q8_0, 1024, 1024, 1}, {Q4_0, 1024, 1024, 1}, {Q2_K, 1024, 1024, 1},
		{Q3_K, 1024, 1024, 1}, {Q4_K, 1024, 1024, 1}, {Q5_K, 1024, 1024, 1}, {Q6_K, 1024, 1024, 1}, {F16, 1024, 1024, 0.4},
		{Q4_K, 1024, 4096, 1}, {IQ4_XS, 1024, 1024, 1}, {IQ3_XXS, 1024, 1024, 1}, {IQ3_S, 1024, 1024, 1},
		{IQ2_XXS, 1024, 1024, 1}, {IQ2_XS, 1024, 1024, 1}, {IQ2_S, 1024, 1024, 1}, {IQ1_S, 1024, 1024, 1}, {IQ1_M, 1024, 1024, 1},
		{TQ1_0, 1024, 1024, 1}, {TQ2_0, 1024, 1024, 1}, {MXFP4, 1024, 1024, 1}, {NVFP4, 1024, 1024, 1},
		{IntGroup{2, 64, false}.Format(), 1024, 1024, 1}, {IntGroup{3, 32, false}.Format(), 1024, 1024, 1},
		{IntGroup{3, 64, false}.Format(), 1024, 1024, 1}, {IntGroup{3, 128, false}.Format(), 1024, 1024, 1},
		{IntGroup{4, 64, true}.Format(), 1024, 1024, 1}, {IntGroup{7, 64, false}.Format(), 1024, 1024, 1},
		{IntGroup{8, 64, false}.Format(), 1024, 1024, 1},
	}
	for _, p := range Paths() {
		for _, s := range shapes {
			b.Run(fmt.Sprintf("%s/%v-%g/%dx%d", p.Name(), s.format, s.density, s.rows, s.cols), func(b *testing.B) {
				rng := rand.New(rand.NewPCG(1, 1))
				m, x, dst := randomMatrix(rng, s.format, s.rows, s.cols, s.density), normals(rng, tokens*s.cols), make([]float32, tokens*s.rows)
				w := p.NewWorker()
				for b.Loop() {
					w.MatMul(dst, x, tokens, m)
				}
				reportFLOPs(b, 2*tokens*float64(s.rows)*float64(s.cols))
			})
		}
	}
}

// BenchmarkDecode has as few tokens as generation: the bytes of W per second stand beside those of only looking for a byte, the
// bound that memory sets.
func BenchmarkDecode(b *testing.B) {
	const rows, cols = 4096, 4096
	ones := bytes.Repeat([]byte{1}, 256<<20) // memory never written to would be one page, in cache
	b.Run("bound", func(b *testing.B) {
		b.SetBytes(int64(len(ones)))
		for b.Loop() {
			bytes.IndexByte(ones, 0)
		}
	})
	for _, f := range []Format{F32, BF16, Q8_0, Q4_0, Q4_K, Q6_K, IntGroup{3, 64, false}.Format()} {
		m := randomMatrix(rand.New(rand.NewPCG(1, 1)), f, rows, cols, 1)
		for _, p := range Paths() {
			for _, tokens := range []int{1, 4} {
				b.Run(fmt.Sprintf("%s/%v/%d", p.Name(), f, tokens), func(b *testing.B) {
					x, dst, w := normals(rand.New(rand.NewPCG(1, 1)), tokens*cols), make([]float32, tokens*rows), p.NewWorker()
					b.SetBytes(m.Bytes())
					for b.Loop() {
						w.MatMul(dst, x, tokens, m)
					}
				})
			}
		}
	}
}

func BenchmarkAttention(b *testing.B) {
	whole := AttentionShape{Tokens: 512, Keys: 512, Heads: 8, KVHeads: 4, HeadDim: 64, Scale: 0.125}
	window, capped := whole, whole
	window.Window, capped.Softcap = 128, 50
	for _, p := range Paths() {
		for _, a := range []AttentionShape{whole, window, capped} {
			b.Run(fmt.Sprintf("%s/window-%d-softcap-%g", p.Name(), a.Window, a.Softcap), func(b *testing.B) {
				rng := rand.New(rand.NewPCG(1, 1))
				q, k := normals(rng, a.Tokens*a.Heads*a.HeadDim), normals(rng, a.Keys*a.KVHeads*a.HeadDim)
				dst, w := make([]float32, len(q)), p.NewWorker()
				for b.Loop() {
					w.Attention(dst, q, k, k, a)
				}
				seen := 0 // keys, summed over queries
				for i := range a.Tokens {
					seen += i + 1
					if a.Window > 0 {
						seen -= max(0, i+1-a.Window)
					}
				}
				reportFLOPs(b, 4*float64(seen)*float64(a.Heads)*float64(a.HeadDim))
			})
		}
	}
}

func BenchmarkScore(b *testing.B) {
	const tokens, vocab, cols = 512, 8192, 512
	for _, p := range Paths() {
		b.Run(p.Name(), func(b *testing.B) {
			rng := rand.New(rand.NewPCG(1, 1))
			w, head, hidden := p.NewWorker(), randomMatrix(rng, Q8_0, vocab, cols, 1), normals(rng, tokens*cols)
			teacher := w.PrepareTeacher(hidden, tokens, head, 0, 0)
			in := ScoreInput{Tokens: tokens, Hidden: [][]float32{hidden}, Head: head, Targets: make([]int32, tokens), Teacher: &teacher}
			out := [][]TokenScore{make([]TokenScore, tokens)}
			for b.Loop() {
				w.Score(out, in)
			}
			reportFLOPs(b, 2*2*tokens*vocab*cols)
		})
	}
}

func reportFLOPs(b *testing.B, operations float64) {
	b.ReportMetric(operations*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
}

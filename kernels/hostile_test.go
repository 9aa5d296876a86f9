package kernels

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// hostile are values that models should not have and sometimes do.
var hostile = []float32{
	float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1)), 0x1p-149, -0x1p-130, float32(math.Copysign(0, -1)),
}

// odd are lengths around whole vectors, and none.
var odd = []int{0, 1, 3, 4, 15, 16, 17, 31, 33, 100}

// spoilt are n normals with one hostile value, at an address that no vector is aligned to.
func spoilt(rng *rand.Rand, n int, value float32) []float32 {
	x := normals(rng, n+1)[1:]
	if n > 0 {
		x[rng.IntN(n)] = value
	}
	return x
}

func eachHostile(t *testing.T, test func(t *testing.T, p *Path, rng *rand.Rand, value float32)) {
	eachPath(t, func(t *testing.T, p *Path) {
		for _, value := range hostile {
			t.Run(fmt.Sprint(value), func(t *testing.T) { test(t, p, rand.New(rand.NewPCG(40, 0)), value) })
		}
	})
}

// Blocks of random bytes whose scales are zero, denormal, huge, infinite or NaN, and lie at an odd address.
func TestMatMulHostileBlocks(t *testing.T) {
	scales := []uint16{0, 0x8000, 1, 0x83ff, 0x0400, 0x7bff, 0x7c00, 0xfc00, 0x7e00, 0x7c01}
	eachPath(t, func(t *testing.T, p *Path) {
		for _, f := range Formats() {
			t.Run(f.String(), func(t *testing.T) {
				rng := rand.New(rand.NewPCG(41, uint64(f)))
				cols, size := f.BlockWeights(), f.BlockBytes()
				m := randomMatrix(rng, f, 3*len(scales), cols, 1)
				for r := range m.Rows {
					block := m.Data[r*size : (r+1)*size]
					for i := range block {
						block[i] = byte(rng.Uint32())
					}
					for i, offset := range scaleOffsets[f] {
						binary.LittleEndian.PutUint16(block[offset:], scales[(r+i*r/3)%len(scales)])
					}
				}
				checkMatMul(t, p, normals(rng, 7*cols), 7, m)
			})
		}
	})
}

func TestAttentionHostile(t *testing.T) {
	eachHostile(t, func(t *testing.T, p *Path, rng *rand.Rand, value float32) {
		whole := AttentionShape{Tokens: 9, Keys: 11, Heads: 2, KVHeads: 1, HeadDim: 13, Scale: 0.1}
		capped := whole
		capped.Window, capped.Softcap = 5, 3
		for _, a := range []AttentionShape{whole, capped} {
			nq, nk := a.Tokens*a.Heads*a.HeadDim, a.Keys*a.KVHeads*a.HeadDim
			for broken := range 3 {
				inputs := [3][]float32{normals(rng, nq), normals(rng, nk), normals(rng, nk)}
				inputs[broken] = spoilt(rng, len(inputs[broken]), value)
				got := make([]float32, nq)
				p.NewWorker().Attention(got, inputs[0], inputs[1], inputs[2], a)
				for i, want := range naiveAttention(inputs[0], inputs[1], inputs[2], a) {
					near(t, "value", i, float64(got[i]), want, 2e-6)
				}
			}
		}
	})
}

func TestRMSNormHostile(t *testing.T) {
	eachHostile(t, func(t *testing.T, p *Path, rng *rand.Rand, value float32) {
		for _, n := range odd {
			const tokens, eps = 2, 1e-5
			x, weight, got := spoilt(rng, tokens*n, value), spoilt(rng, n, value), make([]float32, tokens*n)
			p.NewWorker().RMSNorm(got, x, weight, tokens, eps)
			for i := range got {
				sum := 0.0
				for _, v := range x[i/n*n:][:n] {
					sum += float64(v) * float64(v)
				}
				want := float64(x[i]) / math.Sqrt(sum/float64(n)+eps) * float64(weight[i%n])
				near(t, "value", i, float64(got[i]), want, 0x1p-22*math.Abs(want)+0x1p-148)
			}
		}
	})
}

func TestLayerNormHostile(t *testing.T) {
	eachHostile(t, func(t *testing.T, p *Path, rng *rand.Rand, value float32) {
		for _, n := range odd {
			const tokens, eps = 2, 1e-5
			x, weight, bias, got := spoilt(rng, tokens*n, value), spoilt(rng, n, value), spoilt(rng, n, value), make([]float32, tokens*n)
			p.NewWorker().LayerNorm(got, x, weight, bias, tokens, eps)
			for at := 0; at < len(x); at += max(n, 1) {
				want, _ := naiveLayerNorm(x[at:at+n], weight, bias, eps)
				for i := range want {
					near(t, "value", at+i, float64(got[at+i]), want[i], 2e-6)
				}
			}
		}
	})
}

func TestSwiGLUHostile(t *testing.T) {
	eachHostile(t, func(t *testing.T, p *Path, rng *rand.Rand, value float32) {
		for _, n := range odd {
			gate, up, got := spoilt(rng, n, value), spoilt(rng, n, value), make([]float32, n)
			p.NewWorker().SwiGLU(got, gate, up)
			for i := range got {
				want := float64(gate[i]) / (1 + math.Exp(-float64(gate[i]))) * float64(up[i])
				near(t, "value", i, float64(got[i]), want, 0x1p-21*math.Abs(want)+0x1p-148)
			}
		}
	})
}

// Rope and Add have one rounding for each operation, on every path.
func TestRopeAndAddHostile(t *testing.T) {
	eachHostile(t, func(t *testing.T, p *Path, rng *rand.Rand, value float32) {
		for _, n := range odd {
			x, y := spoilt(rng, n, value), spoilt(rng, n, value)
			want := make([]float32, n)
			for i := range want {
				want[i] = x[i] + y[i]
			}
			p.NewWorker().Add(x, y)
			sameBits(t, "sum", x, want)

			x, cos, sin := spoilt(rng, 2*n, value), spoilt(rng, n, value), normals(rng, n)
			want = make([]float32, 2*n)
			for i := range n {
				want[i] = float32(x[i]*cos[i]) - float32(x[n+i]*sin[i])
				want[n+i] = float32(x[i]*sin[i]) + float32(x[n+i]*cos[i])
			}
			p.NewWorker().Rope(x, 1, 1, 2*n, cos, sin, false)
			sameBits(t, "rotated", x, want)
		}
	})
}

// One hostile value in the hidden state of token 1, of three: it scores what its logits say, the others are as without it.
func TestScoreHostile(t *testing.T) {
	eachHostile(t, func(t *testing.T, p *Path, rng *rand.Rand, value float32) {
		const tokens, vocab, cols = 3, 21, 9
		w, head, hidden := p.NewWorker(), randomMatrix(rng, F16, vocab, cols, 1), normals(rng, tokens*cols)
		score := func() []TokenScore {
			teacher, out := w.PrepareTeacher(hidden, tokens, head, 0, 4), make([]TokenScore, tokens)
			scoreOne(w, out, hidden, ScoreInput{Tokens: tokens, Head: head, Targets: make([]int32, tokens), Teacher: &teacher})
			return out
		}
		sound := score()
		copy(hidden[cols:2*cols], spoilt(rng, cols, value))
		got := score()
		if got[0] != sound[0] || got[2] != sound[2] {
			t.Errorf("the other tokens score %+v and %+v, were %+v and %+v", got[0], got[2], sound[0], sound[2])
		}
		logits := make([]float32, vocab)
		w.Logits(logits, hidden[cols:2*cols], 1, head, 0)
		near(t, "NLL", 1, got[1].NLL, naiveScore(logits, logits, 0, 4).NLL, 2e-6)
		w.Score(nil, ScoreInput{Head: head}) // no tokens
	})
}

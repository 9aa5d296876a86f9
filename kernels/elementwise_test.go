package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// naiveAttention is softmax(q·kᵀ·scale)·v in float64, query by query, scores capped if so.
func naiveAttention(q, k, v []float32, a AttentionShape) []float64 {
	dst := make([]float64, len(q))
	for i := range a.Tokens {
		for h := range a.Heads {
			kv := h / (a.Heads / a.KVHeads)
			at := (i*a.Heads + h) * a.HeadDim
			end, first := a.Keys-a.Tokens+i+1, 0
			if a.Window > 0 {
				first = max(0, end-a.Window)
			}
			p, highest, sum := make([]float64, end-first), math.Inf(-1), 0.0
			for j := range p {
				for d := range a.HeadDim {
					p[j] += float64(q[at+d]) * float64(k[((first+j)*a.KVHeads+kv)*a.HeadDim+d])
				}
				p[j] *= float64(a.Scale)
				if a.Softcap > 0 {
					p[j] = float64(a.Softcap) * math.Tanh(p[j]/float64(a.Softcap))
				}
				highest = max(highest, p[j])
			}
			for j := range p {
				p[j] = math.Exp(p[j] - highest)
				sum += p[j]
			}
			for j := range p {
				for d := range a.HeadDim {
					dst[at+d] += p[j] / sum * float64(v[((first+j)*a.KVHeads+kv)*a.HeadDim+d])
				}
			}
		}
	}
	return dst
}

func TestAttention(t *testing.T) {
	shapes := []AttentionShape{
		{Tokens: 1, Keys: 1, Heads: 1, KVHeads: 1, HeadDim: 1},
		{Tokens: 1, Keys: 40, Heads: 2, KVHeads: 1, HeadDim: 8},
		{Tokens: 13, Keys: 13, Heads: 4, KVHeads: 2, HeadDim: 24},
		{Tokens: 33, Keys: 65, Heads: 6, KVHeads: 2, HeadDim: 33},
		{Tokens: 70, Keys: 70, Heads: 3, KVHeads: 3, HeadDim: 64},
		{Tokens: 5, Keys: 49, Heads: 2, KVHeads: 2, HeadDim: 80},
		{Tokens: 0, Keys: 3, Heads: 2, KVHeads: 2, HeadDim: 4},
		{Tokens: 3, Keys: 9, Heads: 2, KVHeads: 1, HeadDim: 8, Window: 1},
		{Tokens: 33, Keys: 65, Heads: 4, KVHeads: 2, HeadDim: 33, Window: 7},
		{Tokens: 70, Keys: 70, Heads: 2, KVHeads: 2, HeadDim: 24, Window: 33, Softcap: 5},
		{Tokens: 13, Keys: 40, Heads: 2, KVHeads: 1, HeadDim: 16, Window: 100, Softcap: 50},
		{Tokens: 13, Keys: 13, Heads: 4, KVHeads: 2, HeadDim: 24, Softcap: 0.5},
	}
	eachPath(t, func(t *testing.T, p *Path) {
		rng := rand.New(rand.NewPCG(10, 0))
		for _, a := range shapes {
			a.Scale = float32(1 / math.Sqrt(float64(a.HeadDim)))
			t.Run(fmt.Sprintf("%+v", a), func(t *testing.T) {
				q := normals(rng, a.Tokens*a.Heads*a.HeadDim)
				k, v := normals(rng, a.Keys*a.KVHeads*a.HeadDim), normals(rng, a.Keys*a.KVHeads*a.HeadDim)
				for i := range q {
					q[i] *= 5 // a peaked softmax
				}
				got := make([]float32, len(q))
				p.NewWorker().Attention(got, q, k, v, a)
				for i, want := range naiveAttention(q, k, v, a) {
					near(t, "value", i, float64(got[i]), want, 2e-5)
				}
			})
		}
	})
}

// A query's result is the same computed with any number of others, and is not touched by what comes after it, NaN included.
func TestAttentionIndependentOfTokens(t *testing.T) {
	eachPath(t, func(t *testing.T, p *Path) {
		rng := rand.New(rand.NewPCG(11, 0))
		const heads, kvHeads, dim, tokens = 4, 2, 40, 61
		q, k, v := normals(rng, tokens*heads*dim), normals(rng, tokens*kvHeads*dim), normals(rng, tokens*kvHeads*dim)
		for i := 50 * kvHeads * dim; i < len(k); i++ {
			k[i], v[i] = float32(math.NaN()), float32(math.Inf(1))
		}
		w := p.NewWorker()
		shape := AttentionShape{Tokens: tokens, Keys: tokens, Heads: heads, KVHeads: kvHeads, HeadDim: dim, Scale: 0.15}
		all := make([]float32, len(q))
		w.Attention(all, q, k, v, shape)
		for _, x := range all[:50*heads*dim] {
			if x != x {
				t.Fatal("a later key or value reached an earlier query")
			}
		}
		for _, part := range []struct{ first, end int }{{0, 1}, {0, 50}, {49, 50}, {17, 44}, {30, 61}, {60, 61}} {
			shape.Tokens, shape.Keys = part.end-part.first, part.end
			row, keys := heads*dim, part.end*kvHeads*dim
			got := make([]float32, shape.Tokens*row)
			w.Attention(got, q[part.first*row:part.end*row], k[:keys], v[:keys], shape)
			sameBits(t, fmt.Sprint(part), got, all[part.first*row:part.end*row])
		}
	})
}

// A query sees its window as if there was nothing before it, to the bit, whatever it is computed with.
func TestAttentionWindow(t *testing.T) {
	eachPath(t, func(t *testing.T, p *Path) {
		rng := rand.New(rand.NewPCG(15, 0))
		const heads, kvHeads, dim, tokens, keys = 4, 2, 40, 61, 83
		row, keyRow := heads*dim, kvHeads*dim
		q, k, v := normals(rng, tokens*row), normals(rng, keys*keyRow), normals(rng, keys*keyRow)
		k[3], v[40*keyRow] = float32(math.NaN()), float32(math.Inf(1)) // only those that see them are touched
		w := p.NewWorker()
		for _, window := range []int{1, 2, 11, 12, 13, 50, 82, 83, 1000} {
			for _, softcap := range []float32{0, 2} {
				shape := AttentionShape{Tokens: tokens, Keys: keys, Heads: heads, KVHeads: kvHeads, HeadDim: dim, Scale: 0.15, Window: window, Softcap: softcap}
				together := make([]float32, len(q))
				w.Attention(together, q, k, v, shape)
				for i := range tokens {
					end := keys - tokens + i + 1
					first := max(0, end-window)
					alone, got := shape, make([]float32, row)
					alone.Tokens, alone.Keys, alone.Window = 1, end-first, 0
					w.Attention(got, q[i*row:(i+1)*row], k[first*keyRow:end*keyRow], v[first*keyRow:end*keyRow], alone)
					sameBits(t, fmt.Sprintf("window %d, query %d", window, i), together[i*row:(i+1)*row], got)
				}
			}
		}
	})
}

func TestRMSNorm(t *testing.T) {
	eachPath(t, func(t *testing.T, p *Path) {
		rng := rand.New(rand.NewPCG(12, 0))
		for _, hidden := range []int{1, 15, 16, 576, 1023} {
			const tokens, eps = 3, 1e-5
			x, weight := normals(rng, tokens*hidden), normals(rng, hidden)
			x[0] = 1e25 // its square is beyond float32
			got := make([]float32, len(x))
			p.NewWorker().RMSNorm(got, x, weight, tokens, eps)
			for token := range tokens {
				sum := 0.0
				for _, v := range x[token*hidden : (token+1)*hidden] {
					sum += float64(v) * float64(v)
				}
				factor := 1 / math.Sqrt(sum/float64(hidden)+eps)
				for i := range hidden {
					want := float64(x[token*hidden+i]) * factor * float64(weight[i])
					near(t, "value", token*hidden+i, float64(got[token*hidden+i]), want, 0x1p-22*math.Abs(want)+0x1p-140)
				}
			}
		}
	})
}

// naiveLayerNorm is one row in float64, with the standard deviation beside it.
func naiveLayerNorm(x, weight, bias []float32, eps float64) (y []float64, deviation float64) {
	n := float64(len(x))
	mean, square := 0.0, 0.0
	for _, v := range x {
		mean += float64(v) / n
	}
	for _, v := range x {
		square += (float64(v) - mean) * (float64(v) - mean) / n
	}
	deviation = math.Sqrt(square + eps)
	for i, v := range x {
		scaled := (float64(v) - mean) / deviation * float64(weight[i])
		if bias != nil {
			scaled += float64(bias[i])
		}
		y = append(y, scaled)
	}
	return y, deviation
}

// Rows of moderate values, one with a value whose square is beyond float32, and one with a mean far above its deviation.
func TestLayerNorm(t *testing.T) {
	eachPath(t, func(t *testing.T, p *Path) {
		rng := rand.New(rand.NewPCG(16, 0))
		for _, hidden := range []int{1, 15, 16, 576, 1023} {
			const tokens, eps = 3, 1e-5
			x, weight, bias := normals(rng, tokens*hidden), normals(rng, hidden), normals(rng, hidden)
			x[hidden] = 1e25
			for i := range hidden {
				x[2*hidden+i] += 1000
			}
			got, unbiased := make([]float32, len(x)), append([]float32(nil), x...)
			p.NewWorker().LayerNorm(got, x, weight, bias, tokens, eps)
			p.NewWorker().LayerNorm(unbiased, unbiased, weight, nil, tokens, eps)
			for at := 0; at < len(x); at += hidden {
				want, deviation := naiveLayerNorm(x[at:at+hidden], weight, bias, eps)
				wantUnbiased, _ := naiveLayerNorm(x[at:at+hidden], weight, nil, eps)
				for i := range want {
					// The mean of float64 is rounded as well.
					tolerance := 0x1p-22*math.Abs(wantUnbiased[i]) + 0x1p-48*math.Abs(float64(x[at+i])*float64(weight[i]))/deviation
					near(t, "without bias", at+i, float64(unbiased[at+i]), wantUnbiased[i], tolerance)
					near(t, "value", at+i, float64(got[at+i]), want[i], tolerance+0x1p-24*math.Abs(want[i]))
				}
			}
		}
	})
}

func TestRope(t *testing.T) {
	eachPath(t, func(t *testing.T, p *Path) {
		rng := rand.New(rand.NewPCG(13, 0))
		const tokens, heads = 5, 3
		for _, dims := range []struct{ head, rotary int }{{26, 26}, {26, 10}, {33, 32}, {16, 0}} {
			for _, interleaved := range []bool{false, true} {
				x, pairs := normals(rng, tokens*heads*dims.head), dims.rotary/2
				cos, sin := make([]float32, tokens*pairs), make([]float32, tokens*pairs)
				for i := range cos {
					angle := rng.Float64() * 6
					cos[i], sin[i] = float32(math.Cos(angle)), float32(math.Sin(angle))
				}
				want := append([]float32(nil), x...) // beyond the rotary dimensions as it was
				for at := 0; at < len(x); at += dims.head {
					token := at / (heads * dims.head)
					for i := range pairs {
						a, b := at+i, at+i+pairs
						if interleaved {
							a, b = at+2*i, at+2*i+1
						}
						c, s := cos[token*pairs+i], sin[token*pairs+i]
						want[a] = float32(x[a]*c) - float32(x[b]*s)
						want[b] = float32(x[a]*s) + float32(x[b]*c)
					}
				}
				p.NewWorker().Rope(x, tokens, heads, dims.head, cos, sin, interleaved)
				sameBits(t, fmt.Sprintf("%+v, interleaved %v", dims, interleaved), x, want)
			}
		}
	})
}

// With up = 1 this also measures the exponential: for large negative gates silu is gate·e^gate to within a rounding.
func TestSwiGLU(t *testing.T) {
	inf := float32(math.Inf(1))
	gate := []float32{0, 1, -1, 87, -87, 88.5, -88.5, -95, 200, -200, 0x1p-140, inf, -inf, float32(math.NaN())}
	for x := float32(-86); x < 86; x += 0.0137 {
		gate = append(gate, x)
	}
	up := make([]float32, len(gate))
	for i := range up {
		up[i] = 1
	}
	eachPath(t, func(t *testing.T, p *Path) {
		got := make([]float32, len(gate))
		p.NewWorker().SwiGLU(got, gate, up)
		for i, g := range gate {
			want := float64(g) / (1 + math.Exp(-float64(g)))
			// One unit for the exponential and a half for each rounding; below e^−88 the reciprocal is of infinity.
			tolerance := 2.5*0x1p-23*math.Abs(want) + 1e-36
			near(t, "silu", i, float64(got[i]), want, tolerance)
		}
		p.NewWorker().SwiGLU(got, gate, gate) // dst apart from gate and up, which may be the same
		near(t, "product", 1, float64(got[1]), 1/(1+math.Exp(-1)), 1e-6)
	})
}

func TestAdd(t *testing.T) {
	eachPath(t, func(t *testing.T, p *Path) {
		rng := rand.New(rand.NewPCG(14, 0))
		a, b := normals(rng, 1003), normals(rng, 1003)
		want := make([]float32, len(a))
		for i := range a {
			want[i] = a[i] + b[i]
		}
		p.NewWorker().Add(a, b)
		sameBits(t, "sum", a, want)
	})
}

func TestAddRows(t *testing.T) {
	eachPath(t, func(t *testing.T, p *Path) {
		rng := rand.New(rand.NewPCG(17, 0))
		const tokens = 3
		for _, n := range odd {
			x, bias, want := normals(rng, tokens*n), normals(rng, n), make([]float32, tokens*n)
			for i := range want {
				want[i] = x[i] + bias[i%n]
			}
			p.NewWorker().AddRows(x, bias, tokens)
			sameBits(t, "sum", x, want)
		}
	})
}

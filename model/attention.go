package model

import (
	"math"

	"github.com/finch-llm/finch/kernels"
)

// attention adds a block's attention to x [tokens, hidden], consecutive sequences of equal length.
func (r *Runner) attention(x []float32, b *Block, sequence int, caches []*Cache, index int, see func(Kind, []float32)) {
	m, p := r.m, b.Parts
	tokens := len(x) / m.Hidden
	qw, kvw := m.Heads*m.HeadDim, m.KVHeads*m.HeadDim
	normed := r.before(x, p[AttnNorm], p[AttnNormBias])
	q, k, v := grow(&r.q, tokens*qw), grow(&r.k, tokens*kvw), grow(&r.v, tokens*kvw)
	see(AttnQ, normed)
	if fused := b.Layers[AttnQKV]; fused != nil {
		bias := p[AttnQKVBias]
		r.project(q, normed, fused.RowRange(0, qw), part(bias, 0, qw))
		r.project(k, normed, fused.RowRange(qw, qw+kvw), part(bias, qw, qw+kvw))
		r.project(v, normed, fused.RowRange(qw+kvw, qw+2*kvw), part(bias, qw+kvw, qw+2*kvw))
	} else {
		r.project(q, normed, b.Layers[AttnQ], p[AttnQBias])
		r.project(k, normed, b.Layers[AttnK], p[AttnKBias])
		r.project(v, normed, b.Layers[AttnV], p[AttnVBias])
	}
	if weight := p[AttnQNorm]; weight != nil {
		r.norm(q, q, weight, nil)
		r.norm(k, k, p[AttnKNorm], nil)
	}
	attn := grow(&r.attn, tokens*qw)
	for s := 0; s < tokens; s += sequence {
		var c *Cache
		if caches != nil {
			c = caches[s/sequence]
		}
		qs, ks := q[s*qw:(s+sequence)*qw], k[s*kvw:(s+sequence)*kvw]
		r.attend(attn[s*qw:(s+sequence)*qw], qs, ks, v[s*kvw:(s+sequence)*kvw], sequence, b.Local, c, index)
	}
	see(AttnOutput, attn)
	delta := grow(&r.delta, tokens*m.Hidden)
	r.project(delta, attn, b.Layers[AttnOutput], p[AttnOutputBias])
	r.after(x, delta, p[AttnPostNorm])
}

// part is some of a bias, if there is one.
func part(bias []float32, from, to int) []float32 {
	if bias == nil {
		return nil
	}
	return bias[from:to]
}

// attend is one sequence's attention. q, out [tokens, heads·headDim]; k, v [tokens, kvHeads·headDim].
func (r *Runner) attend(out, q, k, v []float32, tokens int, local bool, c *Cache, index int) {
	m := r.m
	start := 0
	if c != nil {
		start = c.length
	}
	r.rotate(q, k, start, tokens, local)
	if c != nil {
		kvw := m.KVHeads * m.HeadDim
		copy(c.keys[index][start*kvw:], k)
		copy(c.values[index][start*kvw:], v)
		k, v = c.keys[index][:(start+tokens)*kvw], c.values[index][:(start+tokens)*kvw]
	}
	shape := kernels.AttentionShape{
		Tokens: tokens, Keys: start + tokens, Heads: m.Heads, KVHeads: m.KVHeads, HeadDim: m.HeadDim,
		Scale: float32(m.attentionScale()), Softcap: float32(m.AttentionSoftcap),
	}
	if local {
		shape.Window = m.Window
	}
	r.w.Attention(out, q, k, v, shape)
}

// attentionScale is what the products of queries and keys are multiplied by.
func (c *Config) attentionScale() float64 {
	if c.AttentionScale > 0 {
		return c.AttentionScale
	}
	return 1 / math.Sqrt(float64(c.HeadDim))
}

// rotate turns q and k to their positions, from start on.
func (r *Runner) rotate(q, k []float32, start, tokens int, local bool) {
	if r.design.learned {
		return
	}
	m, rotation := r.m, r.global
	if local {
		rotation = r.local
	}
	rotary := m.Rotary()
	cos, sin := rotation.at(start, tokens, rotary/2)
	r.w.Rope(q, tokens, m.Heads, m.HeadDim, cos, sin, m.RopeInterleaved)
	r.w.Rope(k, tokens, m.KVHeads, m.HeadDim, cos, sin, m.RopeInterleaved)
}

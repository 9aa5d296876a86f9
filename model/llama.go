package model

import (
	"fmt"
	"math"

	"github.com/finch-llm/finch/kernels"
)

// Runner is one goroutine's forward pass: a kernel worker, its activation buffers and the rotary tables.
type Runner struct {
	m *Model
	w *kernels.Worker

	cos, sin []float32 // [context, headDim/2]

	// Activations, grown to the largest number of tokens seen.
	normed, attn    []float32 // [tokens, hidden], [tokens, heads·headDim]
	q, k, v         []float32 // [tokens, heads·headDim], [tokens, kvHeads·headDim] twice
	gate, up, delta []float32 // [tokens, mlp] twice, [tokens, hidden]
}

// NewRunner prepares a runner for sequences of at most the given number of tokens.
func NewRunner(m *Model, path *kernels.Path, context int) *Runner {
	r := &Runner{m: m, w: path.NewWorker()}
	half := m.HeadDim / 2
	r.cos, r.sin = make([]float32, context*half), make([]float32, context*half)
	for t := range context {
		for i := range half {
			angle := float64(t) * math.Pow(m.RopeTheta, -2*float64(i)/float64(m.HeadDim))
			r.cos[t*half+i], r.sin[t*half+i] = float32(math.Cos(angle)), float32(math.Sin(angle))
		}
	}
	return r
}

// Worker gives the runner's kernels, for what follows the forward pass.
func (r *Runner) Worker() *kernels.Worker { return r.w }

// Cache keeps the keys and values of one sequence, so that generation runs each token once.
type Cache struct {
	keys, values [][]float32 // per block [context, kvHeads·headDim]
	length       int
}

// NewCache makes a cache for a sequence of at most context tokens.
func (r *Runner) NewCache() *Cache {
	m := r.m
	n := len(r.cos) / (m.HeadDim / 2) * m.KVHeads * m.HeadDim
	c := &Cache{}
	for range m.Blocks {
		c.keys = append(c.keys, make([]float32, n))
		c.values = append(c.values, make([]float32, n))
	}
	return c
}

// Hidden runs the network over consecutive sequences of equal length and returns the hidden states after the final norm
// in dst [tokens, hidden], ready for the head. The values for one sequence do not depend on its neighbours.
func (r *Runner) Hidden(dst []float32, net *Network, ids []int32, sequence int) error {
	if sequence <= 0 || len(ids)%sequence != 0 {
		return fmt.Errorf("%d tokens are not sequences of %d", len(ids), sequence)
	}
	x := dst[:len(ids)*r.m.Hidden]
	if err := r.Embed(x, ids); err != nil {
		return err
	}
	for b := range net.Blocks {
		r.Block(x, &net.Blocks[b], sequence)
	}
	r.Norm(x)
	return nil
}

// Extend runs the tokens that follow those in the cache, appends them to it, and returns their hidden states after the
// final norm in dst [tokens, hidden].
func (r *Runner) Extend(dst []float32, net *Network, ids []int32, c *Cache) error {
	if limit := len(r.cos) / (r.m.HeadDim / 2); c.length+len(ids) > limit {
		return fmt.Errorf("%d tokens exceed the context of %d", c.length+len(ids), limit)
	}
	x := dst[:len(ids)*r.m.Hidden]
	if err := r.Embed(x, ids); err != nil {
		return err
	}
	for b := range net.Blocks {
		r.block(x, &net.Blocks[b], len(ids), c, b, unseen)
	}
	c.length += len(ids)
	r.Norm(x)
	return nil
}

// Embed looks up the token embeddings, x [tokens, hidden]: the residual stream before the first block. An error names a
// token outside the vocabulary.
func (r *Runner) Embed(x []float32, ids []int32) error {
	h := r.m.Hidden
	for t, id := range ids {
		if id < 0 || int(id) >= r.m.Vocab {
			return fmt.Errorf("token id %d is outside the vocabulary of %d", id, r.m.Vocab)
		}
		kernels.Unpack(x[t*h:(t+1)*h], r.m.Embedding, int(id))
	}
	return nil
}

// Block adds one block's sublayers to the residual stream x [tokens, hidden] of consecutive sequences of equal length.
func (r *Runner) Block(x []float32, b *Block, sequence int) { r.block(x, b, sequence, nil, 0, unseen) }

// BlockInputs is Block that shows what goes into the layers on its way: for each kind that is its own Input, inputs
// [tokens, cols], which see may read until it returns. Dropped sublayers have none.
func (r *Runner) BlockInputs(x []float32, b *Block, sequence int, see func(k Kind, inputs []float32)) {
	r.block(x, b, sequence, nil, 0, see)
}

func unseen(Kind, []float32) {}

// Norm applies the final norm to x [tokens, hidden].
func (r *Runner) Norm(x []float32) {
	r.w.RMSNorm(x, x, r.m.OutputNorm, len(x)/r.m.Hidden, float32(r.m.NormEps))
}

// block is Block that sees, and appends to, the keys and values of c for the block with this index, and shows
// the inputs of its layers.
func (r *Runner) block(x []float32, b *Block, sequence int, c *Cache, index int, see func(Kind, []float32)) {
	m := r.m
	tokens := len(x) / m.Hidden
	eps := float32(m.NormEps)
	if !b.DropAttn {
		qw, kvw := m.Heads*m.HeadDim, m.KVHeads*m.HeadDim
		normed := grow(&r.normed, tokens*m.Hidden)
		q, k, v := grow(&r.q, tokens*qw), grow(&r.k, tokens*kvw), grow(&r.v, tokens*kvw)
		attn := grow(&r.attn, tokens*qw)
		r.w.RMSNorm(normed, x, b.AttnNorm, tokens, eps)
		see(AttnQ, normed)
		r.w.MatMul(q, normed, tokens, b.Layers[AttnQ])
		r.w.MatMul(k, normed, tokens, b.Layers[AttnK])
		r.w.MatMul(v, normed, tokens, b.Layers[AttnV])
		for s := 0; s < tokens; s += sequence {
			r.attend(attn[s*qw:(s+sequence)*qw], q[s*qw:(s+sequence)*qw], k[s*kvw:(s+sequence)*kvw], v[s*kvw:(s+sequence)*kvw], sequence, c, index)
		}
		see(AttnOutput, attn)
		delta := grow(&r.delta, tokens*m.Hidden)
		r.w.MatMul(delta, attn, tokens, b.Layers[AttnOutput])
		r.w.Add(x, delta)
	}
	if !b.DropMLP {
		normed := grow(&r.normed, tokens*m.Hidden)
		gate, up := grow(&r.gate, tokens*m.MLP), grow(&r.up, tokens*m.MLP)
		r.w.RMSNorm(normed, x, b.MLPNorm, tokens, eps)
		see(FFNGate, normed)
		r.w.MatMul(gate, normed, tokens, b.Layers[FFNGate])
		r.w.MatMul(up, normed, tokens, b.Layers[FFNUp])
		r.w.SwiGLU(gate, gate, up)
		see(FFNDown, gate)
		delta := grow(&r.delta, tokens*m.Hidden)
		r.w.MatMul(delta, gate, tokens, b.Layers[FFNDown])
		r.w.Add(x, delta)
	}
}

// attend is one sequence's attention. q, out [tokens, heads·headDim]; k, v [tokens, kvHeads·headDim].
func (r *Runner) attend(out, q, k, v []float32, tokens int, c *Cache, index int) {
	m := r.m
	start, half := 0, m.HeadDim/2
	if c != nil {
		start = c.length
	}
	cos, sin := r.cos[start*half:(start+tokens)*half], r.sin[start*half:(start+tokens)*half]
	r.w.Rope(q, tokens, m.Heads, m.HeadDim, cos, sin, m.RopeInterleaved)
	r.w.Rope(k, tokens, m.KVHeads, m.HeadDim, cos, sin, m.RopeInterleaved)
	if c != nil {
		kvw := m.KVHeads * m.HeadDim
		copy(c.keys[index][start*kvw:], k)
		copy(c.values[index][start*kvw:], v)
		k, v = c.keys[index][:(start+tokens)*kvw], c.values[index][:(start+tokens)*kvw]
	}
	r.w.Attention(out, q, k, v, kernels.AttentionShape{
		Tokens: tokens, Keys: start + tokens, Heads: m.Heads, KVHeads: m.KVHeads, HeadDim: m.HeadDim,
		Scale: float32(1 / math.Sqrt(float64(m.HeadDim))),
	})
}

// grow returns *buf with n elements, reallocating only when it is too small.
func grow(buf *[]float32, n int) []float32 {
	if cap(*buf) < n {
		*buf = make([]float32, n)
	}
	*buf = (*buf)[:n]
	return *buf
}

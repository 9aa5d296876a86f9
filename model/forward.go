package model

import (
	"fmt"
	"math"

	"github.com/finch-llm/finch/kernels"
)

// Runner is one goroutine's forward pass: a kernel worker, its activation buffers and the rotary tables.
type Runner struct {
	m       *Model
	design  *architecture
	w       *kernels.Worker
	exact   *kernels.Worker // for what chooses between experts, which rounding must not change
	context int

	global, local rotation // of blocks that see everything, and of others

	// Activations, grown to the largest number of tokens seen.
	normed, attn    []float32 // [tokens, hidden], [tokens, heads·headDim]
	q, k, v         []float32 // [tokens, heads·headDim], [tokens, kvHeads·headDim] twice
	gate, up, delta []float32 // [tokens, mlp] twice, [tokens, hidden]
	mixture         mixture
}

// NewRunner prepares a runner for sequences of at most the given number of tokens. Longrope chooses by that number, not by
// the length of a text, whether it stretches positions, so that what is cached of a text's beginning stays true.
func NewRunner(m *Model, path *kernels.Path, context int) *Runner {
	r := &Runner{m: m, design: m.design(), w: path.NewWorker(), exact: path.Exact().NewWorker(), context: context}
	if r.design.learned {
		return r
	}
	r.global = newRotation(context, m.Rotary(), m.RopeTheta, m.Scaling)
	r.local = r.global
	if m.LocalTheta > 0 {
		r.local = newRotation(context, m.Rotary(), m.LocalTheta, nil)
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
	n := r.context * m.KVHeads * m.HeadDim
	c := &Cache{}
	for range m.Blocks {
		c.keys = append(c.keys, make([]float32, n))
		c.values = append(c.values, make([]float32, n))
	}
	return c
}

// Reset empties the cache for another sequence.
func (c *Cache) Reset() { c.length = 0 }

// CacheBytes is what a cache for a sequence of so many tokens takes.
func (m *Model) CacheBytes(context int) int64 {
	return 2 * 4 * int64(m.Blocks) * int64(context) * int64(m.KVHeads*m.HeadDim)
}

// Hidden runs the network over consecutive sequences of equal length and returns the hidden states after the final norm
// in dst [tokens, hidden], ready for the head. The values for one sequence do not depend on its neighbours.
func (r *Runner) Hidden(dst []float32, net *Network, ids []int32, sequence int) error {
	if sequence <= 0 || len(ids)%sequence != 0 {
		return fmt.Errorf("%d tokens are not sequences of %d", len(ids), sequence)
	}
	x := dst[:len(ids)*r.m.Hidden]
	if err := r.Embed(x, ids, sequence); err != nil {
		return err
	}
	for b := range net.Blocks {
		r.Block(x, &net.Blocks[b], sequence)
	}
	r.Norm(x)
	return nil
}

// Extend runs the tokens that follow those in each cache, appends them to it, and returns their hidden states after the final
// norm in dst [tokens, hidden]: ids are consecutive pieces of equal length, one for each cache, and the caches hold equally many
// tokens. The values for one sequence do not depend on its neighbours.
func (r *Runner) Extend(dst []float32, net *Network, ids []int32, caches ...*Cache) error {
	if len(caches) == 0 || len(ids)%len(caches) != 0 {
		return fmt.Errorf("%d tokens are not pieces of equal length for %d caches", len(ids), len(caches))
	}
	piece, start := len(ids)/len(caches), caches[0].length
	for _, c := range caches {
		if c.length != start {
			return fmt.Errorf("one cache holds %d tokens, another %d", start, c.length)
		}
	}
	if start+piece > r.context {
		return fmt.Errorf("%d tokens exceed the context of %d", start+piece, r.context)
	}
	x := dst[:len(ids)*r.m.Hidden]
	if err := r.embed(x, ids, piece, start); err != nil {
		return err
	}
	for b := range net.Blocks {
		r.block(x, &net.Blocks[b], piece, caches, b, unseen)
	}
	for _, c := range caches {
		c.length += piece
	}
	r.Norm(x)
	return nil
}

// Embed looks up the embeddings of consecutive sequences of equal length, x [tokens, hidden]: the residual stream before the
// first block. An error names a token outside the vocabulary.
func (r *Runner) Embed(x []float32, ids []int32, sequence int) error {
	return r.embed(x, ids, sequence, 0)
}

// embed is Embed of sequences that begin at a position.
func (r *Runner) embed(x []float32, ids []int32, sequence, start int) error {
	h, positions := r.m.Hidden, r.m.Positions
	if positions != nil && start+sequence > positions.Rows {
		return fmt.Errorf("%d tokens exceed the %d positions that the model has learned", start+sequence, positions.Rows)
	}
	for t, id := range ids {
		if id < 0 || int(id) >= r.m.Vocab {
			return fmt.Errorf("token id %d is outside the vocabulary of %d", id, r.m.Vocab)
		}
		token := x[t*h : (t+1)*h]
		kernels.Unpack(token, r.m.Embedding, int(id))
		if positions != nil {
			position := grow(&r.delta, h)
			kernels.Unpack(position, positions, start+t%sequence)
			r.w.Add(token, position)
		}
	}
	if r.design.scaled {
		scale := float32(math.Sqrt(float64(h)))
		for i := range x {
			x[i] *= scale
		}
	}
	return nil
}

// Block adds one block's sublayers to the residual stream x [tokens, hidden] of consecutive sequences of equal length.
func (r *Runner) Block(x []float32, b *Block, sequence int) { r.block(x, b, sequence, nil, 0, unseen) }

// BlockInputs is Block that shows what goes into the layers on its way: for each kind that is its own Input, inputs
// [tokens, cols], which see may read until it returns. FFNDownExps has one for each expert that a token uses, by expert. Dropped
// sublayers have none.
func (r *Runner) BlockInputs(x []float32, b *Block, sequence int, see func(k Kind, inputs []float32)) {
	r.block(x, b, sequence, nil, 0, see)
}

func unseen(Kind, []float32) {}

// Norm applies the final norm to x [tokens, hidden].
func (r *Runner) Norm(x []float32) { r.norm(x, x, r.m.OutputNorm, r.m.OutputBias) }

// norm normalizes x, each row as long as weight, into dst.
func (r *Runner) norm(dst, x, weight, bias []float32) {
	tokens, eps := len(x)/len(weight), float32(r.m.NormEps)
	if r.design.layerNorm {
		r.w.LayerNorm(dst, x, weight, bias, tokens, eps)
	} else {
		r.w.RMSNorm(dst, x, weight, tokens, eps)
	}
}

// Logits multiplies hidden states after the final norm [tokens, hidden] with the head: dst [tokens, vocab].
func (r *Runner) Logits(dst, hidden []float32) {
	r.w.Logits(dst, hidden, len(hidden)/r.m.Hidden, r.m.Head, float32(r.m.FinalSoftcap))
}

// block is Block that sees, and appends to, the keys and values of each sequence's cache, if there are any, for the block with
// this index, and shows the inputs of its layers.
func (r *Runner) block(x []float32, b *Block, sequence int, caches []*Cache, index int, see func(Kind, []float32)) {
	if !b.DropAttn {
		r.attention(x, b, sequence, caches, index, see)
	}
	if !b.DropMLP {
		r.mlp(x, b, see)
	}
}

// before normalizes what a sublayer reads, unless its architecture leaves that to the end.
func (r *Runner) before(x []float32, weight, bias []float32) []float32 {
	if weight == nil {
		return x
	}
	normed := grow(&r.normed, len(x))
	r.norm(normed, x, weight, bias)
	return normed
}

// after adds what a sublayer computed, normalized if weight says so, to the residual stream.
func (r *Runner) after(x, delta, weight []float32) {
	if weight != nil {
		r.norm(delta, delta, weight, nil)
	}
	r.w.Add(x, delta)
}

// project multiplies x with a layer, or some rows of one, and adds its bias, if it has one.
func (r *Runner) project(dst, x []float32, layer *kernels.Matrix, bias []float32) {
	tokens := len(x) / layer.Cols
	r.w.MatMul(dst, x, tokens, layer)
	if bias != nil {
		r.w.AddRows(dst, bias, tokens)
	}
}

// grow returns *buf with n elements, reallocating only when it is too small.
func grow(buf *[]float32, n int) []float32 {
	if cap(*buf) < n {
		*buf = make([]float32, n)
	}
	*buf = (*buf)[:n]
	return *buf
}

package kernels

/*
#include "kernels.h"
*/
import "C"

// AttentionShape gives the sizes of one causal grouped-query attention. Query i is at position Keys − Tokens + i and sees
// the keys up to and including its own position, so a cache of earlier keys and values needs nothing else.
type AttentionShape struct {
	Tokens, Keys   int // queries; keys, of which the last Tokens belong to the queries
	Heads, KVHeads int // heads h·Heads/KVHeads to (h+1)·Heads/KVHeads − 1 share key head h
	HeadDim        int
	Scale          float32 // of the scores before softmax, usually 1/√HeadDim
	Window         int     // how many keys a query sees at most, its own included; 0: all
	Softcap        float32 // scores are capped: Softcap·tanh(score/Softcap), after scaling; 0: they are not
}

// Attention computes dst [Tokens, Heads, HeadDim] from q of the same shape and k, v [Keys, KVHeads, HeadDim], in fp32.
func (w *Worker) Attention(dst, q, k, v []float32, a AttentionShape) {
	check(a.Tokens >= 0 && a.Keys >= a.Tokens && a.HeadDim > 0 && a.KVHeads > 0 && a.Heads%a.KVHeads == 0 &&
		a.Window >= 0 && a.Softcap >= 0, "attention shape %+v", a)
	queries, keys := a.Tokens*a.Heads*a.HeadDim, a.Keys*a.KVHeads*a.HeadDim
	check(len(dst) == queries && len(q) == queries && len(k) == keys && len(v) == keys,
		"attention shape %+v: dst has %d values, q %d, k %d, v %d", a, len(dst), len(q), len(k), len(v))
	if queries == 0 {
		return
	}
	window := a.Keys
	if a.Window > 0 {
		window = a.Window
		unseen := max(0, a.Keys-a.Tokens+1-window) // not even by the first query
		k, v = k[unseen*a.KVHeads*a.HeadDim:], v[unseen*a.KVHeads*a.HeadDim:]
		a.Keys -= unseen
	}
	isa := w.path.isa
	scratch := w.attention.grow(int(C.finch_attention_scratch(isa, C.int64_t(a.Keys), C.int64_t(a.HeadDim))))
	shape := C.struct_attention{
		tokens: C.int64_t(a.Tokens), keys: C.int64_t(a.Keys), heads: C.int64_t(a.Heads), kv_heads: C.int64_t(a.KVHeads),
		dim: C.int64_t(a.HeadDim), window: C.int64_t(window), scale: C.float(a.Scale), softcap: C.float(a.Softcap),
	}
	C.finch_attention(isa, floats(dst), floats(q), floats(k), floats(v), &shape, scratch)
}

// RMSNorm computes dst = x / √(mean(x²) + eps) · weight for each row of x [tokens, len(weight)]. The sum of squares is
// float64. dst may be x.
func (w *Worker) RMSNorm(dst, x, weight []float32, tokens int, eps float32) {
	n := tokens * len(weight)
	check(len(dst) == n && len(x) == n, "RMSNorm of %d × %d: dst has %d values, x %d", tokens, len(weight), len(dst), len(x))
	C.finch_rms_norm(w.path.isa, floats(dst), floats(x), floats(weight), C.int64_t(tokens), C.int64_t(len(weight)), C.float(eps))
}

// LayerNorm computes dst = (x − mean(x)) / √(var(x) + eps) · weight + bias for each row of x [tokens, len(weight)], without bias
// if that is nil. The sums are float64. dst may be x.
func (w *Worker) LayerNorm(dst, x, weight, bias []float32, tokens int, eps float32) {
	n := tokens * len(weight)
	check(len(dst) == n && len(x) == n && (bias == nil || len(bias) == len(weight)),
		"LayerNorm of %d × %d: dst has %d values, x %d, bias %d", tokens, len(weight), len(dst), len(x), len(bias))
	C.finch_layer_norm(w.path.isa, floats(dst), floats(x), floats(weight), floats(bias), C.int64_t(tokens), C.int64_t(len(weight)), C.float(eps))
}

// Rope rotates x [tokens, heads, headDim] in place by the angles whose cosines and sines are given [tokens, angles]: the first
// 2·angles values of each head, the others pass. Interleaved pairs are (2i, 2i+1), as in llama's GGUF files; others
// (i, i + angles), as in NeoX.
func (w *Worker) Rope(x []float32, tokens, heads, headDim int, cos, sin []float32, interleaved bool) {
	angles := len(cos) / max(tokens, 1)
	check(2*angles <= headDim && len(x) == tokens*heads*headDim && len(cos) == tokens*angles && len(sin) == len(cos),
		"Rope of %d × %d × %d: x has %d values, cos %d, sin %d", tokens, heads, headDim, len(x), len(cos), len(sin))
	layout := C.int(0)
	if interleaved {
		layout = 1
	}
	C.finch_rope(w.path.isa, floats(x), C.int64_t(tokens), C.int64_t(heads), C.int64_t(headDim), C.int64_t(angles),
		floats(cos), floats(sin), layout)
}

// SwiGLU computes dst = gate / (1 + e^−gate) · up. dst may be gate or up.
func (w *Worker) SwiGLU(dst, gate, up []float32) {
	check(len(dst) == len(gate) && len(dst) == len(up), "SwiGLU of %d and %d values into %d", len(gate), len(up), len(dst))
	C.finch_swiglu(w.path.isa, floats(dst), floats(gate), floats(up), C.int64_t(len(dst)))
}

// GELU computes dst = x · Φ(x), Φ the normal distribution function: x/2 · (1 + erf(x/√2)). dst may be x.
func (w *Worker) GELU(dst, x []float32) {
	check(len(dst) == len(x), "GELU of %d values into %d", len(x), len(dst))
	C.finch_gelu(w.path.isa, floats(dst), floats(x), C.int64_t(len(dst)))
}

// GELUTanh computes dst = x/2 · (1 + tanh(√(2/π)·(x + 0.044715x³))), which is what many models have instead of GELU.
// dst may be x.
func (w *Worker) GELUTanh(dst, x []float32) {
	check(len(dst) == len(x), "GELUTanh of %d values into %d", len(x), len(dst))
	C.finch_gelu_tanh(w.path.isa, floats(dst), floats(x), C.int64_t(len(dst)))
}

// GeGLU computes dst = GELUTanh(gate) · up. dst may be gate or up.
func (w *Worker) GeGLU(dst, gate, up []float32) {
	check(len(dst) == len(gate) && len(dst) == len(up), "GeGLU of %d and %d values into %d", len(gate), len(up), len(dst))
	C.finch_geglu(w.path.isa, floats(dst), floats(gate), floats(up), C.int64_t(len(dst)))
}

// Add computes dst += x.
func (w *Worker) Add(dst, x []float32) {
	check(len(dst) == len(x), "Add of %d values to %d", len(x), len(dst))
	C.finch_add(w.path.isa, floats(dst), floats(x), C.int64_t(len(dst)))
}

// AddRows adds bias to each row of x [tokens, len(bias)].
func (w *Worker) AddRows(x, bias []float32, tokens int) {
	check(len(x) == tokens*len(bias), "AddRows of %d values to %d rows: x has %d", len(bias), tokens, len(x))
	C.finch_add_rows(w.path.isa, floats(x), floats(bias), C.int64_t(tokens), C.int64_t(len(bias)))
}

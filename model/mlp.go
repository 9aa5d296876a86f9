package model

import "github.com/finch-llm/finch/kernels"

// mlp adds a block's MLP, or its mixture of experts, to x [tokens, hidden].
func (r *Runner) mlp(x []float32, b *Block, see func(Kind, []float32)) {
	p := b.Parts
	normed := r.before(x, p[FFNNorm], p[FFNNormBias])
	see(FFNGate, normed)
	delta := grow(&r.delta, len(x))
	if p[FFNRouter] != nil {
		r.experts(delta, normed, b, see)
	} else {
		inner := r.inner(normed, b)
		see(FFNDown, inner)
		r.project(delta, inner, b.Layers[FFNDown], p[FFNDownBias])
	}
	r.after(x, delta, p[FFNPostNorm])
}

// inner is what the MLP's down-projection reads [tokens, mlp].
func (r *Runner) inner(normed []float32, b *Block) []float32 {
	m, p := r.m, b.Parts
	n := len(normed) / m.Hidden * m.MLP
	up := b.Layers[FFNUp]
	gate := b.Layers[FFNGate]
	if r.design.fusedGate {
		gate, up = up.RowRange(0, m.MLP), up.RowRange(m.MLP, 2*m.MLP)
	}
	inner := grow(&r.up, n)
	r.project(inner, normed, up, p[FFNUpBias])
	if gate == nil {
		r.w.GELUTanh(inner, inner)
		return inner
	}
	gated := grow(&r.gate, n)
	r.project(gated, normed, gate, p[FFNGateBias])
	r.gated(gated, gated, inner)
	return gated
}

// gated computes dst = activation(gate)·up.
func (r *Runner) gated(dst, gate, up []float32) {
	if r.design.activation == silu {
		r.w.SwiGLU(dst, gate, up)
	} else {
		r.w.GeGLU(dst, gate, up)
	}
}

// expert is the MLP of one expert, given by rows of stacked layers: dst and x [tokens, hidden], inner [tokens, width].
func (r *Runner) expert(inner, x []float32, gate, up *kernels.Matrix) {
	gated := grow(&r.gate, len(inner))
	r.project(gated, x, gate, nil)
	r.project(inner, x, up, nil)
	r.gated(inner, gated, inner)
}

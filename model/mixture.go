package model

import (
	"cmp"
	"math"
	"slices"

	"github.com/finch-llm/finch/kernels"
)

// mixture is how tokens are shared out over experts, and the room for that.
type mixture struct {
	logits []float32  // [tokens, experts]
	order  []int      // experts of one token
	chosen [][]choice // [experts], by token

	x, inner, out []float32 // [choices, hidden], [choices, width], [choices, hidden], by expert
}

// choice is a token that uses an expert.
type choice struct {
	token  int
	weight float32
}

// experts computes dst = Σ weight·expert(x) over the experts that each token of x [tokens, hidden] uses, and the shared one's. A
// token's sum is taken in the order of experts, whatever the others use.
func (r *Runner) experts(dst, x []float32, b *Block, see func(Kind, []float32)) {
	m, s := r.m, &r.mixture
	r.route(x, b.Parts[FFNRouter])
	hidden, width := m.Hidden, m.ExpertMLP
	choices := len(x) / hidden * m.ExpertsUsed
	gathered, inner, out := grow(&s.x, choices*hidden), grow(&s.inner, choices*width), grow(&s.out, choices*hidden)
	at := 0
	for e, tokens := range s.chosen {
		for _, c := range tokens {
			copy(gathered[at*hidden:(at+1)*hidden], x[c.token*hidden:])
			at++
		}
		if n := len(tokens); n > 0 {
			rows := func(k Kind) *kernels.Matrix { return b.Layers[k].RowRange(e*width, (e+1)*width) }
			r.expert(inner[(at-n)*width:at*width], gathered[(at-n)*hidden:at*hidden], rows(FFNGateExps), rows(FFNUpExps))
		}
	}
	see(FFNDownExps, inner)
	clear(dst)
	at = 0
	for e, tokens := range s.chosen {
		n := len(tokens)
		if n == 0 {
			continue
		}
		r.project(out[at*hidden:(at+n)*hidden], inner[at*width:(at+n)*width], b.Layers[FFNDownExps].RowRange(e*hidden, (e+1)*hidden), nil)
		for _, c := range tokens {
			addScaled(dst[c.token*hidden:(c.token+1)*hidden], out[at*hidden:(at+1)*hidden], c.weight)
			at++
		}
	}
	if b.Layers[FFNDownShexp] != nil {
		r.shared(dst, x, b, see)
	}
}

// route chooses the experts of each token of x [tokens, hidden]: those with the highest logits, the first of equal ones.
func (r *Runner) route(x, router []float32) {
	m, s := r.m, &r.mixture
	tokens := len(x) / m.Hidden
	logits := grow(&s.logits, tokens*m.Experts)
	r.exact.MatMul(logits, x, tokens, kernels.Dense(m.Experts, m.Hidden, router))
	if s.chosen == nil {
		s.chosen, s.order = make([][]choice, m.Experts), make([]int, m.Experts)
	}
	for e := range s.chosen {
		s.chosen[e] = s.chosen[e][:0]
	}
	for t := range tokens {
		of := logits[t*m.Experts : (t+1)*m.Experts]
		for e := range s.order {
			s.order[e] = e
		}
		slices.SortStableFunc(s.order, func(a, b int) int { return cmp.Compare(of[b], of[a]) })
		used := s.order[:m.ExpertsUsed]
		among := s.order
		if m.NormTopK {
			among = used
		}
		var sum float64 // of the softmax, relative to the highest logit
		for _, e := range among {
			sum += math.Exp(float64(of[e] - of[used[0]]))
		}
		for _, e := range used {
			weight := math.Exp(float64(of[e]-of[used[0]])) / sum
			s.chosen[e] = append(s.chosen[e], choice{t, float32(weight)})
		}
	}
}

// shared adds the expert that all tokens of x use, weighted by its own gate.
func (r *Runner) shared(dst, x []float32, b *Block, see func(Kind, []float32)) {
	m, s := r.m, &r.mixture
	tokens := len(x) / m.Hidden
	inner := grow(&s.inner, tokens*m.SharedMLP)
	r.expert(inner, x, b.Layers[FFNGateShexp], b.Layers[FFNUpShexp])
	see(FFNDownShexp, inner)
	out := grow(&s.out, len(x))
	r.project(out, inner, b.Layers[FFNDownShexp], nil)
	logits := grow(&s.logits, tokens)
	r.exact.MatMul(logits, x, tokens, kernels.Dense(1, m.Hidden, b.Parts[FFNSharedRouter]))
	for t, logit := range logits {
		weight := float32(1 / (1 + math.Exp(-float64(logit))))
		addScaled(dst[t*m.Hidden:(t+1)*m.Hidden], out[t*m.Hidden:(t+1)*m.Hidden], weight)
	}
}

// addScaled computes dst += weight·x.
func addScaled(dst, x []float32, weight float32) {
	for i, v := range x {
		dst[i] += float32(weight * v)
	}
}

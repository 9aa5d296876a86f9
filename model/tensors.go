package model

import "github.com/finch-llm/finch/kernels"

// Tensor is one of the matrices and vectors that a network consists of.
type Tensor struct {
	Block  int    // -1 outside the blocks
	Part   string // GGUF's name in the block, without ".weight": attn_q, ffn_norm, token_embd
	Matrix *kernels.Matrix
	Vector bool // Matrix is one row of f32
	Stack  int  // so many matrices below each other, those of experts; 0: it is one

	Attention bool // of a block: it belongs to attention, not to the MLP
}

// Name is GGUF's name, without ".weight".
func (t *Tensor) Name() string { return tensorName(t.Block, t.Part) }

// OfQK says whether the rows, or the numbers, are those of q or k, whose order depends on that of rotary pairs.
func (t *Tensor) OfQK() bool {
	switch t.Part {
	case AttnQ.String(), AttnK.String(), AttnQBias.String(), AttnKBias.String():
		return true
	}
	return false
}

// Tensors lists what a network of m consists of, without dropped sublayers, in llama.cpp's order.
func (m *Model) Tensors(n *Network) []Tensor {
	var list []Tensor
	matrix := func(part string, w *kernels.Matrix) {
		list = append(list, Tensor{Block: -1, Part: part, Matrix: w})
	}
	vector := func(part string, v []float32) {
		if v != nil {
			list = append(list, Tensor{Block: -1, Part: part, Matrix: kernels.Dense(1, len(v), v), Vector: true})
		}
	}
	matrix(tokenEmbedding, m.Embedding)
	if m.Positions != nil {
		matrix(positions, m.Positions)
	}
	if s := m.Scaling; s != nil && s.Type == "llama3" {
		vector(ropeFactors, s.Short)
	} else if s != nil {
		vector(ropeLong, s.Long)
		vector(ropeShort, s.Short)
	}
	parts, kinds := m.Parts(), m.Kinds()
	for b := range n.Blocks {
		block := &n.Blocks[b]
		for _, p := range parts {
			if !block.drops(p.IsAttention()) {
				rows, cols := m.PartShape(p)
				list = append(list, Tensor{
					Block: b, Part: p.String(), Matrix: kernels.Dense(rows, cols, block.Parts[p]), Vector: rows == 1, Attention: p.IsAttention(),
				})
			}
		}
		for _, k := range kinds {
			if !block.Drops(k) {
				e := Tensor{Block: b, Part: k.String(), Matrix: block.Layers[k], Attention: k.IsAttention()}
				if k.Stacked() {
					e.Stack = m.Experts
				}
				list = append(list, e)
			}
		}
	}
	vector(outputNorm, m.OutputNorm)
	vector(outputNormBias, m.OutputBias)
	if !m.TiedHead {
		matrix(outputHead, m.Head)
	}
	return list
}

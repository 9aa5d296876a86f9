package model

import "strings"

// Part is one of the vectors of a block, or the small matrix by which a mixture chooses experts: what compression keeps.
type Part uint8

const (
	AttnNorm Part = iota
	AttnNormBias
	AttnQBias
	AttnKBias
	AttnVBias
	AttnQKVBias
	AttnQNorm // of each head, or of all of q
	AttnKNorm
	AttnOutputBias
	AttnPostNorm // of what attention adds to the residual stream
	FFNNorm
	FFNNormBias
	FFNRouter // [experts, hidden]
	FFNSharedRouter
	FFNGateBias
	FFNUpBias
	FFNDownBias
	FFNPostNorm
	NumParts
)

var partNames = [NumParts]string{
	"attn_norm", "attn_norm.bias", "attn_q.bias", "attn_k.bias", "attn_v.bias", "attn_qkv.bias", "attn_q_norm", "attn_k_norm",
	"attn_output.bias", "post_attention_norm", "ffn_norm", "ffn_norm.bias", "ffn_gate_inp", "ffn_gate_inp_shexp",
	"ffn_gate.bias", "ffn_up.bias", "ffn_down.bias", "post_ffw_norm",
}

// String is GGUF's name, without ".weight".
func (p Part) String() string { return partNames[p] }

// IsAttention says whether the part belongs to the attention sublayer; otherwise it belongs to the MLP.
func (p Part) IsAttention() bool { return p <= AttnPostNorm }

// isNorm says whether the part scales normalized values.
func (p Part) isNorm() bool { return strings.HasSuffix(p.String(), "_norm") }

// FileName is GGUF's name of a tensor: name, with ".weight" if it is no bias.
func FileName(name string) string {
	if strings.HasSuffix(name, ".bias") {
		return name
	}
	return name + ".weight"
}

// Parts are the parts of one block; nil: it has none. Blocks share them.
type Parts [NumParts][]float32

// PartSet is a set of parts.
type PartSet uint32

// Has says whether a part is in the set.
func (s PartSet) Has(p Part) bool { return s>>p&1 != 0 }

func (s PartSet) with(p Part) PartSet { return s | 1<<p }

// Parts lists the parts that each block of the model has.
func (c *Config) Parts() []Part {
	var list []Part
	d := c.design()
	for p := range NumParts {
		if d.parts[p] != "" && (!d.optional[p] || c.Extra.Has(p)) {
			list = append(list, p)
		}
	}
	return list
}

// PartShape is the part's [rows, cols]; a vector is one row.
func (c *Config) PartShape(p Part) (rows, cols int) {
	q, kv := c.Heads*c.HeadDim, c.KVHeads*c.HeadDim
	switch p {
	case FFNRouter:
		return c.Experts, c.Hidden
	case AttnQBias:
		return 1, q
	case AttnKBias, AttnVBias:
		return 1, kv
	case AttnQKVBias:
		return 1, q + 2*kv
	case FFNGateBias, FFNUpBias:
		return 1, c.MLP
	case AttnQNorm, AttnKNorm:
		switch {
		case !c.design().wideQKNorm:
			return 1, c.HeadDim
		case p == AttnQNorm:
			return 1, q
		}
		return 1, kv
	}
	return 1, c.Hidden
}

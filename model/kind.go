package model

import "fmt"

// Kind is one of the weight matrices of a block: a layer, as it is stored. What one tensor holds is one layer: q, k and v
// where they are fused (AttnQKV), gate and up where they are (then FFNUp has both, the gate first, as in GGUF), and all experts
// of a mixture, one below the other. No architecture has every kind: see Config.Kinds.
type Kind uint8

const (
	AttnQ Kind = iota
	AttnK
	AttnV
	AttnQKV
	AttnOutput
	FFNGate
	FFNUp
	FFNDown
	FFNGateExps // [experts·width, hidden]
	FFNUpExps   // [experts·width, hidden]
	FFNDownExps // [experts·hidden, width]
	FFNGateShexp
	FFNUpShexp
	FFNDownShexp
	NumKinds
)

var kindNames = [NumKinds]string{
	"attn_q", "attn_k", "attn_v", "attn_qkv", "attn_output", "ffn_gate", "ffn_up", "ffn_down",
	"ffn_gate_exps", "ffn_up_exps", "ffn_down_exps", "ffn_gate_shexp", "ffn_up_shexp", "ffn_down_shexp",
}

func (k Kind) String() string { return kindNames[k] }

// IsAttention says whether the kind belongs to the attention sublayer; otherwise it belongs to the MLP.
func (k Kind) IsAttention() bool { return k <= AttnOutput }

// Stacked says whether the kind holds the matrices of all experts.
func (k Kind) Stacked() bool { return k >= FFNGateExps && k <= FFNDownExps }

// Input is the kind that stands for all which have the same input, whether or not the block has it: AttnQ for what
// attention projects, FFNGate for everything that reads the MLP's input. Each token goes to the same number of experts, so
// the inputs of all experts together have the moments of the tokens.
func (k Kind) Input() Kind {
	switch k {
	case AttnK, AttnV, AttnQKV:
		return AttnQ
	case FFNUp, FFNGateExps, FFNUpExps, FFNGateShexp, FFNUpShexp:
		return FFNGate
	}
	return k
}

// LayerName is the name of a layer as GGUF writes it, without ".weight".
func LayerName(block int, k Kind) string { return tensorName(block, k.String()) }

// tensorName is GGUF's name of a tensor, without ".weight"; block -1 is outside the blocks.
func tensorName(block int, part string) string {
	if block < 0 {
		return part
	}
	return fmt.Sprintf("blk.%d.%s", block, part)
}

// Kinds lists the layers that each block of the model has.
func (c *Config) Kinds() []Kind {
	var list []Kind
	for k := range NumKinds {
		if c.design().layers[k] != "" {
			list = append(list, k)
		}
	}
	return list
}

// Shape is the layer's [rows, cols], outputs and inputs.
func (c *Config) Shape(k Kind) (rows, cols int) {
	switch k {
	case AttnQ:
		return c.Heads * c.HeadDim, c.Hidden
	case AttnK, AttnV:
		return c.KVHeads * c.HeadDim, c.Hidden
	case AttnQKV:
		return (c.Heads + 2*c.KVHeads) * c.HeadDim, c.Hidden
	case AttnOutput:
		return c.Hidden, c.Heads * c.HeadDim
	case FFNUp:
		if c.design().fusedGate {
			return 2 * c.MLP, c.Hidden
		}
		return c.MLP, c.Hidden
	case FFNGate:
		return c.MLP, c.Hidden
	case FFNDown:
		return c.Hidden, c.MLP
	case FFNGateExps, FFNUpExps:
		return c.Experts * c.ExpertMLP, c.Hidden
	case FFNDownExps:
		return c.Experts * c.Hidden, c.ExpertMLP
	case FFNGateShexp, FFNUpShexp:
		return c.SharedMLP, c.Hidden
	default:
		return c.Hidden, c.SharedMLP
	}
}

// LayerWeights is the number of weights in the layers of all blocks.
func (c *Config) LayerWeights() int64 {
	var n int64
	for _, k := range c.Kinds() {
		rows, cols := c.Shape(k)
		n += int64(rows) * int64(cols)
	}
	return n * int64(c.Blocks)
}

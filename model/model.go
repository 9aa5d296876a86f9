// Package model holds language models: the architectures, and the formats they come in.
//
// A Model is read-only after Open and may be used by any number of goroutines. Its weights stay in the representation in
// which they were stored, memory-mapped where they come from a file; a Runner unpacks them inside the multiply.
package model

import (
	"fmt"

	"github.com/finch-llm/finch/kernels"
	"github.com/finch-llm/finch/model/gguf"
	"github.com/finch-llm/finch/model/tokenizer"
)

// Config describes a decoder-only transformer of the Llama family.
type Config struct {
	Architecture string // "llama"
	Name         string
	Hidden       int // width of the residual stream
	MLP          int // width between up- and down-projection
	Heads        int // query heads
	KVHeads      int // key and value heads, shared by Heads/KVHeads query heads each
	HeadDim      int
	Blocks       int
	Vocab        int
	Context      int
	RopeTheta    float64
	NormEps      float64

	// RopeInterleaved says that rotary pairs are (2i, 2i+1), as GGUF stores Llama's q and k; else they are
	// (i, i+HeadDim/2), as Hugging Face does.
	RopeInterleaved bool

	// TiedHead says that the output head is the embedding matrix.
	TiedHead bool
}

// Kind is one of the weight matrices of a block.
type Kind uint8

const (
	AttnQ Kind = iota
	AttnK
	AttnV
	AttnOutput
	FFNGate
	FFNUp
	FFNDown
	NumKinds
)

var kindNames = [NumKinds]string{"attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"}

func (k Kind) String() string { return kindNames[k] }

// IsAttention says whether the kind belongs to the attention sublayer; otherwise it belongs to the MLP.
func (k Kind) IsAttention() bool { return k <= AttnOutput }

// Input is the kind that stands for all which have the same input: the first of attention's three projections, and of the
// MLP's two.
func (k Kind) Input() Kind {
	switch k {
	case AttnK, AttnV:
		return AttnQ
	case FFNUp:
		return FFNGate
	}
	return k
}

// LayerName is the name of a layer as GGUF writes it, without ".weight".
func LayerName(block int, k Kind) string { return fmt.Sprintf("blk.%d.%s", block, k) }

// Shape is the layer's [rows, cols], outputs and inputs.
func (c *Config) Shape(k Kind) (rows, cols int) {
	switch k {
	case AttnQ:
		return c.Heads * c.HeadDim, c.Hidden
	case AttnK, AttnV:
		return c.KVHeads * c.HeadDim, c.Hidden
	case AttnOutput:
		return c.Hidden, c.Heads * c.HeadDim
	case FFNGate, FFNUp:
		return c.MLP, c.Hidden
	default:
		return c.Hidden, c.MLP
	}
}

// Block is one transformer block: an attention and an MLP sublayer, each of which may be dropped; nothing then reads its
// norm and layers.
type Block struct {
	AttnNorm, MLPNorm []float32 // [hidden]
	Layers            [NumKinds]*kernels.Matrix
	DropAttn, DropMLP bool
}

// Drops says whether the block does without the sublayer that a layer of this kind belongs to.
func (b *Block) Drops(k Kind) bool {
	if k.IsAttention() {
		return b.DropAttn
	}
	return b.DropMLP
}

// Network is the part of a model that compression changes. The zero-cost way to make a candidate is to copy the blocks
// and replace pointers.
type Network struct {
	Blocks []Block
}

// Clone copies the blocks; the weights are shared.
func (n *Network) Clone() *Network {
	return &Network{Blocks: append([]Block(nil), n.Blocks...)}
}

// Model is a network with what surrounds it.
type Model struct {
	Config
	Network    Network
	Embedding  *kernels.Matrix // [vocab, hidden]
	Head       *kernels.Matrix // [vocab, hidden]; the embedding when tied
	OutputNorm []float32       // [hidden]
	Tokenizer  *tokenizer.Tokenizer

	Ref   string // as the user named it
	Hash  string // SHA-256 of what was read, hexadecimal
	Bytes int64  // of the weights as stored

	gguf          *gguf.File // the source, or nil
	configJSON    []byte     // of a Hugging Face source
	tokenizerJSON []byte     // of a Hugging Face source
	close         func() error
}

// Close unmaps the model's files. No Runner may use the model afterwards.
func (m *Model) Close() error {
	if m.close == nil {
		return nil
	}
	return m.close()
}

// LayerWeights is the number of weights in the layers of all blocks.
func (m *Model) LayerWeights() int64 {
	var n int64
	for k := range NumKinds {
		rows, cols := m.Shape(k)
		n += int64(rows) * int64(cols)
	}
	return n * int64(m.Blocks)
}

// validate checks that the configuration makes sense and that every tensor is there in the shape it says.
func (m *Model) validate() error {
	c := &m.Config
	positive := []struct {
		name  string
		value int
	}{
		{"hidden size", c.Hidden}, {"MLP size", c.MLP}, {"attention heads", c.Heads}, {"key/value heads", c.KVHeads},
		{"head dimension", c.HeadDim}, {"blocks", c.Blocks}, {"vocabulary", c.Vocab}, {"context length", c.Context},
	}
	for _, p := range positive {
		if p.value <= 0 || p.value > 1<<24 {
			return fmt.Errorf("%s: %s is %d", m.Ref, p.name, p.value)
		}
	}
	switch {
	case c.Heads%c.KVHeads != 0:
		return fmt.Errorf("%s: %d attention heads cannot share %d key/value heads evenly", m.Ref, c.Heads, c.KVHeads)
	case c.HeadDim%2 != 0:
		return fmt.Errorf("%s: head dimension %d is odd: rotary embedding needs pairs", m.Ref, c.HeadDim)
	case !(c.RopeTheta > 0) || !(c.NormEps > 0):
		return fmt.Errorf("%s: rope theta %v and norm epsilon %v must be positive", m.Ref, c.RopeTheta, c.NormEps)
	case c.Blocks > maxBlocks:
		return fmt.Errorf("%s: %d blocks are more than any model has: finch reads up to %d", m.Ref, c.Blocks, maxBlocks)
	}
	for b := range m.Network.Blocks {
		block := &m.Network.Blocks[b]
		for k := range NumKinds {
			rows, cols := c.Shape(k)
			if l := block.Layers[k]; !block.Drops(k) && (l.Rows != rows || l.Cols != cols) {
				return fmt.Errorf("%s: tensor %s.weight is [%d, %d], the configuration says [%d, %d]", m.Ref, LayerName(b, k), l.Rows, l.Cols, rows, cols)
			}
		}
	}
	for _, t := range []struct {
		name string
		m    *kernels.Matrix
	}{{"token_embd", m.Embedding}, {"output", m.Head}} {
		if t.m.Rows != c.Vocab || t.m.Cols != c.Hidden {
			return fmt.Errorf("%s: tensor %s.weight is [%d, %d], the configuration says [%d, %d]", m.Ref, t.name, t.m.Rows, t.m.Cols, c.Vocab, c.Hidden)
		}
	}
	return nil
}

// Package model holds language models: the architectures, and the formats they come in.
//
// A Model is read-only after Open and may be used by any number of goroutines. Its weights stay in the representation in
// which they were stored, memory-mapped where they come from a file; a Runner unpacks them inside the multiply.
package model

import (
	"github.com/finch-llm/finch/kernels"
	"github.com/finch-llm/finch/model/gguf"
	"github.com/finch-llm/finch/model/tokenizer"
)

// Config describes a decoder-only transformer. Its Architecture, with Experts, says what the blocks are made of.
type Config struct {
	Architecture string // general.architecture in GGUF: "llama"
	Name         string
	Hidden       int // width of the residual stream
	MLP          int // width between up- and down-projection
	Heads        int // query heads
	KVHeads      int // key and value heads, shared by Heads/KVHeads query heads each
	HeadDim      int
	Blocks       int
	Vocab        int
	Context      int
	NormEps      float64

	RopeTheta  float64
	LocalTheta float64      // of blocks with a window; 0: RopeTheta, with its scaling
	RotaryDim  int          // dimensions of each head that are rotated; 0: all
	Scaling    *RopeScaling // nil: none

	// RopeInterleaved says that rotary pairs are (2i, 2i+1), as GGUF stores Llama's q and k; else they are
	// (i, i+Rotary()/2), as Hugging Face does.
	RopeInterleaved bool

	Window           int     // tokens that Local blocks attend to, the last one included; 0: all
	AttentionScale   float64 // of scores; 0: 1/√HeadDim
	AttentionSoftcap float64 // scores s become c·tanh(s/c); 0: they do not
	FinalSoftcap     float64 // likewise the logits

	Experts     int  // of a mixture; 0: blocks have an MLP
	ExpertsUsed int  // by each token
	ExpertMLP   int  // width of each expert
	SharedMLP   int  // width of the expert that all tokens use
	NormTopK    bool // the weights of a token's experts are divided by their sum

	// Extra is the biases that only some models of the architecture have.
	Extra PartSet

	// TiedHead says that the output head is the embedding matrix.
	TiedHead bool
}

// Block is one transformer block: an attention and an MLP sublayer, each of which may be dropped; nothing then reads its
// parts and layers.
type Block struct {
	Parts             *Parts
	Layers            [NumKinds]*kernels.Matrix // nil: the architecture has none
	DropAttn, DropMLP bool
	Local             bool // attention sees no more than Config.Window
}

// Drops says whether the block does without the sublayer that a layer of this kind belongs to.
func (b *Block) Drops(k Kind) bool { return b.drops(k.IsAttention()) }

// drops says whether the block does without one of its sublayers.
func (b *Block) drops(attention bool) bool {
	if attention {
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
	Positions  *kernels.Matrix // [context, hidden], added to the embeddings; nil: none are learned
	Head       *kernels.Matrix // [vocab, hidden]; the embedding when tied
	OutputNorm []float32       // [hidden]
	OutputBias []float32       // [hidden], of the norm; nil: none
	Tokenizer  *tokenizer.Tokenizer

	Path  string // where it was opened: a file, a folder or Builtin
	Ref   string // as the user named it
	Hash  string // SHA-256 of what was read, hexadecimal
	Bytes int64  // of the weights as stored

	gguf       *gguf.File       // the source, or nil
	configJSON []byte           // of a Hugging Face source
	tokenizer  *tokenizer.Files // of a Hugging Face source
	close      func() error
}

// Close unmaps the model's files. No Runner may use the model afterwards.
func (m *Model) Close() error {
	if m.close == nil {
		return nil
	}
	return m.close()
}

package model

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// architecture describes a family of models: what its blocks consist of, what they compute, and how its sources name
// things. There is one forward pass, one reader for each source and one writer of metadata for all of them. What a description
// leaves out is as in Llama: RMS norm before each sublayer, rotary positions, SwiGLU, attention to everything before.
type architecture struct {
	gguf      string // general.architecture, which begins its metadata keys too
	modelType string // model_type in config.json

	// What a block consists of, by Hugging Face's names within it.
	layers   map[Kind]string // with %d for the expert where experts are stored one by one
	parts    map[Part]string
	optional map[Part]bool // parts that only some models have

	outside map[string]string // what is outside the blocks: GGUF's name to Hugging Face's
	stem    string            // what Hugging Face's names of a block's tensors begin with, with %d for the block

	keys     map[string]string // key of config.json that Llama uses to the one that stands for it here
	defaults string            // of a config.json that leaves keys out, where they are not Llama's
	usual    Config            // of a GGUF that leaves keys out, where they are not Llama's

	activation  activation
	layerNorm   bool    // instead of RMS norm
	learned     bool    // positions are learned, not rotary
	fusedGate   bool    // FFNUp is the gate and, below it, what is gated
	wideQKNorm  bool    // q and k are normalized as a whole, not for each head
	transposed  bool    // Hugging Face stores layers as [inputs, outputs]
	interleaved bool    // GGUF stores rotary pairs as (2i, 2i+1)
	normOffset  float32 // to be added to Hugging Face's norm weights
	normTopK    bool    // the weights of a token's experts are divided by their sum
	scaled      bool    // embeddings are multiplied by √hidden

	// Of a model with a window, the blocks that see everything, if the source does not list them: every globalEvery-th, those
	// below max_window_layers, or none.
	globalEvery  int
	windowsAbove bool

	// settings reads what only this architecture has in config.json, and refuses what the forward pass would get wrong.
	settings func(h *hfConfig, c *Config) error
	// wideScale is how many blocks the model has whose attention scores llama.cpp multiplies by 1/√(hidden/heads) rather than
	// 1/√head dimension: nothing in its metadata says so.
	wideScale int
}

// architectures are all that finch runs. Of two with the same name in GGUF the first reads it, and a mixture only mixtures.
var architectures = []*architecture{
	&llama, &mistral, &mixtral, &qwen2, &qwen2moe, &qwen3, &qwen3moe, &phi3, &gemma2, &gemma3, &gpt2, &olmo2, &olmoe, &starcoder2,
}

func (a *architecture) mixture() bool { return a.layers[FFNDownExps] != "" }

// design is the description of the model's architecture.
func (c *Config) design() *architecture {
	a := architectureOf(c.Architecture, c.Experts > 0)
	if a == nil {
		panic(fmt.Sprintf("model: architecture %q", c.Architecture))
	}
	return a
}

// architectureOf finds an architecture by its name in GGUF; nil: there is none.
func architectureOf(gguf string, mixture bool) *architecture {
	for _, a := range architectures {
		if a.gguf == gguf && a.mixture() == mixture {
			return a
		}
	}
	return nil
}

// known lists the names of all architectures in one of the sources.
func known(name func(*architecture) string) string {
	var names []string
	for _, a := range architectures {
		if n := name(a); !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// activation is the function between an MLP's matrices, applied to the gate if there is one.
type activation uint8

const (
	silu activation = iota
	geluTanh
)

// names are those of config.json.
func (a activation) names() []string {
	if a == geluTanh {
		return []string{"gelu_pytorch_tanh", "gelu_new"}
	}
	return []string{"silu"}
}

// The names that most architectures have in common.
var (
	separateQKV = map[Kind]string{
		AttnQ: "self_attn.q_proj", AttnK: "self_attn.k_proj", AttnV: "self_attn.v_proj", AttnOutput: "self_attn.o_proj",
	}
	gatedMLP   = map[Kind]string{FFNGate: "mlp.gate_proj", FFNUp: "mlp.up_proj", FFNDown: "mlp.down_proj"}
	experts    = map[Kind]string{FFNGateExps: "mlp.experts.%d.gate_proj", FFNUpExps: "mlp.experts.%d.up_proj", FFNDownExps: "mlp.experts.%d.down_proj"}
	normBefore = map[Part]string{AttnNorm: "input_layernorm.weight", FFNNorm: "post_attention_layernorm.weight"}
	qkNorm     = map[Part]string{AttnQNorm: "self_attn.q_norm.weight", AttnKNorm: "self_attn.k_norm.weight"}
	router     = map[Part]string{FFNRouter: "mlp.gate.weight"}

	qkvBias = map[Part]string{AttnQBias: "self_attn.q_proj.bias", AttnKBias: "self_attn.k_proj.bias", AttnVBias: "self_attn.v_proj.bias"}
	outBias = map[Part]string{AttnOutputBias: "self_attn.o_proj.bias"}

	aroundBlocks = map[string]string{tokenEmbedding: "model.embed_tokens.weight", outputNorm: "model.norm.weight", outputHead: "lm_head.weight"}
)

const blockStem = "model.layers.%d."

// GGUF's names of what is outside the blocks, without ".weight".
const (
	tokenEmbedding = "token_embd"
	positions      = "position_embd"
	outputNorm     = "output_norm"
	outputNormBias = "output_norm.bias"
	outputHead     = "output"
	ropeFactors    = "rope_freqs"
	ropeLong       = "rope_factors_long"
	ropeShort      = "rope_factors_short"
)

// union joins tables of names.
func union[K comparable, V any](tables ...map[K]V) map[K]V {
	all := map[K]V{}
	for _, t := range tables {
		maps.Copy(all, t)
	}
	return all
}

// every lists the parts of a table as optional.
func every(tables ...map[Part]string) map[Part]bool {
	all := map[Part]bool{}
	for p := range union(tables...) {
		all[p] = true
	}
	return all
}

package model

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"

	"github.com/finch-llm/finch/kernels"
	"github.com/finch-llm/finch/model/gguf"
	"github.com/finch-llm/finch/model/tokenizer"
)

// openGGUF maps a .gguf file.
func openGGUF(path string) (*Model, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return nil, err
	}
	m, err := fromGGUF(path, f)
	if err != nil {
		f.Close()
		return nil, err
	}
	m.close = f.Close
	return m, nil
}

// fromGGUF assembles a model from a parsed GGUF file.
func fromGGUF(ref string, f *gguf.File) (*Model, error) {
	f, without, err := fromDeci(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", ref, err)
	}
	c, err := ggufConfig(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", ref, err)
	}
	if c.Name == "" {
		c.Name = filepath.Base(ref)
	}
	m := &Model{Config: c, Ref: ref, gguf: f}
	if m.Tokenizer, err = tokenizer.FromGGUF(f); err != nil {
		return nil, fmt.Errorf("%s: %w", ref, err)
	}
	load := loader{ref: ref, hash: sha256.New(), find: func(name string) (*kernels.Matrix, error) {
		t, ok := f.Tensor(name)
		if !ok {
			return nil, fmt.Errorf("tensor %s is missing", name)
		}
		format, ok := t.Type.Format()
		if !ok {
			return nil, fmt.Errorf("tensor %s is stored as %s, which finch cannot multiply: convert the model again, with weights in f16 or a quantized type", name, t.Type)
		}
		// ggml lists the fastest dimension first.
		shape := make([]int, len(t.Dims))
		for i, d := range t.Dims {
			shape[len(shape)-1-i] = int(d)
		}
		return shaped(name, format, shape, t.Data)
	}}
	for _, kv := range f.Meta {
		load.hash.Write([]byte(kv.Key))
		load.hash.Write(kv.Value.Encoded())
	}
	m.Embedding = load.matrix("token_embd.weight")
	m.OutputNorm = load.vector("output_norm.weight", c.Hidden)
	m.Head = m.Embedding
	if !c.TiedHead {
		m.Head = load.matrix("output.weight")
	}
	for b := range load.blocks(c.Blocks) {
		m.Network.Blocks = append(m.Network.Blocks, load.block(b, c.Hidden, without))
	}
	if load.err != nil {
		return nil, load.err
	}
	if m.Vocab == 0 {
		m.Vocab = m.Embedding.Rows
	}
	if err := m.validate(); err != nil {
		return nil, err
	}
	names := func(yield func(string) bool) {
		for i := range f.Tensors {
			if !yield(f.Tensors[i].Name) {
				return
			}
		}
	}
	if err := load.finish(names, func(string) bool { return false }); err != nil {
		return nil, err
	}
	m.Hash, m.Bytes = hex.EncodeToString(load.hash.Sum(nil)), load.bytes
	return m, nil
}

// block loads a block, without the sublayers that it has lost.
func (l *loader) block(b, hidden int, without lost) Block {
	var block Block
	if without != nil {
		block.DropAttn, block.DropMLP = without[b].attn, without[b].mlp
	}
	there := func(k Kind) bool { return !block.Drops(k) || without.standsIn(b, k) }
	if there(AttnQ) {
		block.AttnNorm = l.vector(fmt.Sprintf("blk.%d.attn_norm.weight", b), hidden)
	}
	if there(FFNUp) {
		block.MLPNorm = l.vector(fmt.Sprintf("blk.%d.ffn_norm.weight", b), hidden)
	}
	for k := range NumKinds {
		block.Layers[k] = &kernels.Matrix{} // in place of what is dropped
		switch {
		case !block.Drops(k):
			block.Layers[k] = l.matrix(LayerName(b, k) + ".weight")
		case without.standsIn(b, k):
			l.standIn(b, k)
		}
	}
	return block
}

// ggufConfig reads the llama.* keys and refuses what the forward pass would get wrong.
func ggufConfig(f *gguf.File) (Config, error) {
	arch, _ := f.String("general.architecture")
	if arch != "llama" {
		return Config{}, fmt.Errorf("architecture %q is not known: finch runs \"llama\"", arch)
	}
	c := Config{Architecture: arch, RopeInterleaved: true, RopeTheta: 10000}
	c.Name, _ = f.String("general.name")
	for _, k := range []struct {
		key      string
		value    *int
		optional bool
	}{
		{"llama.embedding_length", &c.Hidden, false},
		{"llama.feed_forward_length", &c.MLP, false},
		{"llama.attention.head_count", &c.Heads, false},
		{"llama.attention.head_count_kv", &c.KVHeads, true},
		{"llama.attention.key_length", &c.HeadDim, true},
		{"llama.block_count", &c.Blocks, false},
		{"llama.context_length", &c.Context, false},
		{"llama.vocab_size", &c.Vocab, true},
	} {
		value, there := f.Get(k.key)
		if !there && k.optional {
			continue
		}
		v, ok := value.Uint()
		if !there || !ok || v > 1<<24 {
			return Config{}, fmt.Errorf("metadata key %s is missing, or not one whole number up to 2^24", k.key)
		}
		*k.value = int(v)
	}
	if c.KVHeads == 0 {
		c.KVHeads = c.Heads
	}
	if c.HeadDim == 0 && c.Heads > 0 {
		c.HeadDim = c.Hidden / c.Heads
	}
	var ok bool
	if c.NormEps, ok = f.Float("llama.attention.layer_norm_rms_epsilon"); !ok {
		return Config{}, fmt.Errorf("metadata key llama.attention.layer_norm_rms_epsilon is missing or no number")
	}
	if value, there := f.Get("llama.rope.freq_base"); there {
		if c.RopeTheta, ok = value.Float(); !ok {
			return Config{}, fmt.Errorf("metadata key llama.rope.freq_base is no number")
		}
	}
	if scaling, ok := f.String("llama.rope.scaling.type"); ok && scaling != "none" {
		return Config{}, fmt.Errorf("rope scaling %q is not supported: finch runs models without rope scaling", scaling)
	}
	if scale, ok := f.Float("llama.rope.scale_linear"); ok && scale != 1 {
		return Config{}, fmt.Errorf("llama.rope.scale_linear is %v: finch runs models without rope scaling", scale)
	}
	if _, ok := f.Tensor("rope_freqs.weight"); ok {
		return Config{}, fmt.Errorf("rope frequency factors (rope_freqs.weight) are not supported: finch runs models without rope scaling")
	}
	if dim, ok := f.Uint("llama.rope.dimension_count"); ok && int(dim) != c.HeadDim {
		return Config{}, fmt.Errorf("llama.rope.dimension_count is %d, the head dimension %d: partial rotary embedding is not supported", dim, c.HeadDim)
	}
	_, untied := f.Tensor("output.weight")
	c.TiedHead = !untied
	return c, nil
}

package model

import (
	"fmt"

	"github.com/finch-llm/finch/model/gguf"
)

// Metadata is the model's description and tokenizer in the keys of GGUF: those of the file it came from, or made from a
// Hugging Face folder.
func (m *Model) Metadata() ([]gguf.KV, error) {
	if m.gguf != nil {
		return m.gguf.Meta, nil
	}
	kv := []gguf.KV{
		{Key: "general.architecture", Value: gguf.ValueOf(m.Architecture)},
		{Key: "general.name", Value: gguf.ValueOf(m.Name)},
		{Key: "general.file_type", Value: gguf.ValueOf(uint32(0))},
		{Key: "general.quantization_version", Value: gguf.ValueOf(uint32(2))},
	}
	for _, k := range []struct {
		key   string
		value int
	}{
		{"block_count", m.Blocks}, {"context_length", m.Context}, {"embedding_length", m.Hidden},
		{"feed_forward_length", m.MLP}, {"attention.head_count", m.Heads}, {"attention.head_count_kv", m.KVHeads},
		{"attention.key_length", m.HeadDim}, {"attention.value_length", m.HeadDim}, {"rope.dimension_count", m.HeadDim},
		{"vocab_size", m.Vocab},
	} {
		kv = append(kv, gguf.KV{Key: m.Architecture + "." + k.key, Value: gguf.ValueOf(uint32(k.value))})
	}
	kv = append(kv,
		gguf.KV{Key: m.Architecture + ".attention.layer_norm_rms_epsilon", Value: gguf.ValueOf(float32(m.NormEps))},
		gguf.KV{Key: m.Architecture + ".rope.freq_base", Value: gguf.ValueOf(float32(m.RopeTheta))})
	tokens, err := m.Tokenizer.GGUF(m.Vocab)
	if err != nil {
		return nil, fmt.Errorf("%s: the tokenizer has no counterpart in GGUF: %w: use the model's GGUF", m.Ref, err)
	}
	return append(kv, tokens...), nil
}

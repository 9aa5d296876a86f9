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
	kv = append(kv, m.settings()...)
	tokens, err := m.Tokenizer.GGUF(m.Vocab)
	if err != nil {
		return nil, fmt.Errorf("%s: the tokenizer has no counterpart in GGUF: %w: use the model's GGUF", m.Ref, err)
	}
	return append(kv, tokens...), nil
}

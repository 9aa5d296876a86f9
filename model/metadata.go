package model

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

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
	tokens, err := m.tokenizerMetadata()
	if err != nil {
		return nil, fmt.Errorf("%s: tokenizer.json: %w", m.Ref, err)
	}
	return append(kv, tokens...), nil
}

// HuggingFace gives config.json and tokenizer.json of a model from a Hugging Face folder; they are nil for others.
func (m *Model) HuggingFace() (config, tokenizer []byte) { return m.configJSON, m.tokenizerJSON }

// GGUF's token types, of llama.cpp's llama_token_type.
const (
	normalToken      = int32(1)
	controlToken     = int32(3)
	userDefinedToken = int32(4)
	unusedToken      = int32(5)
)

// tokenizerMetadata writes a byte-level BPE tokenizer.json in the keys of GGUF.
func (m *Model) tokenizerMetadata() ([]gguf.KV, error) {
	var t struct {
		Model struct {
			Merges []json.RawMessage `json:"merges"`
		} `json:"model"`
		Added []struct {
			ID      int  `json:"id"`
			Special bool `json:"special"`
		} `json:"added_tokens"`
	}
	if err := json.Unmarshal(m.tokenizerJSON, &t); err != nil {
		return nil, err
	}
	pre, ok := m.Tokenizer.GGUFPre()
	if !ok {
		return nil, errors.New("it has no counterpart in GGUF that finch writes (a byte-level BPE tokenizer that splits text as a known model does): use the model's GGUF")
	}
	types := make([]int32, m.Vocab)
	tokens := make([]string, m.Vocab)
	for i := range tokens {
		if i < m.Tokenizer.Vocab() {
			tokens[i], types[i] = m.Tokenizer.Token(int32(i)), normalToken
		} else { // rows of padding in the embedding
			tokens[i], types[i] = fmt.Sprintf("[PAD%d]", i), unusedToken
		}
	}
	for _, a := range t.Added {
		if a.ID < 0 || a.ID >= len(types) {
			continue
		}
		types[a.ID] = userDefinedToken
		if a.Special {
			types[a.ID] = controlToken
		}
	}
	merges := make([]string, len(t.Model.Merges))
	for i, raw := range t.Model.Merges {
		var pair []string
		if err := json.Unmarshal(raw, &merges[i]); err == nil {
			continue
		}
		if err := json.Unmarshal(raw, &pair); err != nil || len(pair) != 2 {
			return nil, fmt.Errorf("merge %d is neither a text nor a pair", i)
		}
		merges[i] = strings.Join(pair, " ")
	}
	bos, addBOS := m.Tokenizer.BOS()
	kv := []gguf.KV{
		{Key: "tokenizer.ggml.model", Value: gguf.ValueOf("gpt2")},
		{Key: "tokenizer.ggml.pre", Value: gguf.ValueOf(pre)},
		{Key: "tokenizer.ggml.tokens", Value: gguf.ArrayOf(tokens)},
		{Key: "tokenizer.ggml.token_type", Value: gguf.ArrayOf(types)},
		{Key: "tokenizer.ggml.merges", Value: gguf.ArrayOf(merges)},
		{Key: "tokenizer.ggml.add_bos_token", Value: gguf.ValueOf(addBOS)},
	}
	if bos >= 0 {
		kv = append(kv, gguf.KV{Key: "tokenizer.ggml.bos_token_id", Value: gguf.ValueOf(uint32(bos))})
	}
	if eos := m.Tokenizer.EOS(); eos >= 0 {
		kv = append(kv, gguf.KV{Key: "tokenizer.ggml.eos_token_id", Value: gguf.ValueOf(uint32(eos))})
	}
	return kv, nil
}

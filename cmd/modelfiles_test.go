package cmd_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/finch-llm/finch/model"
	"github.com/finch-llm/finch/model/finchling"
	"github.com/finch-llm/finch/model/gguf"
	"github.com/finch-llm/finch/model/safetensors"
)

// config is the config.json of a small random model with finchling's tokenizer.
func config() map[string]any {
	return map[string]any{
		"model_type": "llama", "vocab_size": 4096, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
		"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 16, "max_position_embeddings": 256,
		"rms_norm_eps": 1e-5, "tie_word_embeddings": true, "bos_token_id": 0, "eos_token_id": 0,
	}
}

// tensors are the weights of config's model.
func tensors() safetensors.Header {
	var h safetensors.Header
	add := func(name string, shape ...int) {
		h.Tensors = append(h.Tensors, safetensors.TensorSpec{Name: "model." + name + ".weight", DType: safetensors.F32, Shape: shape})
	}
	add("embed_tokens", 4096, 32)
	add("norm", 32)
	for b := range 2 {
		for _, layer := range []struct {
			name  string
			shape []int
		}{
			{"input_layernorm", []int{32}}, {"post_attention_layernorm", []int{32}},
			{"self_attn.q_proj", []int{32, 32}}, {"self_attn.k_proj", []int{16, 32}}, {"self_attn.v_proj", []int{16, 32}},
			{"self_attn.o_proj", []int{32, 32}}, {"mlp.gate_proj", []int{64, 32}}, {"mlp.up_proj", []int{64, 32}},
			{"mlp.down_proj", []int{32, 64}},
		} {
			add(fmt.Sprintf("layers.%d.%s", b, layer.name), layer.shape...)
		}
	}
	return h
}

// folder writes a Hugging Face folder of these parts into dir.
func folder(t *testing.T, dir string, config map[string]any, tokenizer []byte, h safetensors.Header) {
	t.Helper()
	text, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "config.json", string(text))
	write(t, dir, "tokenizer.json", string(tokenizer))
	var file bytes.Buffer
	err = safetensors.Write(&file, h, func(i int, w io.Writer) error {
		size, err := h.Tensors[i].Size()
		if err != nil {
			return err
		}
		rng := rand.New(rand.NewPCG(1, uint64(i)))
		data := make([]byte, 0, size)
		for range size / 4 {
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(float32(rng.NormFloat64())))
		}
		_, err = w.Write(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "model.safetensors", file.String())
}

// soundFolder is a folder that finch loads.
func soundFolder(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	folder(t, dir, config(), finchling.Tokenizer, tensors())
	return dir
}

// ggufOf is the same model as a GGUF file, after a change of its header.
func ggufOf(t *testing.T, change func(*gguf.Header)) []byte {
	t.Helper()
	m, err := model.Open(soundFolder(t))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	meta, err := m.Metadata()
	if err != nil {
		t.Fatal(err)
	}
	h := gguf.Header{Meta: meta}
	add := func(name string, dims ...uint64) {
		h.Tensors = append(h.Tensors, gguf.TensorSpec{Name: name + ".weight", Dims: dims, Type: gguf.F32})
	}
	add("token_embd", 32, 4096)
	for b := range m.Blocks {
		add(fmt.Sprintf("blk.%d.attn_norm", b), 32)
		add(fmt.Sprintf("blk.%d.ffn_norm", b), 32)
		for _, k := range m.Kinds() {
			rows, cols := m.Shape(k)
			add(model.LayerName(b, k), uint64(cols), uint64(rows))
		}
	}
	add("output_norm", 32)
	change(&h)
	var file bytes.Buffer
	err = gguf.Write(&file, h, func(i int, w io.Writer) error {
		size, err := h.Tensors[i].Size()
		if err != nil {
			return err
		}
		one := binary.LittleEndian.AppendUint32(nil, 0x3e000000) // 0.125
		_, err = w.Write(bytes.Repeat(one, int(size/4)))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

func set(key string, v gguf.Value) func(*gguf.Header) {
	return func(h *gguf.Header) {
		without(key)(h)
		h.Meta = append(h.Meta, gguf.KV{Key: key, Value: v})
	}
}

func without(key string) func(*gguf.Header) {
	return func(h *gguf.Header) {
		var kept []gguf.KV
		for _, kv := range h.Meta {
			if kv.Key != key {
				kept = append(kept, kv)
			}
		}
		h.Meta = kept
	}
}

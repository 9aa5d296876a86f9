package testmodel

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/finch-llm/finch/kernels"
	"github.com/finch-llm/finch/model"
	"github.com/finch-llm/finch/model/gguf"
	"github.com/finch-llm/finch/model/safetensors"
)

// Vocab is the least vocabulary of a model that Folder or GGUF writes: that of their tokenizer.
const Vocab = 260

// hfNames are Hugging Face's names of the layers of a block.
var hfNames = [model.NumKinds]string{
	model.AttnQ: "self_attn.q_proj", model.AttnK: "self_attn.k_proj", model.AttnV: "self_attn.v_proj", model.AttnOutput: "self_attn.o_proj",
	model.FFNGate: "mlp.gate_proj", model.FFNUp: "mlp.up_proj", model.FFNDown: "mlp.down_proj",
}

// Folder writes a model with weights in f32, f16 or bf16 as a Hugging Face folder.
func Folder(t testing.TB, m *model.Model) (dir string) {
	t.Helper()
	dir = t.TempDir()
	config, err := json.Marshal(map[string]any{
		"model_type": "llama", "_name_or_path": m.Name, "vocab_size": m.Vocab, "hidden_size": m.Hidden, "intermediate_size": m.MLP,
		"num_hidden_layers": m.Blocks, "num_attention_heads": m.Heads, "num_key_value_heads": m.KVHeads, "head_dim": m.HeadDim,
		"max_position_embeddings": m.Context, "rope_theta": m.RopeTheta, "rms_norm_eps": m.NormEps,
		"tie_word_embeddings": m.TiedHead, "hidden_act": "silu",
	})
	if err != nil {
		t.Fatal(err)
	}
	var h safetensors.Header
	var data [][]byte
	add := func(name string, w *kernels.Matrix, shape ...int) {
		h.Tensors = append(h.Tensors, safetensors.TensorSpec{Name: name + ".weight", DType: safetensors.DType(strings.ToUpper(w.Format.String())), Shape: shape})
		data = append(data, w.Data)
	}
	for _, e := range m.Tensors(&m.Network) {
		name := map[string]string{
			"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head",
			"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
		}[e.Part]
		for _, k := range m.Kinds() {
			if e.Part == k.String() {
				name = hfNames[k]
			}
		}
		if e.Block >= 0 {
			name = fmt.Sprintf("model.layers.%d.%s", e.Block, name)
		}
		if w := e.Matrix; e.Vector {
			add(name, w, w.Cols)
		} else {
			add(name, w, w.Rows, w.Cols)
		}
	}
	var weights bytes.Buffer
	err = safetensors.Write(&weights, h, func(i int, w io.Writer) error {
		_, err := w.Write(data[i])
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"config.json": config, "tokenizer.json": tokenizer(t), "model.safetensors": weights.Bytes()} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// GGUF writes a model in the formats that it is stored in as a GGUF file, the rows of q and k as they are, with more
// metadata if given.
func GGUF(t testing.TB, m *model.Model, more ...gguf.KV) (path string) {
	t.Helper()
	described, err := model.Open(Folder(t, Llama(1, m.Blocks, m.Hidden, m.MLP, m.Vocab)))
	if err != nil {
		t.Fatal(err)
	}
	defer described.Close()
	meta, err := described.Metadata()
	if err != nil {
		t.Fatal(err)
	}
	h := gguf.Header{Meta: append(meta, more...)}
	var data [][]byte
	for _, e := range m.Tensors(&m.Network) {
		w := e.Matrix
		dims := []uint64{uint64(w.Cols), uint64(w.Rows)}
		if e.Vector {
			dims = dims[:1]
		}
		kind, ok := gguf.TypeOf(w.Format)
		if !ok {
			t.Fatalf("%s is stored in %v, which is no type of GGUF", e.Name(), w.Format)
		}
		h.Tensors = append(h.Tensors, gguf.TensorSpec{Name: e.Name() + ".weight", Dims: dims, Type: kind})
		data = append(data, w.Data)
	}
	var file bytes.Buffer
	err = gguf.Write(&file, h, func(i int, w io.Writer) error {
		_, err := w.Write(data[i])
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "model.gguf")
	if err := os.WriteFile(path, file.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// tokenizer is a byte-level BPE tokenizer.json: every byte, three merges and a special token.
func tokenizer(t testing.TB) []byte {
	t.Helper()
	vocab := map[string]int{"<|endoftext|>": 0}
	shifted := rune(256) // GPT-2 writes bytes that are no visible characters as those from U+0100 on
	for b := range rune(256) {
		if b >= '!' && b <= '~' || b >= 0xa1 && b <= 0xac || b >= 0xae {
			vocab[string(b)] = len(vocab)
		} else {
			vocab[string(shifted)] = len(vocab)
			shifted++
		}
	}
	merges := [][2]string{{"t", "h"}, {"th", "e"}, {"Ġ", "a"}}
	for _, m := range merges {
		vocab[m[0]+m[1]] = len(vocab)
	}
	text, err := json.Marshal(map[string]any{
		"version":       "1.0",
		"added_tokens":  []any{map[string]any{"id": 0, "content": "<|endoftext|>", "special": true}},
		"pre_tokenizer": map[string]any{"type": "ByteLevel", "add_prefix_space": false},
		"decoder":       map[string]any{"type": "ByteLevel"},
		"model":         map[string]any{"type": "BPE", "vocab": vocab, "merges": merges},
	})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

package cmd_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/finch-llm/finch/model/finchling"
	"github.com/finch-llm/finch/model/gguf"
	"github.com/finch-llm/finch/model/safetensors"
)

// using are the commands that open a model; inspect does not assemble it from a GGUF file.
func using(ref string) [][]string {
	return [][]string{
		{"eval", ref, "--context", "64", "--chunks", "2"},
		{"generate", ref, "--prompt", "Call me", "--tokens", "4"},
		{"inspect", ref},
	}
}

func TestSoundModels(t *testing.T) {
	file := filepath.Join(t.TempDir(), "model.gguf")
	write(t, filepath.Dir(file), "model.gguf", string(ggufOf(t, func(*gguf.Header) {})))
	for _, ref := range []string{soundFolder(t), file, "builtin:finchling"} {
		for _, args := range using(ref) {
			if r := inProcess(args...); r.code != 0 || r.stdout == "" || r.stderr != "" {
				t.Errorf("finch %s: exit code %d\n%s%s", strings.Join(args, " "), r.code, r.stdout, r.stderr)
			}
		}
	}
}

// TestTruncated cuts model files short.
func TestTruncated(t *testing.T) {
	whole := ggufOf(t, func(*gguf.Header) {})
	sound := soundFolder(t)
	weights, err := os.ReadFile(filepath.Join(sound, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 0))
	lengths := func(n int) []int {
		list := []int{0, 1, 4, 7, 8, 9, 24, n / 4, n / 2, n - 64, n - 1}
		for range 8 {
			list = append(list, rng.IntN(n))
		}
		return list
	}
	dir := t.TempDir()
	for _, n := range lengths(len(whole)) {
		write(t, dir, "cut.gguf", string(whole[:n]))
		for _, args := range using(filepath.Join(dir, "cut.gguf")) {
			inProcess(args...).fails(t, 1, "cut.gguf")
		}
	}
	for _, n := range lengths(len(weights)) {
		write(t, sound, "model.safetensors", string(weights[:n]))
		for _, args := range using(sound) {
			inProcess(args...).fails(t, 1, "model.safetensors")
		}
	}
}

// corrupt GGUF headers that hold together as a file, and what finch says of them.
var corrupt = []struct {
	name, says string
	change     func(*gguf.Header)
}{
	{"architecture", `"mamba"`, set("general.architecture", gguf.ValueOf("mamba"))},
	{"no architecture", "architecture", without("general.architecture")},
	{"no blocks", "llama.block_count", without("llama.block_count")},
	{"text for a number", "llama.block_count", set("llama.block_count", gguf.ValueOf("2"))},
	{"0 blocks", "blocks", set("llama.block_count", gguf.ValueOf(uint32(0)))},
	{"3 blocks", "blk.2.attn_norm.weight", set("llama.block_count", gguf.ValueOf(uint32(3)))},
	{"100000 blocks", "blocks", set("llama.block_count", gguf.ValueOf(uint32(100_000)))},
	{"2^32 blocks", "llama.block_count", set("llama.block_count", gguf.ValueOf(uint64(1)<<32))},
	{"0 heads", "attention heads", set("llama.attention.head_count", gguf.ValueOf(uint32(0)))},
	{"3 heads", "attn_q", set("llama.attention.head_count", gguf.ValueOf(uint32(3)))},
	{"other width", "norm.weight", set("llama.embedding_length", gguf.ValueOf(uint32(64)))},
	{"other MLP", "ffn_gate", set("llama.feed_forward_length", gguf.ValueOf(uint32(128)))},
	{"0 context", "context", set("llama.context_length", gguf.ValueOf(uint32(0)))},
	{"other vocabulary", "token_embd.weight", set("llama.vocab_size", gguf.ValueOf(uint32(5000)))},
	{"epsilon", "epsilon", set("llama.attention.layer_norm_rms_epsilon", gguf.ValueOf(float32(0)))},
	{"rope", "rope", set("llama.rope.freq_base", gguf.ValueOf(float32(-1)))},
	{"tokenizer", `"wordpiece"`, set("tokenizer.ggml.model", gguf.ValueOf("wordpiece"))},
	{"no tokenizer", "tokenizer.ggml.model", without("tokenizer.ggml.model")},
	{"no tokens", "tokenizer.ggml.tokens", without("tokenizer.ggml.tokens")},
	{"merges", "merge", set("tokenizer.ggml.merges", gguf.ArrayOf([]string{"no-space"}))},
	{"no weights", "token_embd.weight", func(h *gguf.Header) { h.Tensors = nil }},
	{"no last norm", "output_norm.weight", func(h *gguf.Header) { h.Tensors = h.Tensors[:len(h.Tensors)-1] }},
	{"type", "finch cannot multiply", func(h *gguf.Header) { h.Tensors[3].Type = gguf.I32 }},
}

func TestCorruptGGUF(t *testing.T) {
	for _, test := range corrupt {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, "corrupt.gguf", string(ggufOf(t, test.change)))
			for _, args := range using(filepath.Join(dir, "corrupt.gguf"))[:2] {
				inProcess(args...).fails(t, 1, "corrupt.gguf", test.says)
			}
		})
	}
}

// TestFlippedGGUF changes single bits of the header: finch may not notice, but must not panic, and must explain.
func TestFlippedGGUF(t *testing.T) {
	whole := ggufOf(t, func(*gguf.Header) {})
	rng := rand.New(rand.NewPCG(1, 0))
	dir := t.TempDir()
	for i := range 40 {
		at := rng.IntN(200)
		if i%2 == 0 {
			at = rng.IntN(len(whole) / 3)
		}
		flipped := bytes.Clone(whole)
		flipped[at] ^= 1 << rng.IntN(8)
		write(t, dir, "flipped.gguf", string(flipped))
		for _, args := range using(filepath.Join(dir, "flipped.gguf")) {
			r := inProcess(args...)
			if r.code == 0 {
				continue
			}
			if r.explains(t, "flipped.gguf"); r.code != 1 || t.Failed() {
				t.Fatalf("byte %d, finch %s: exit code %d", at, args[0], r.code)
			}
		}
	}
}

// TestGreedy are counts in a header that promise more than the file has: they must not be believed.
func TestGreedy(t *testing.T) {
	le := binary.LittleEndian
	header := func(tensors, values uint64) []byte {
		b := le.AppendUint32([]byte("GGUF"), 3)
		return le.AppendUint64(le.AppendUint64(b, tensors), values)
	}
	text := func(b []byte, n uint64) []byte { return append(le.AppendUint64(b, n), "key"...) }
	array := le.AppendUint32(le.AppendUint32(text(header(0, 1), 3), 9), 8) // an array of strings
	for name, data := range map[string][]byte{
		"tensors.gguf":  header(1<<60, 0),
		"values.gguf":   header(0, 1<<60),
		"key.gguf":      text(header(0, 1), 1<<60),
		"array.gguf":    le.AppendUint64(array, 1<<60),
		"array32.gguf":  le.AppendUint64(array, 1<<32),
		"version.gguf":  append([]byte("GGUF\x09\x00\x00\x00"), make([]byte, 1<<16)...),
		"nothing.gguf":  make([]byte, 1<<16),
		"big.gguf":      append([]byte("GGUF\x00\x00\x00\x03"), make([]byte, 1<<16)...),
		"tensors2.gguf": append(header(1<<40, 0), make([]byte, 1<<20)...),
	} {
		dir := t.TempDir()
		write(t, dir, name, string(data))
		frugal(t, dir, name, "inspect", filepath.Join(dir, name))
	}
	for name, data := range map[string][]byte{
		"length":    le.AppendUint64(nil, 1<<60),
		"length 32": append(le.AppendUint64(nil, 1<<32), make([]byte, 1<<16)...),
		"shape": append(le.AppendUint64(nil, 96),
			[]byte(fmt.Sprintf("%-96s", `{"model.norm.weight":{"dtype":"F32","shape":[1099511627776],"data_offsets":[0,4398046511104]}}`))...),
		"nested": append(le.AppendUint64(nil, 1<<16), bytes.Repeat([]byte("["), 1<<16)...),
	} {
		dir := soundFolder(t)
		write(t, dir, "model.safetensors", string(data))
		t.Log(name)
		frugal(t, dir, "model.safetensors", "eval", dir)
	}
}

// frugal wants a command to fail, naming a file, and to allocate no more than 4 times what the folder holds and 16 MiB.
func frugal(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	limit := uint64(16 << 20)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		limit += 4 * uint64(info.Size())
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r := inProcess(args...)
	runtime.ReadMemStats(&after)
	r.fails(t, 1, name)
	if used := after.TotalAlloc - before.TotalAlloc; used > limit {
		t.Errorf("%s: allocated %d bytes, %d are allowed", name, used, limit)
	}
}

// TestCorruptFolder breaks a Hugging Face folder.
func TestCorruptFolder(t *testing.T) {
	with := func(key string, value any) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			c := maps.Clone(config())
			c[key] = value
			folder(t, dir, c, finchling.Tokenizer, tensors())
		}
	}
	file := func(name, content string) func(*testing.T, string) {
		return func(t *testing.T, dir string) { write(t, dir, name, content) }
	}
	remove := func(name string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, test := range []struct {
		name, says string
		change     func(t *testing.T, dir string)
	}{
		{"no config", "config.json", remove("config.json")},
		{"no tokenizer", "tokenizer.json", remove("tokenizer.json")},
		{"no weights", "safetensors", remove("model.safetensors")},
		{"config is no JSON", "config.json", file("config.json", "{")},
		{"config is a list", "config.json", file("config.json", "[]")},
		{"tokenizer is no JSON", "tokenizer.json", file("tokenizer.json", "<html>\n")},
		{"tokenizer is empty", "tokenizer.json", file("tokenizer.json", "{}")},
		{"other model", `"mamba"`, with("model_type", "mamba")},
		{"no heads", "num_attention_heads", with("num_attention_heads", 0)},
		{"3 blocks", "model.layers.2", with("num_hidden_layers", 3)},
		{"-1 blocks", "blocks", with("num_hidden_layers", -1)},
		{"100000 blocks", "blocks", with("num_hidden_layers", 100_000)},
		{"other width", "norm", with("hidden_size", 64)},
		{"untied", "lm_head.weight", with("tie_word_embeddings", false)},
		{"quantized", "quantized already", with("quantization_config", map[string]any{"bits": 4})},
		{"rope scaling", "rope scaling", with("rope_scaling", map[string]any{"rope_type": "yarn"})},
		{"a tensor less", "post_attention_layernorm", func(t *testing.T, dir string) {
			h := tensors()
			for i := range h.Tensors {
				if strings.HasSuffix(h.Tensors[i].Name, "1.post_attention_layernorm.weight") {
					h.Tensors[i].Name = "other"
				}
			}
			folder(t, dir, config(), finchling.Tokenizer, h)
		}},
		{"type", "I32", func(t *testing.T, dir string) {
			h := tensors()
			h.Tensors[0].DType = safetensors.I32
			folder(t, dir, config(), finchling.Tokenizer, h)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := soundFolder(t)
			test.change(t, dir)
			for _, args := range using(dir) {
				inProcess(args...).fails(t, 1, test.says)
			}
		})
	}
}

// TestNoModel names what is no model.
func TestNoModel(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "notes.txt", "Call me Ishmael.\n")
	for _, c := range []struct {
		ref, says string
		exit      int
	}{
		{"nowhere.gguf", "builtin:finchling", 2}, {"builtin:sparrow", "builtin:finchling", 2}, {"", "builtin:finchling", 2},
		{"notes.txt", "GGUF", 1}, {".", "config.json", 1},
	} {
		for _, args := range using(c.ref) {
			finch(t, dir, args...).fails(t, c.exit, c.says)
		}
	}
}

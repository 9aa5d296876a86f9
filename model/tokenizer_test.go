package model

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/finch-llm/finch/model/gguf"
)

// A folder with tokenizer.model and no tokenizer.json opens, and its metadata has the tokenizer.
func TestFolderWithTokenizerModel(t *testing.T) {
	dir := t.TempDir()
	for to, from := range map[string]string{
		"config.json": "testdata/tiny-llama/config.json", "model.safetensors": "testdata/tiny-llama/model.safetensors",
		"tokenizer.model": "tokenizer/testdata/sentencepiece/llama.model",
	} {
		data, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, to), data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	m, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if text := m.Tokenizer.Decode(m.Tokenizer.Encode("It is a truth")); text != "It is a truth" {
		t.Errorf("the text comes back as %q", text)
	}
	kv, err := m.Metadata()
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]gguf.Value{
		"tokenizer.ggml.model": gguf.ValueOf("llama"), "tokenizer.ggml.add_space_prefix": gguf.ValueOf(true), "tokenizer.ggml.unknown_token_id": gguf.ValueOf(uint32(0)),
	} {
		if i := slices.IndexFunc(kv, func(kv gguf.KV) bool { return kv.Key == key }); i < 0 || !kv[i].Value.Equal(want) {
			t.Errorf("the key %s is not there, or another value than %v", key, want)
		}
	}
}

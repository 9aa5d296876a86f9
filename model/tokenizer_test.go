package model

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/finch-llm/finch/model/gguf"
	"github.com/finch-llm/finch/model/tokenizer"
)

// A folder with tokenizer.model and no tokenizer.json opens, and its metadata has the tokenizer.
func TestFolderWithTokenizerModel(t *testing.T) {
	m := withTokenizerModel(t, nil)
	if text := m.Tokenizer.Decode(m.Tokenizer.Encode("It is a truth")); text != "It is a truth" {
		t.Errorf("the text comes back as %q", text)
	}
	kv, err := m.Metadata()
	if err != nil {
		t.Fatal(err)
	}
	wantKeys(t, kv, map[string]gguf.Value{
		"tokenizer.ggml.model": gguf.ValueOf("llama"), "tokenizer.ggml.add_space_prefix": gguf.ValueOf(true), "tokenizer.ggml.unknown_token_id": gguf.ValueOf(uint32(0)),
	})
}

// A folder's template of a chat and all tokens that end an answer go to the metadata, and come back.
func TestChat(t *testing.T) {
	const template = "{{ messages[0].content }}"
	type files = map[string]string
	for name, c := range map[string]struct {
		files    files
		changes  map[string]any
		template string
		ends     []uint32 // EOS first, then as GGUF has them: eom, eot
	}{
		"nothing":       {nil, map[string]any{"eos_token_id": 2}, "", []uint32{2}},
		"file":          {files{"chat_template.jinja": template, "tokenizer_config.json": `{"chat_template": "older"}`}, map[string]any{"eos_token_id": []int{2}}, template, []uint32{2}},
		"configuration": {files{"tokenizer_config.json": `{"chat_template": "` + template + `"}`}, map[string]any{"eos_token_id": []int{2, 5}}, template, []uint32{2, 5}},
		"named templates": {files{"tokenizer_config.json": `{"chat_template": [{"name": "tool_use", "template": "other"}, {"name": "default", "template": "` + template + `"}]}`},
			map[string]any{"eos_token_id": []int{5, 6, 7}}, template, []uint32{5, 6, 7}},
		"settings of generation": {files{"generation_config.json": `{"eos_token_id": [5, 2]}`}, map[string]any{"eos_token_id": 2}, "", []uint32{2, 5}},
		"one end again":          {files{"generation_config.json": `{"eos_token_id": 2}`}, map[string]any{"eos_token_id": 2}, "", []uint32{2}},
		"no such token":          {nil, map[string]any{"eos_token_id": []int{2, 100_000, -1}}, "", []uint32{2}},
	} {
		t.Run(name, func(t *testing.T) {
			c.files = union(c.files, files{"config.json": string(tiny(t, c.changes))})
			kv, err := withTokenizerModel(t, c.files).Metadata()
			if err != nil {
				t.Fatal(err)
			}
			want := map[string]gguf.Value{"tokenizer.ggml.eos_token_id": gguf.ValueOf(c.ends[0])}
			if c.template != "" {
				want["tokenizer.chat_template"] = gguf.ValueOf(c.template)
			}
			if n := len(c.ends); n > 1 {
				want["tokenizer.ggml.eot_token_id"] = gguf.ValueOf(c.ends[n-1])
				if n > 2 {
					want["tokenizer.ggml.eom_token_id"] = gguf.ValueOf(c.ends[n-2])
				}
			}
			wantKeys(t, kv, want)
			for _, of := range kv {
				if _, ok := want[of.Key]; !ok && (of.Key == "tokenizer.chat_template" || strings.HasPrefix(of.Key, "tokenizer.ggml.eo")) {
					t.Errorf("there is a key %s", of.Key)
				}
			}
			var b bytes.Buffer
			if err := gguf.Write(&b, gguf.Header{Meta: kv}, nil); err != nil {
				t.Fatal(err)
			}
			f, err := gguf.Parse(b.Bytes(), name)
			if err != nil {
				t.Fatal(err)
			}
			again, err := tokenizer.FromGGUF(f)
			if err != nil {
				t.Fatal(err)
			}
			for id := range uint32(10) {
				if again.Ends(int32(id)) != slices.Contains(c.ends, id) {
					t.Errorf("token %d ends the text: %t", id, again.Ends(int32(id)))
				}
			}
		})
	}
}

// withTokenizerModel opens a copy of the tiny Llama with a tokenizer.model and other files.
func withTokenizerModel(t *testing.T, files map[string]string) *Model {
	t.Helper()
	dir := t.TempDir()
	for to, from := range map[string]string{
		"config.json": "testdata/tiny-llama/config.json", "model.safetensors": "testdata/tiny-llama/model.safetensors",
		"tokenizer.model": "tokenizer/testdata/sentencepiece/llama.model",
	} {
		data, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		files = union(map[string]string{to: string(data)}, files)
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	m, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

func wantKeys(t *testing.T, kv []gguf.KV, keys map[string]gguf.Value) {
	t.Helper()
	for key, want := range keys {
		if i := slices.IndexFunc(kv, func(kv gguf.KV) bool { return kv.Key == key }); i < 0 || !kv[i].Value.Equal(want) {
			t.Errorf("the key %s is not there, or another value than %v", key, want)
		}
	}
}

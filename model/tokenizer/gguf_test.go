package tokenizer

import (
	"encoding/json"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
)

// ggufOf writes a small byte-level tokenizer.json as GGUF metadata.
func ggufOf(t *testing.T, path, pre string) metadata {
	t.Helper()
	var f struct {
		Added []addedToken `json:"added_tokens"`
		Model struct {
			Vocab  map[string]int
			Merges [][2]string
		}
	}
	readJSON(t, path, &f)
	for _, a := range f.Added {
		f.Model.Vocab[a.Content] = int(a.ID)
	}
	tokens := make([]string, len(f.Model.Vocab))
	types := make([]int64, len(tokens))
	for token, id := range f.Model.Vocab {
		tokens[id], types[id] = token, int64(normalToken)
	}
	for _, a := range f.Added {
		types[a.ID] = int64(controlToken)
	}
	merges := make([]string, len(f.Model.Merges))
	for i, m := range f.Model.Merges {
		merges[i] = m[0] + " " + m[1]
	}
	return metadata{
		"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": pre, "tokenizer.ggml.tokens": tokens, "tokenizer.ggml.token_type": types,
		"tokenizer.ggml.merges": merges, "tokenizer.ggml.bos_token_id": uint64(0), "tokenizer.ggml.eos_token_id": uint64(0),
	}
}

// The named pre-tokenizers of GGUF do what the tokenizer.json of their model does.
func TestGGUFPreTokenizers(t *testing.T) {
	for pre, name := range map[string]string{
		"smollm": "digits", "llama-bpe": "llama3", "smaug-bpe": "cl100k", "qwen35": "qwen35", "gpt-4o": "gpt4o", "tekken": "tekken",
	} {
		t.Run(pre, func(t *testing.T) {
			tok, err := FromGGUF(ggufOf(t, "testdata/"+name+".tokenizer.json", pre))
			if err != nil {
				t.Fatal(err)
			}
			checkGolden(t, tok, name)
			if _, add := tok.BOS(); add != (pre == "llama-bpe" || pre == "tekken") {
				t.Errorf("BOS is added: %v", add)
			}
		})
	}
}

func pieces(s splitter, text string) []string {
	var out []string
	s(text, true, func(piece string, _ bool) { out = append(out, piece) })
	return out
}

// llama.cpp's default, for files that name no pre-tokenizer.
func TestGGUFDefaultPreTokenizer(t *testing.T) {
	p, err := findPre("default")
	if err != nil {
		t.Fatal(err)
	}
	split := p.splitter()
	for text, want := range map[string][]string{
		"Hello, world!  12345 a+b": {"Hello", ",", " world", "!", " ", " ", "123", "45", " a", "+", "b"},
		"it's $5":                  {"it", "'", "s", " ", "$", "5"},
		"x\n\n y":                  {"x", "\n\n", " y"},
	} {
		if got := pieces(split, text); !slices.Equal(got, want) {
			t.Errorf("%q is split into %q, want %q", text, got, want)
		}
	}
}

// A tokenizer.json is recognised by what it does, and one that GGUF has no name for is not taken for another.
func TestGGUFPre(t *testing.T) {
	for i := range pres {
		for j := range pres[:i] {
			a, b := &pres[i], &pres[j]
			if a.ignoreMerges == b.ignoreMerges && slices.Equal(splitTellTale(a.normalize, a.splitter()), splitTellTale(b.normalize, b.splitter())) {
				t.Errorf("%s and %s split the text alike", a.names[0], b.names[0])
			}
		}
	}
	for name, want := range map[string]string{
		"gpt2split": "gpt-2", "digits": "smollm", "llama3": "llama-bpe", "cl100k": "dbrx", "qwen2": "qwen2", "qwen35": "qwen35", "gpt4o": "gpt-4o",
		"deepseek": "deepseek-v3", "tekken": "tekken", "gpt2": "" /* a space in front */, "llama2": "", "gemma": "", "metaspace": "", "behaviors": "", "numbers": "",
	} {
		path := "testdata/" + name + ".tokenizer.json"
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		tok, err := FromJSON(data, path)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := tok.GGUFPre(); got != want || ok != (want != "") {
			t.Errorf("%s: %q, %v, want %q", name, got, ok, want)
		}
	}
}

func TestGGUFErrors(t *testing.T) {
	good := metadata{
		"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "gpt-2", "tokenizer.ggml.tokens": []string{"a", "b", "ab"},
		"tokenizer.ggml.merges": []string{"a b"},
	}
	llama := metadata{
		"tokenizer.ggml.model": "llama", "tokenizer.ggml.tokens": []string{"a", "b"}, "tokenizer.ggml.scores": []float64{0, -1},
		"tokenizer.ggml.token_type": []int64{1, 1},
	}
	for _, m := range []metadata{good, llama} {
		if _, err := FromGGUF(m); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name string
		base metadata
		key  string
		val  any // nil: the key is missing
		want string
	}{
		{"no model", good, "model", nil, "tokenizer.ggml.model is missing"},
		{"other model", good, "model", "t5", `"t5" is not supported (known: gpt2, llama)`},
		{"no tokens", good, "tokens", nil, "tokenizer.ggml.tokens is missing"},
		{"same token twice", good, "tokens", []string{"a", "a"}, `tokens 0 and 1 are both "a"`},
		{"unknown pre-tokenizer", good, "pre", "viking", `"viking" is not supported (known: gpt-2, `},
		{"no merges", good, "merges", nil, "tokenizer.ggml.merges is missing"},
		{"half a merge", good, "merges", []string{"ab"}, "not two tokens"},
		{"merge of three", good, "merges", []string{"a b c"}, "not two tokens"},
		{"merge of an unknown token", good, "merges", []string{"a c"}, `"c" is not in the vocabulary`},
		{"merge into an unknown token", good, "merges", []string{"b a"}, `"ba" is not in the vocabulary`},
		{"types of another length", good, "token_type", []int64{1}, "1 entries for 3 tokens"},
		{"no scores", llama, "scores", nil, "0 entries for 2 tokens"},
		{"score that is no number", llama, "scores", []float64{0, math.NaN()}, "score of token 1"},
		{"unknown type", llama, "token_type", []int64{1, 9}, "unknown type 9"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := maps.Clone(c.base)
			delete(m, "tokenizer.ggml."+c.key)
			if c.val != nil {
				m["tokenizer.ggml."+c.key] = c.val
			}
			_, err := FromGGUF(m)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

func TestSentencePieceTies(t *testing.T) {
	tok, err := FromGGUF(metadata{
		"tokenizer.ggml.model": "llama", "tokenizer.ggml.tokens": []string{"<unk>", "a", "b", "ab", "ba", "aba"},
		"tokenizer.ggml.scores": []float64{0, 0, 0, -1, -1, -2}, "tokenizer.ggml.token_type": []int64{2, 1, 1, 1, 1, 1},
		"tokenizer.ggml.add_space_prefix": false, "tokenizer.ggml.bos_token_id": uint64(77),
	})
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string][]int32{
		"ab": {3}, "ba": {4}, "aba": {5}, "bab": {4, 2}, "abab": {3, 3}, "baba": {4, 4}, "a?b": {1, 0, 2},
	} {
		if got := tok.Encode(text); !slices.Equal(got, want) {
			t.Errorf("Encode(%q) = %v, want %v", text, got, want)
		}
	}
	if bos, add := tok.BOS(); bos != -1 || add {
		t.Errorf("a BOS outside the vocabulary gives %d, %v", bos, add)
	}
}

// FuzzFromGGUF puts arbitrary tokens, merges and scores through both models.
func FuzzFromGGUF(f *testing.F) {
	f.Add(`["a","b","ab","<s>"]`, `["a b"]`, `[0,0,-1,0]`, `[1,1,1,3]`, "aab<s>")
	f.Fuzz(func(t *testing.T, tokens, merges, scores, types, text string) {
		m := metadata{"tokenizer.ggml.pre": "default"}
		var strs []string
		if json.Unmarshal([]byte(tokens), &strs) == nil {
			m["tokenizer.ggml.tokens"] = strs
		}
		var lines []string
		if json.Unmarshal([]byte(merges), &lines) == nil {
			m["tokenizer.ggml.merges"] = lines
		}
		var numbers []float64
		if json.Unmarshal([]byte(scores), &numbers) == nil {
			m["tokenizer.ggml.scores"] = numbers
		}
		var kinds []int64
		if json.Unmarshal([]byte(types), &kinds) == nil {
			m["tokenizer.ggml.token_type"] = kinds
		}
		for _, model := range []string{"gpt2", "llama"} {
			m["tokenizer.ggml.model"] = model
			if tok, err := FromGGUF(m); err == nil {
				tok.Decode(tok.Encode(text))
			}
		}
	})
}

package tokenizer

import (
	"bytes"
	"encoding/json"
	"maps"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/finch-llm/finch/model/gguf"
)

// throughGGUF is a tokenizer written as GGUF metadata and read again, with some keys changed.
func throughGGUF(t *testing.T, tok *Tokenizer, changes ...gguf.KV) *Tokenizer {
	t.Helper()
	kv, err := tok.GGUF(tok.Vocab())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range changes {
		kv[slices.IndexFunc(kv, func(kv gguf.KV) bool { return kv.Key == c.Key })].Value = c.Value
	}
	var b bytes.Buffer
	if err := gguf.Write(&b, gguf.Header{Meta: kv}, nil); err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Parse(b.Bytes(), "tokenizer")
	if err != nil {
		t.Fatal(err)
	}
	again, err := FromGGUF(f)
	if err != nil {
		t.Fatal(err)
	}
	bos, add := tok.BOS()
	if b, a := again.BOS(); b != bos || a != add || again.EOS() != tok.EOS() || again.Vocab() != tok.Vocab() {
		t.Errorf("BOS %d, added %v, EOS %d, %d tokens; want %d, %v, %d, %d", b, a, again.EOS(), again.Vocab(), bos, add, tok.EOS(), tok.Vocab())
	}
	return again
}

// What is written to GGUF encodes and decodes as the tokenizer.json or tokenizer.model does.
func TestGGUFRoundTrip(t *testing.T) {
	for name, want := range map[string]string{ // the pre-tokenizer; "": SentencePiece
		"gpt2split": "gpt-2", "digits": "smollm", "starcoder2": "smollm", "llama3": "llama-bpe", "cl100k": "dbrx", "olmo2": "dbrx", "qwen2": "qwen2", "qwen3": "qwen2",
		"qwen35": "qwen35", "gpt4o": "gpt-4o", "deepseek": "deepseek-v3", "tekken": "tekken", "llama2": "", "phi3": "", "mistral3": "", "gemma": "", "gemma3": "",
	} {
		var without *regexp.Regexp // what GGUF has no keys for
		switch name {
		case "qwen2", "deepseek", "llama2":
			without = regexp.MustCompile(`\[(LEFT|RIGHT|BOTH|WORD)\]|new york|caf`)
		case "phi3":
			without = regexp.MustCompile(`<\|(user|end)\|>`)
		case "mistral3":
			without = regexp.MustCompile(`^[ ▁]|\[/?(INST|TOOL_CALLS)\]|</?s>|<unk>`)
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tok := loadJSON(t, "testdata/"+name+".tokenizer.json")
			if m, ok := tok.model.(*bpe); ok && m.bytes != nil {
				if pre, ok := tok.pre(m); !ok || pre != want {
					t.Errorf("the pre-tokenizer is %q, %v, want %q", pre, ok, want)
				}
			}
			checkGoldenWithout(t, throughGGUF(t, tok), name, without)
		})
	}
	for _, name := range []string{"llama", "mistral", "gemma"} {
		t.Run(name+".model", func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile("testdata/sentencepiece/" + name + ".model")
			if err != nil {
				t.Fatal(err)
			}
			// "▁▁" is a user-defined piece of gemma's.
			checkGoldenWithout(t, throughGGUF(t, loadModel(t, data)), "sentencepiece/"+name, regexp.MustCompile("▁▁"))
		})
	}
	t.Run("smaug-bpe", func(t *testing.T) {
		tok := loadJSON(t, "testdata/cl100k.tokenizer.json")
		checkGolden(t, throughGGUF(t, tok, gguf.KV{Key: "tokenizer.ggml.pre", Value: gguf.ValueOf("smaug-bpe")}), "cl100k")
	})
}

// A tokenizer that GGUF cannot express is refused, not written as another.
func TestGGUFRefuses(t *testing.T) {
	for name, want := range map[string]string{
		"gpt2": "no pre-tokenizer", "numbers": "no pre-tokenizer", "metaspace": "treats spaces", "behaviors": "treats spaces", "fused": "treats spaces",
	} {
		if _, err := loadJSON(t, "testdata/"+name+".tokenizer.json").GGUF(440); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", name, err, want)
		}
	}
	for name, want := range map[string]string{"unigram": "unigram", "rules": "treats spaces", "unused": "treats spaces"} {
		data, err := os.ReadFile("testdata/sentencepiece/" + name + ".model")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := loadModel(t, data).GGUF(700); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", name, err, want)
		}
	}
	data, err := os.ReadFile("testdata/llama2.tokenizer.json")
	if err != nil {
		t.Fatal(err)
	}
	var f map[string]any
	if err := json.Unmarshal(data, &f); err != nil {
		t.Fatal(err)
	}
	merges := f["model"].(map[string]any)["merges"].([]any)
	makes := func(i int) string { return merges[i].([]any)[0].(string) + merges[i].([]any)[1].(string) }
	first := 0 // of two ways to make one token
	for makes(first) != makes(first+1) {
		first++
	}
	for want, changed := range map[string][]any{
		"of which": merges[:len(merges)-1], "not together": append(slices.Delete(slices.Clone(merges), first, first+1), merges[first]),
	} {
		f["model"].(map[string]any)["merges"] = changed
		data, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		tok, err := FromJSON(data, "changed")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tok.GGUF(tok.Vocab()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
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

// No pre-tokenizer is taken for another.
func TestGGUFPresDiffer(t *testing.T) {
	for i := range pres {
		for j := range pres[:i] {
			a, b := &pres[i], &pres[j]
			if a.ignoreMerges == b.ignoreMerges && slices.Equal(splitTellTale(a.normalize, a.splitter()), splitTellTale(b.normalize, b.splitter())) {
				t.Errorf("%s and %s split the text alike", a.names[0], b.names[0])
			}
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

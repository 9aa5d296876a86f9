package tokenizer

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/finch-llm/finch/internal/damaged"
)

// abModel is a small BPE tokenizer.model: <unk> 0, <s> 1, </s> 2, then ▁, a, b, ab and ▁ab.
func abModel(change func(pieces *vocabulary)) *vocabulary {
	v := &vocabulary{
		tokens: []string{"<unk>", "<s>", "</s>", spaceMark, "a", "b", "ab", "▁ab"},
		types:  []tokenType{unknownToken, controlToken, controlToken, normalToken, normalToken, normalToken, normalToken, normalToken},
		scores: []float32{0, 0, 0, -3, -4, -5, -1, -2},
	}
	if change != nil {
		change(v)
	}
	return v
}

// proto writes a tokenizer.model of these pieces, with more fields of its trainer and normalizer.
func proto(v *vocabulary, trainer, normalizer protoBuilder) []byte {
	var b protoBuilder
	for i, token := range v.tokens {
		b.piece(token, v.scores[i], v.typeOf(i))
	}
	b.bytes(2, trainer)
	b.bytes(3, normalizer)
	return b
}

func field(id, value uint64) (b protoBuilder) {
	b.varint(id, value)
	return b
}

var isBPE = field(3, uint64(bpeModel))

// Added tokens come from added_tokens.json and tokenizer_config.json, whose word counts where both have an id.
func TestFolder(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, data []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	load := func() *Tokenizer {
		t.Helper()
		files, err := ReadFolder(dir)
		if err != nil {
			t.Fatal(err)
		}
		tok, err := files.Load(dir)
		if err != nil {
			t.Fatal(err)
		}
		return tok
	}
	write("tokenizer.model", proto(abModel(nil), isBPE, field(4, 0)))
	tok := load()
	if got := tok.Encode("ab<s>ab"); !slices.Equal(got, []int32{7, 1, 7}) {
		t.Errorf("Encode = %v", got)
	}
	if bos, add := tok.BOS(); bos != 1 || !add || tok.EOS() != 2 {
		t.Errorf("BOS %d, added %v, EOS %d", bos, add, tok.EOS())
	}
	write("added_tokens.json", []byte(`{"<|a|>": 8, "<|b|>": 10}`))
	write("tokenizer_config.json", []byte(`{"add_bos_token": false, "added_tokens_decoder": {
		"2": {"content": "<end>", "special": true}, "10": {"content": "<|b|>", "special": true, "rstrip": true}}}`))
	tok = load()
	if got := tok.Encode("a<|a|>a<|b|> a<end></s>"); !slices.Equal(got, []int32{3, 4, 8, 3, 4, 10, 3, 4, 2, 3, 0}) {
		t.Errorf("Encode = %v", got)
	}
	if bos, add := tok.BOS(); bos != 1 || add || tok.Vocab() != 11 || tok.Token(9) != "" || tok.Token(2) != "<end>" {
		t.Errorf("BOS %d, added %v, %d tokens, the ninth %q, the second %q", bos, add, tok.Vocab(), tok.Token(9), tok.Token(2))
	}
	write("tokenizer.json", minimal(""))
	if got := load().Encode("ab"); !slices.Equal(got, []int32{2}) {
		t.Errorf("tokenizer.json does not come first: %v", got)
	}
}

func TestFolderErrors(t *testing.T) {
	if _, err := ReadFolder(t.TempDir()); err == nil || !strings.Contains(err.Error(), "neither tokenizer.json nor tokenizer.model") {
		t.Errorf("an empty folder: %v", err)
	}
	model := proto(abModel(nil), isBPE, nil)
	for _, c := range []struct{ name, added, config, want string }{
		{"added_tokens.json no object", "[1]", "", "added_tokens.json: "},
		{"added_tokens.json with an id twice", `{"x":9,"y":9}`, "", `gives the id 9 to "x" and "y"`},
		{"tokenizer_config.json not JSON", "", "{", "tokenizer_config.json: "},
		{"a key that is no id", "", `{"added_tokens_decoder":{"x":{"content":"y"}}}`, `the key "x", which is no id`},
		{"an id twice", "", `{"added_tokens_decoder":{"9":{"content":"y"},"09":{"content":"z"}}}`, "has the key \"09\""},
		{"a token with another id", `{"a":9}`, "", `"a" has id 9, but the vocabulary gives it 4`},
		{"a negative id", `{"x":-9}`, "", `"x" has id -9`},
		{"an id far away", `{"x":1000000000}`, "", "too far beyond the others"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &Files{Model: model}
			if c.added != "" {
				f.Added = []byte(c.added)
			}
			if c.config != "" {
				f.Config = []byte(c.config)
			}
			if _, err := f.Load("dir"); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

// FuzzFolder puts arbitrary added tokens beside a sound model.
func FuzzFolder(f *testing.F) {
	f.Add([]byte(`{"<|a|>": 8, "<|b|>": 10}`), []byte(`{"add_bos_token": false, "added_tokens_decoder": {"2": {"content": "<end>", "special": true}}}`), "a<|a|>b<end>")
	f.Add([]byte(`{"":9}`), []byte(`{"added_tokens_decoder":{"4":{"content":"","normalized":true},"-1":{"content":"x"}}}`), "ab")
	f.Add([]byte(`{"x":2147483647}`), []byte(`{"added_tokens_decoder":null}`), "x")
	model := proto(abModel(nil), isBPE, field(4, 0))
	f.Fuzz(func(t *testing.T, added, config []byte, text string) {
		files := &Files{Model: model, Added: added, Config: config}
		var tok *Tokenizer
		var err error
		if n := damaged.Allocated(func() { tok, err = files.Load("fuzz") }); n > uint64(4*(len(added)+len(config))+16<<20) {
			t.Fatalf("allocated %d bytes for %d", n, len(added)+len(config))
		}
		if err == nil {
			tok.Decode(tok.Encode(text))
			tok.GGUF(tok.Vocab())
		}
	})
}

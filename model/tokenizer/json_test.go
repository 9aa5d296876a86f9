package tokenizer

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/finch-llm/finch/internal/damaged"
)

// minimal is a tokenizer.json over the characters a and b, with more keys before its model.
func minimal(more string) []byte {
	if more != "" {
		more += ","
	}
	return []byte(`{"version":"1.0",` + more + `"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":[["a","b"]]}}`)
}

func TestJSONErrors(t *testing.T) {
	if _, err := FromJSON(minimal(""), "x"); err != nil {
		t.Fatal(err)
	}
	model := func(s string) []byte { return []byte(`{"model":` + s + `}`) }
	nested := strings.Repeat(`{"type":"Sequence","pretokenizers":[`, 20) + strings.Repeat(`]}`, 20)
	for _, c := range []struct {
		name string
		data []byte
		want string
	}{
		{"empty", nil, "not a tokenizer.json"},
		{"cut short", minimal("")[:40], "not a tokenizer.json"},
		{"no model", []byte(`{}`), `model type "" is not supported`},
		{"other model", model(`{"type":"WordPiece"}`), `model type "WordPiece" is not supported`},
		{"no vocabulary", model(`{"type":"BPE","merges":[]}`), "no vocab"},
		{"vocabulary that is a list", model(`{"type":"BPE","vocab":[],"merges":[]}`), "vocab:"},
		{"no merges", model(`{"type":"BPE","vocab":{}}`), "no merges"},
		{"merges that are no list", model(`{"type":"BPE","vocab":{},"merges":{}}`), "merges are not a list"},
		{"merge of one", model(`{"type":"BPE","vocab":{"a":0},"merges":[["a"]]}`), "merge 0: 1 tokens"},
		{"merge of three words", model(`{"type":"BPE","vocab":{"a":0},"merges":["a a a"]}`), "merge 0:"},
		{"merge that is a number", model(`{"type":"BPE","vocab":{"a":0},"merges":[1]}`), "merge 0:"},
		{"merge of an unknown token", model(`{"type":"BPE","vocab":{"a":0},"merges":["a c"]}`), `"c" is not in the vocabulary`},
		{"dropout", model(`{"type":"BPE","vocab":{},"merges":[],"dropout":0.1}`), "dropout"},
		{"suffix", model(`{"type":"BPE","vocab":{},"merges":[],"end_of_word_suffix":"</w>"}`), "</w>"},
		{"unknown token outside", model(`{"type":"BPE","vocab":{},"merges":[],"unk_token":"?"}`), `"?" is not in the vocabulary`},
		{"negative id", model(`{"type":"BPE","vocab":{"a":-1},"merges":[]}`), "id -1"},
		{"id twice", model(`{"type":"BPE","vocab":{"a":1,"b":1},"merges":[]}`), "two tokens have id 1"},
		{"added token of another id", minimal(`"added_tokens":[{"id":7,"content":"a"}]`), `"a" has id 7, but the vocabulary gives it 0`},
		{"added token with a taken id", minimal(`"added_tokens":[{"id":1,"content":"x"}]`), `id 1, which is that of "b"`},
		{"normalizer", minimal(`"normalizer":{"type":"BertNormalizer"}`), `normalizer "BertNormalizer" is not supported (known: NFC`},
		{"normalizer with an expression", minimal(`"normalizer":{"type":"Replace","pattern":{"Regex":" +"},"content":""}`), "regular expression"},
		{"pre-tokenizer", minimal(`"pre_tokenizer":{"type":"Whitespace"}`), `pre-tokenizer "Whitespace" is not supported (known: ByteLevel`},
		{"expression", minimal(`"pre_tokenizer":{"type":"Split","pattern":{"Regex":"x+y"},"behavior":"Isolated"}`), `"x+y", which finch does not know (known: gpt-2`},
		{"behavior", minimal(`"pre_tokenizer":{"type":"Split","pattern":{"String":"x"},"behavior":"Odd"}`), `split behavior "Odd"`},
		{"no pattern", minimal(`"pre_tokenizer":{"type":"Split","behavior":"Isolated"}`), "no pattern"},
		{"nesting", minimal(`"pre_tokenizer":` + nested), "nested more than 8 deep"},
		{"after bytes", minimal(`"pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"ByteLevel"},{"type":"Digits"}]}`), "must be last"},
		{"metaspace", minimal(`"pre_tokenizer":{"type":"Metaspace","replacement":"__"}`), "not one character"},
		{"scheme", minimal(`"pre_tokenizer":{"type":"Metaspace","replacement":"_","prepend_scheme":"odd"}`), `prepend_scheme "odd"`},
		{"decoder", minimal(`"decoder":{"type":"CTC"}`), `decoder "CTC" is not supported (known: ByteLevel`},
		{"strip", minimal(`"decoder":{"type":"Strip","content":"","start":1}`), "not one character"},
		{"post-processor", minimal(`"post_processor":{"type":"BertProcessing"}`), `post-processor "BertProcessing" is not supported`},
		{"template", minimal(`"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>"}}]}`), `"<s>", which special_tokens lacks`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := FromJSON(c.data, "x/tokenizer.json")
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "tokenizer x/tokenizer.json: ") {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

// Older files write merges as "a b", without the version's line or with it.
func TestJSONMergesAsLines(t *testing.T) {
	data := bytes.Replace(minimal(""), []byte(`[["a","b"]]`), []byte(`["#version: 0.2","a b"]`), 1)
	tok, err := FromJSON(data, "lines")
	if err != nil {
		t.Fatal(err)
	}
	if got := tok.Encode("abba"); !slices.Equal(got, []int32{2, 1, 0}) {
		t.Errorf("Encode(abba) = %v, want [2 1 0]", got)
	}
	if got := tok.Decode([]int32{2, 1}); got != "ab b" { // no decoder: the library puts spaces between
		t.Errorf("Decode = %q", got)
	}
}

// Loading takes memory in proportion to the file, also for the shortest tokens and merges.
func TestJSONMemory(t *testing.T) {
	var vocab, merges strings.Builder
	const n = 200
	for i := range n {
		fmt.Fprintf(&vocab, "%q:%d,", string(rune(0x4E00+i)), i)
	}
	id := n
	for i := range n {
		for j := range n {
			a, b := string(rune(0x4E00+i)), string(rune(0x4E00+j))
			fmt.Fprintf(&vocab, "%q:%d,", a+b, id)
			fmt.Fprintf(&merges, `"%s %s",`, a, b)
			id++
		}
	}
	data := []byte(`{"model":{"type":"BPE","vocab":{` + strings.TrimSuffix(vocab.String(), ",") + `},"merges":[` + strings.TrimSuffix(merges.String(), ",") + `]}}`)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	tok, err := FromJSON(data, "short")
	if err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	held, limit := int64(after.HeapAlloc)-int64(before.HeapAlloc), int64(4*len(data)+16<<20)
	if held > limit {
		t.Errorf("a file of %d bytes holds %d bytes, more than %d", len(data), held, limit)
	}
	runtime.KeepAlive(tok)
}

func FuzzFromJSON(f *testing.F) {
	f.Add(minimal(""), "ab")
	f.Add(minimal(`"added_tokens":[{"id":3,"content":"[x]","lstrip":true,"rstrip":true,"single_word":true,"normalized":true}],"normalizer":{"type":"NFC"}`), "a [x] b")
	f.Add(minimal(`"pre_tokenizer":{"type":"Metaspace","replacement":"▁","prepend_scheme":"first"},"decoder":{"type":"Metaspace","replacement":"▁"}`), " ab ")
	for _, name := range []string{"llama2", "deepseek"} {
		data, err := os.ReadFile("testdata/" + name + ".tokenizer.json")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, "It's 123 é")
	}
	f.Fuzz(func(t *testing.T, data []byte, text string) {
		var tok *Tokenizer
		var err error
		if n := damaged.Allocated(func() { tok, err = FromJSON(data, "fuzz") }); n > uint64(4*len(data)+16<<20) {
			t.Fatalf("allocated %d bytes for a file of %d", n, len(data))
		}
		if err != nil {
			return
		}
		tok.Decode(tok.Encode(text))
		tok.GGUF(tok.Vocab())
	})
}

// FuzzRoundTrip: byte-level tokenizers give every text back.
func FuzzRoundTrip(f *testing.F) {
	for _, s := range hardStrings(f)[:100] {
		f.Add(s)
	}
	var toks []*Tokenizer
	for _, name := range []string{"digits", "numbers", "gpt2split", "llama3", "cl100k", "bailing", "gpt4o", "tekken"} {
		toks = append(toks, loadJSON(f, "testdata/"+name+".tokenizer.json"))
	}
	f.Fuzz(func(t *testing.T, text string) {
		want := validUTF8(text)
		for _, tok := range toks {
			if got := tok.Decode(tok.Encode(text)); got != want {
				t.Errorf("%s: %q comes back as %q", tok.Name(), want, got)
			}
		}
	})
}

package tokenizer

import (
	"os"
	"strings"
	"testing"
)

// What a stream gives out piece by piece is what the whole decodes to, after a text too.
func TestStream(t *testing.T) {
	toks := map[string]*Tokenizer{}
	for _, name := range []string{"gpt2split", "llama3", "llama2", "mistral3", "gemma", "qwen3", "metaspace"} {
		toks[name] = loadJSON(t, "testdata/"+name+".tokenizer.json")
	}
	for _, name := range []string{"llama", "unigram", "unused"} {
		data, err := os.ReadFile("testdata/sentencepiece/" + name + ".model")
		if err != nil {
			t.Fatal(err)
		}
		toks[name+".model"] = loadModel(t, data)
	}
	for name, tok := range toks {
		t.Run(name, func(t *testing.T) {
			wrong := 0
			for _, s := range hardStrings(t) {
				ids := tok.Encode(s)
				for _, from := range []int{0, len(ids) / 2} {
					stream := tok.Stream(ids[:from])
					before := tok.Decode(ids[:from])
					if strings.HasSuffix(before, replacement) {
						continue // cut within a character
					}
					var got strings.Builder
					got.WriteString(before)
					for _, id := range ids[from:] {
						got.WriteString(stream.Next(id))
					}
					got.WriteString(stream.Rest())
					if want := tok.Decode(ids); got.String() != want {
						if wrong++; wrong <= 3 {
							t.Errorf("%q after %d ids comes as %q, want %q", s, from, got.String(), want)
						}
					}
				}
			}
		})
	}
}

// A character of several tokens comes whole, with the last of them.
func TestStreamWaits(t *testing.T) {
	tok := loadJSON(t, "testdata/gpt2split.tokenizer.json")
	ids := tok.Encode("\U0001F426")
	if len(ids) < 2 {
		t.Fatalf("%d ids", len(ids))
	}
	stream := tok.Stream(nil)
	for i, id := range ids {
		want := ""
		if i == len(ids)-1 {
			want = "\U0001F426"
		}
		if got := stream.Next(id); got != want {
			t.Errorf("id %d gives %q, want %q", i, got, want)
		}
	}
	stream.Next(ids[0])
	if got := stream.Rest(); got != replacement {
		t.Errorf("half a character gives %q at the end", got)
	}
}

package tokenizer

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"
)

// Text without a break must not cost quadratic time: at a megabyte that would be an hour, not a second.
func TestEncodeMegabyteWord(t *testing.T) {
	text := strings.Repeat("a", 1<<20)
	for _, name := range []string{"gpt2", "llama2"} {
		tok := loadJSON(t, "testdata/"+name+".tokenizer.json")
		if got := tok.Decode(tok.Encode(text)); strings.TrimPrefix(got, " ") != text {
			t.Errorf("%s: a megabyte of a's does not come back", name)
		}
	}
}

func TestEncodeLongRuns(t *testing.T) {
	const size = 1 << 15
	for _, name := range []string{"gpt4o", "qwen2", "deepseek", "llama2", "metaspace"} {
		tok := loadJSON(t, "testdata/"+name+".tokenizer.json")
		for _, part := range []string{
			"A", " ", "\n", "1", ".", "中", "a\u0301\u0323", "\u0323\u0301", "\x01", "<|im_start|>", "<|im_start", "▁", "'s'", "[LEFT] ", " [RIGHT]",
		} {
			if ids := tok.Encode(strings.Repeat(part, size/len(part))); len(ids) == 0 {
				t.Errorf("%s, %q repeated: no ids", name, part)
			}
		}
	}
}

func TestEncodeInvalidUTF8(t *testing.T) {
	tok := loadJSON(t, "testdata/llama3.tokenizer.json")
	for in, want := range map[string]string{ // want: what Python's bytes.decode("utf-8", "replace") makes of it
		"a\xffb":               "a\uFFFDb",
		"\xff\xfe":             "\uFFFD\uFFFD",
		"\xe4\xb8":             "\uFFFD",
		"\xe4\xb8\xe4\xb8\xad": "\uFFFD中",
		"\xf0\x9f\x98x":        "\uFFFDx",
		"\xed\xa0\x80":         "\uFFFD\uFFFD\uFFFD",
		"\xe0\x80\x80":         "\uFFFD\uFFFD\uFFFD",
		"\xf4\x90\x80\x80":     "\uFFFD\uFFFD\uFFFD\uFFFD",
		"\xf0\x90\x80":         "\uFFFD",
		"\xc0\xaf":             "\uFFFD\uFFFD",
		"\xc3":                 "\uFFFD",
		"\uFFFD":               "\uFFFD",
	} {
		if got := validUTF8(in); got != want {
			t.Errorf("validUTF8(%q) = %q, want %q", in, got, want)
		}
		if got := tok.Decode(tok.Encode(in)); got != want {
			t.Errorf("Decode(Encode(%q)) = %q, want %q", in, got, want)
		}
	}
}

func TestDecodeOddIDs(t *testing.T) {
	tok := loadJSON(t, "testdata/llama3.tokenizer.json")
	whole := tok.Encode("é")
	if got := tok.Decode([]int32{-1, 1 << 30, whole[0]}); !utf8.ValidString(got) {
		t.Errorf("Decode gives invalid UTF-8 %q", got)
	}
	if got := tok.Decode(nil); got != "" {
		t.Errorf("Decode of nothing is %q", got)
	}
	if got := tok.Token(-5); got != "" {
		t.Errorf("Token(-5) is %q", got)
	}
}

func TestSpecials(t *testing.T) {
	tok := loadJSON(t, "testdata/llama3.tokenizer.json")
	if bos, add := tok.BOS(); bos != 0 || !add {
		t.Errorf("BOS is %d, added %v; the template puts 0 in front", bos, add)
	}
	other := tok.WithSpecials(-1, 5, true)
	if bos, add := other.BOS(); bos != -1 || add || other.EOS() != 5 {
		t.Errorf("with none and 5: BOS %d, added %v, EOS %d", bos, add, other.EOS())
	}
	if id, ok := tok.ID("<|endoftext|>"); id != 0 || !ok {
		t.Errorf("ID of <|endoftext|> is %d, %v", id, ok)
	}
}

func TestEncodeConcurrently(t *testing.T) {
	tok := loadJSON(t, "testdata/qwen2.tokenizer.json")
	text := strings.Repeat("It's the finches' islands, é 123\n", 200)
	want := tok.Encode(text)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if !slices.Equal(tok.Encode(text), want) {
				t.Error("a concurrent Encode differs")
			}
		})
	}
	wg.Wait()
}

// A heap and the plain rule must agree: the lowest rank first, of equal ranks the leftmost.
func TestMergeAgainstRescan(t *testing.T) {
	tok := loadJSON(t, "testdata/gpt2.tokenizer.json")
	m := tok.model.(*bpe)
	rule := func(left, right *symbol) (rank, id int32, ok bool) {
		to, ok := m.merges[pair{left.id, right.id}]
		return to.rank, to.id, ok
	}
	for _, s := range hardStrings(t)[:500] {
		want := m.units(s)
		for {
			best, bestRank, bestID := -1, int32(0), int32(0)
			for i := range len(want) - 1 {
				if rank, id, ok := rule(&want[i], &want[i+1]); ok && (best < 0 || rank < bestRank) {
					best, bestRank, bestID = i, rank, id
				}
			}
			if best < 0 {
				break
			}
			want[best].id, want[best].end = bestID, want[best+1].end
			want = slices.Delete(want, best+1, best+2)
		}
		got := merge(m.units(s), rule)
		if !slices.EqualFunc(got, want, func(a, b symbol) bool { return a.id == b.id && a.start == b.start && a.end == b.end }) {
			t.Errorf("merge(%q) = %v, want %v", s, got, want)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	tok := loadJSON(b, "testdata/gpt2.tokenizer.json")
	text := strings.Repeat("The finches of these islands differ in the size and shape of their beaks, don't they?\n", 1000)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		tok.Encode(text)
	}
}

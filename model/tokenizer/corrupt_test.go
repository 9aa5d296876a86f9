package tokenizer

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/finch-llm/finch/internal/damaged"
)

// charsmapOf is a precompiled_charsmap with this trie and these texts.
func charsmapOf(units []uint32, texts string) []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(4*len(units)))
	for _, u := range units {
		b = binary.LittleEndian.AppendUint32(b, u)
	}
	return append(b, texts...)
}

func rules(charsmap []byte) (b protoBuilder) {
	b.bytes(2, charsmap)
	return b
}

// corruptModels has one tokenizer.model for each way in which one can be wrong, and a part of the message that must be given.
var corruptModels = []struct {
	name string
	data []byte
	want string
}{
	{"empty", nil, "it has no pieces"},
	{"not a message", []byte("GGUF is something else"), "not a SentencePiece model: byte 0"},
	{"field number zero", []byte{0, 1}, "no field begins here"},
	{"tag cut", []byte{0x80}, "no field begins here"},
	{"wire type unknown", []byte{1<<3 | 3}, "unknown wire type 3"},
	{"varint cut", []byte{9<<3 | wireVarint, 0x80}, "ends within a field"},
	{"varint too long", append([]byte{9<<3 | wireVarint}, []byte(strings.Repeat("\x80", 11))...), "ends within a field"},
	{"64 bits cut", []byte{9<<3 | wire64, 1, 2}, "ends within a field"},
	{"32 bits cut", []byte{9<<3 | wire32, 1, 2}, "ends within a field"},
	{"bytes past the end", []byte{1<<3 | wireBytes, 100, 1}, "field 1: the message ends"},
	{"2^63 bytes", append([]byte{1<<3 | wireBytes}, binary.AppendUvarint(nil, 1<<63)...), "field 1: the message ends"},
	{"piece cut", []byte{1<<3 | wireBytes, 2, 1<<3 | wireBytes, 9}, "piece 0: byte 0: field 1"},
	{"piece without text", []byte{1<<3 | wireBytes, 0}, "piece 0 is empty"},
	{"piece not UTF-8", proto(abModel(func(v *vocabulary) { v.tokens[4] = "\xff" }), isBPE, nil), "piece 4 is not UTF-8"},
	{"piece of an unknown type", proto(abModel(func(v *vocabulary) { v.types[4] = 7 }), isBPE, nil), "piece 4: byte 8: the unknown type 7"},
	{"score that is no number", proto(abModel(func(v *vocabulary) { v.scores[5] = float32(math.NaN()) }), isBPE, nil), "piece 5 has the score NaN"},
	{"infinite score", proto(abModel(func(v *vocabulary) { v.scores[5] = float32(math.Inf(-1)) }), isBPE, nil), "piece 5 has the score -Inf"},
	{"piece twice", proto(abModel(func(v *vocabulary) { v.tokens[5] = "a" }), isBPE, nil), `tokens 4 and 5 are both "a"`},
	{"unknown twice", proto(abModel(func(v *vocabulary) { v.types[5] = unknownToken }), isBPE, nil), "pieces 0 and 5 are both of the type unknown"},
	{"no unknown", proto(abModel(func(v *vocabulary) { v.types[0] = controlToken }), isBPE, nil), "no piece is of the type unknown"},
	{"word model", proto(abModel(nil), field(3, 3), nil), "model type 3 is not supported"},
	{"byte without fallback", proto(abModel(func(v *vocabulary) { v.tokens[5], v.types[5] = "<0x41>", byteTokenType }), isBPE, nil), "piece 5 stands for a byte, but byte_fallback is off"},
	{"fallback without bytes", proto(abModel(nil), append(isBPE[:len(isBPE):len(isBPE)], field(35, 1)...), nil), "no piece stands for the byte 0x00"},
	{"spaces at the end", proto(abModel(nil), append(isBPE[:len(isBPE):len(isBPE)], field(24, 1)...), nil), "treat_whitespace_as_suffix"},
	{"charsmap without header", proto(abModel(nil), isBPE, rules([]byte{1, 2})), "2 bytes, too few"},
	{"charsmap past the end", proto(abModel(nil), isBPE, rules([]byte{0xFF, 0xFF, 0xFF, 0xFC})), "a trie of 4244635647 bytes"},
	{"charsmap of half units", proto(abModel(nil), isBPE, rules([]byte{2, 0, 0, 0, 0, 0, 0, 0})), "a trie of 2 bytes"},
	{"charsmap with a text cut", proto(abModel(nil), isBPE, rules(charsmapOf([]uint32{0}, "abc"))), "ends within a text"},
}

func TestCorruptModels(t *testing.T) {
	if _, err := fromModel(proto(abModel(nil), isBPE, nil), nil); err != nil {
		t.Fatal(err)
	}
	for _, c := range corruptModels {
		t.Run(c.name, func(t *testing.T) {
			_, err := (&Files{Model: c.data}).Load("bad")
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "tokenizer bad/tokenizer.model: ") {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

// A trie that leads outside itself, or to no text, replaces nothing.
func TestCharsmapOutside(t *testing.T) {
	for _, units := range [][]uint32{
		{0}, {1 << 10}, {0xFFFFFFFF}, {'a' << 10, 0}, {1 << 10, 'a' | 1<<8 | 99<<10},
	} {
		c, err := parseCharsmap(charsmapOf(units, "x\x00"))
		if err != nil {
			t.Fatal(err)
		}
		if text, n := c.longest("aaaa"); n != 0 {
			t.Errorf("%x: %q for %d bytes", units, text, n)
		}
	}
}

// TestTruncatedModels cuts models at every byte: never a panic, and what is accepted can be used.
func TestTruncatedModels(t *testing.T) {
	for _, name := range []string{"gemma", "unigram"} {
		whole, err := os.ReadFile("testdata/sentencepiece/" + name + ".model")
		if err != nil {
			t.Fatal(err)
		}
		accepted := 0
		for n := range len(whole) {
			if tok, err := fromModel(whole[:n], nil); err == nil {
				accepted++
				tok.Encode("It's ½ 123 é abcd")
			}
		}
		// Only a cut between two fields of the whole message leaves a message.
		if pieces := 800; accepted > pieces {
			t.Errorf("%s: %d of %d beginnings are accepted", name, accepted, len(whole))
		}
	}
}

// The models that take most memory for their size stay below 4 × size + 16 MiB.
func TestModelMemory(t *testing.T) {
	many := func(n int, kind modelKind, typ tokenType) []byte {
		v := abModel(nil)
		for i := range n {
			v.tokens, v.types, v.scores = append(v.tokens, fmt.Sprintf("%x", 0x10000+i)), append(v.types, typ), append(v.scores, float32(-i))
		}
		return proto(v, field(3, uint64(kind)), nil)
	}
	for _, c := range []struct {
		name string
		data []byte
		ok   bool
	}{
		{"pieces", many(200_000, bpeModel, normalToken), true},
		{"unigrams", many(200_000, unigramModel, normalToken), true},
		{"user-defined pieces", many(40_000, bpeModel, userDefinedToken), true},
		{"control pieces", many(40_000, bpeModel, controlToken), true},
		{"too many control pieces", many(80_000, bpeModel, controlToken), false},
		{"too many pieces", many(500_000, bpeModel, normalToken), false},
		{"empty pieces", []byte(strings.Repeat("\x0a\x00", 1<<22)), false},
		{"2^62 bytes claimed", append([]byte{1<<3 | wireBytes}, binary.AppendUvarint(nil, 1<<62)...), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var err error
			got := damaged.Allocated(func() { _, err = fromModel(c.data, nil) })
			if (err == nil) != c.ok {
				t.Fatal(err)
			}
			t.Logf("%d bytes for a file of %d", got, len(c.data))
			if limit := uint64(4*len(c.data) + 16<<20); got > limit {
				t.Errorf("allocated %d bytes for a file of %d, more than %d", got, len(c.data), limit)
			}
		})
	}
}

// FuzzFromModel: no tokenizer.model panics or takes more memory than allowed, and what is accepted can be used.
func FuzzFromModel(f *testing.F) {
	f.Add(proto(abModel(nil), isBPE, nil), "ab abb")
	f.Add(proto(abModel(func(v *vocabulary) { v.types[6], v.types[4] = unusedToken, userDefinedToken }), isBPE, field(4, 0)), "ab  abb ")
	f.Add(proto(abModel(nil), nil, rules(charsmapOf([]uint32{1 << 10, 'a' | 1<<8 | 1<<10, 0}, "b\x00"))), "ab?a")
	for _, c := range corruptModels {
		f.Add(c.data, "ab")
	}
	f.Fuzz(func(t *testing.T, data []byte, text string) {
		var tok *Tokenizer
		var err error
		if n := damaged.Allocated(func() { tok, err = fromModel(data, nil) }); n > uint64(4*len(data)+16<<20) {
			t.Fatalf("allocated %d bytes for a file of %d", n, len(data))
		}
		if err != nil {
			return
		}
		tok.Decode(tok.Encode(text))
		tok.GGUF(tok.Vocab())
	})
}

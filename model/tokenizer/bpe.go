package tokenizer

import (
	"fmt"
	"unicode/utf8"
)

// bpe is byte-pair encoding with ranked merges (Sennrich et al., arXiv 1508.07909), over the bytes of a piece or over its
// characters.
type bpe struct {
	ids    map[string]int32 // tokens by the text that they match
	merges map[pair]merged
	bytes  *[256]unit // units of single bytes; nil: the units are characters

	ignoreMerges bool // a piece that is a token is that token, whatever the merges say
	byteFallback bool // a character outside the vocabulary is spelled in tokens "<0xNN>"
	fuseUnknown  bool // neighbouring unknown units are one unknown token
	unknown      int32
}

type pair struct{ left, right int32 }

type merged struct{ rank, id int32 }

// unit is what a smallest part of a piece starts as: its own token, byte tokens, or nothing known.
type unit struct {
	id       int32   // -1: not in the vocabulary
	fallback []int32 // then these, where not empty
}

// newBPE builds the model. merges yields the pairs of tokens in order of rank; a pair given twice has its last rank.
func newBPE(vocab map[string]int32, merges func(yield func(left, right string) error) error, byteLevel bool) (*bpe, error) {
	m := &bpe{ids: vocab, merges: make(map[pair]merged), unknown: -1}
	rank := int32(0)
	err := merges(func(left, right string) error {
		var ids [3]int32
		for i, token := range []string{left, right, left + right} {
			id, ok := vocab[token]
			if !ok {
				return fmt.Errorf("merge %d joins %q and %q, but %q is not in the vocabulary", rank, left, right, token)
			}
			ids[i] = id
		}
		m.merges[pair{ids[0], ids[1]}] = merged{rank, ids[2]}
		rank++
		return nil
	})
	if err != nil {
		return nil, err
	}
	if byteLevel {
		m.ids = make(map[string]int32, len(vocab))
		for token, id := range vocab {
			if text, ok := byteString(token); ok {
				m.ids[text] = id
			}
		}
	}
	return m, nil
}

// setBytes fills the units of bytes, which depend on the model's options.
func (m *bpe) setBytes(vocab map[string]int32) {
	m.bytes = new([256]unit)
	for b := range m.bytes {
		m.bytes[b] = m.lookup(vocab, byteChars[b])
	}
}

func (m *bpe) lookup(vocab map[string]int32, s string) unit {
	if id, ok := vocab[s]; ok {
		return unit{id: id}
	}
	u := unit{id: -1}
	if !m.byteFallback {
		return u
	}
	for i := range len(s) {
		id, ok := vocab[byteToken(s[i])]
		if !ok {
			return unit{id: -1}
		}
		u.fallback = append(u.fallback, id)
	}
	return u
}

// byteToken is how SentencePiece writes the token of one byte.
func byteToken(b byte) string { return fmt.Sprintf("<0x%02X>", b) }

func (m *bpe) encode(ids []int32, piece string) []int32 {
	if m.ignoreMerges {
		if id, ok := m.ids[piece]; ok {
			return append(ids, id)
		}
	}
	symbols := merge(m.units(piece), func(left, right *symbol) (rank, id int32, ok bool) {
		to, ok := m.merges[pair{left.id, right.id}]
		return to.rank, to.id, ok
	})
	for _, s := range symbols {
		ids = append(ids, s.id)
	}
	return ids
}

// units splits a piece into its smallest symbols. As in the library, an unknown symbol is held back until the next known
// one, past any byte tokens between, and without an unknown token it is left out.
func (m *bpe) units(piece string) []symbol {
	symbols := make([]symbol, 0, len(piece))
	var held *symbol
	for start, end := 0, 0; start < len(piece); start = end {
		u := unit{}
		if m.bytes != nil {
			end = start + 1
			u = m.bytes[piece[start]]
		} else {
			_, size := utf8.DecodeRuneInString(piece[start:])
			end = start + size
			u = m.lookup(m.ids, piece[start:end])
		}
		s := symbol{id: u.id, start: int32(start), end: int32(end)}
		switch {
		case u.id >= 0:
			if held != nil {
				symbols = append(symbols, *held)
				held = nil
			}
			symbols = append(symbols, s)
		case len(u.fallback) > 0:
			for i, id := range u.fallback {
				symbols = append(symbols, symbol{id: id, start: int32(start + i), end: int32(start + i + 1)})
			}
		case m.unknown >= 0:
			s.id = m.unknown
			if held != nil && m.fuseUnknown {
				held.end = s.end
				break
			}
			if held != nil {
				symbols = append(symbols, *held)
			}
			held = &s
		}
	}
	if held != nil {
		symbols = append(symbols, *held)
	}
	return symbols
}

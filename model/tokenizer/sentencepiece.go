package tokenizer

import (
	"fmt"
	"slices"
	"unicode/utf8"
)

// sentencePiece is byte-pair encoding as SentencePiece does it (Kudo and Richardson, arXiv 1808.06226): two neighbours merge
// where their joined text is a piece, the piece with the highest score first. It knows no list of merges.
type sentencePiece struct {
	vocabulary *vocabulary // its ids may have added tokens besides
	ranks      []int32     // of each piece's score, 0 for the highest, equal ones for equal scores; -1: nothing merges into it
	whole      *prefixes   // user-defined pieces, which are found first and merge with nothing
	resegments bool        // unused pieces are taken apart again
	spell      *speller
}

// speller writes characters that have no piece.
type speller struct {
	bytes   [256]int32 // tokens "<0xNN>", -1: none
	unknown int32      // -1: none
	fuse    bool       // neighbouring unknown characters are one unknown token
}

// newSpeller finds the tokens of bytes.
func newSpeller(v *vocabulary, unknown int32) *speller {
	s := &speller{unknown: unknown}
	for b := range s.bytes {
		s.bytes[b] = -1
		if id, ok := v.ids[byteToken(byte(b))]; ok {
			s.bytes[b] = id
		}
	}
	return s
}

// complete says whether every character can be spelled in bytes.
func (s *speller) complete() bool { return slices.Min(s.bytes[:]) >= 0 }

// append writes a character in bytes, or as the unknown token where there is none for its bytes. ids[start:] are those of
// the same text.
func (s *speller) append(ids []int32, start int, character string) []int32 {
	before := len(ids)
	for i := range len(character) {
		id := s.bytes[character[i]]
		if id < 0 {
			ids = ids[:before]
			if s.unknown >= 0 && !(s.fuse && before > start && ids[before-1] == s.unknown) {
				ids = append(ids, s.unknown)
			}
			return ids
		}
		ids = append(ids, id)
	}
	return ids
}

// newSentencePiece builds the model. Control, byte and unknown pieces match no text.
func newSentencePiece(v *vocabulary, spell *speller) (*sentencePiece, error) {
	m := &sentencePiece{vocabulary: v, whole: newPrefixes(nil), spell: spell}
	var err error
	if m.ranks, err = rankScores(v.scores); err != nil {
		return nil, err
	}
	for i := range m.ranks {
		if typ := v.typeOf(i); typ != normalToken && typ != unusedToken {
			m.ranks[i] = -1
		}
	}
	return m, nil
}

// rankScores replaces scores by their ranks.
func rankScores(scores []float32) ([]int32, error) {
	order := make([]int32, len(scores))
	for i := range order {
		if scores[i] != scores[i] {
			return nil, fmt.Errorf("the score of token %d is not a number", i)
		}
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(a, b int32) int {
		switch {
		case scores[a] > scores[b]:
			return -1
		case scores[a] < scores[b]:
			return 1
		}
		return 0
	})
	ranks := make([]int32, len(scores))
	for i := 1; i < len(order); i++ {
		ranks[order[i]] = ranks[order[i-1]]
		if scores[order[i]] < scores[order[i-1]] {
			ranks[order[i]]++
		}
	}
	return ranks, nil
}

// piece is the piece that a text can be or merge into, or -1.
func (m *sentencePiece) piece(text string) int32 {
	if id, ok := m.vocabulary.ids[text]; ok && int(id) < len(m.ranks) && m.ranks[id] >= 0 {
		return id
	}
	return -1
}

// isWhole says whether a symbol is a user-defined piece.
func (m *sentencePiece) isWhole(s *symbol) bool { return s.id >= 0 && m.ranks[s.id] < 0 }

func (m *sentencePiece) encode(ids []int32, text string) []int32 {
	symbols := m.symbols(text)
	var splits map[string]int32 // of unused pieces: the length of their left part
	symbols = merge(symbols, func(left, right *symbol) (rank, id int32, ok bool) {
		if m.isWhole(left) || m.isWhole(right) {
			return 0, 0, false
		}
		joined := text[left.start:right.end]
		if id = m.piece(joined); id < 0 {
			return 0, 0, false
		}
		if m.resegments && m.vocabulary.typeOf(int(id)) == unusedToken {
			if splits == nil {
				splits = make(map[string]int32)
			}
			splits[joined] = left.end - left.start
		}
		return m.ranks[id], id, true
	})
	start := len(ids)
	for _, s := range symbols {
		ids = m.append(ids, start, text[s.start:s.end], s.id, splits)
	}
	return ids
}

// symbols splits a text into user-defined pieces and characters.
func (m *sentencePiece) symbols(text string) []symbol {
	symbols := make([]symbol, 0, len(text))
	for start, end := 0, 0; start < len(text); start = end {
		if i := m.whole.longest(text[start:]); i >= 0 {
			end = start + len(m.whole.texts[i])
			symbols = append(symbols, symbol{id: m.vocabulary.ids[m.whole.texts[i]], start: int32(start), end: int32(end)})
			continue
		}
		_, size := utf8.DecodeRuneInString(text[start:])
		end = start + size
		symbols = append(symbols, symbol{id: m.piece(text[start:end]), start: int32(start), end: int32(end)})
	}
	return symbols
}

// append writes a piece, an unused one in the parts that it was merged from.
func (m *sentencePiece) append(ids []int32, start int, text string, id int32, splits map[string]int32) []int32 {
	if id < 0 {
		return m.spell.append(ids, start, text)
	}
	left, ok := splits[text]
	if !ok {
		return append(ids, id)
	}
	for _, part := range []string{text[:left], text[left:]} {
		ids = m.append(ids, start, part, m.piece(part), splits)
	}
	return ids
}

package tokenizer

import (
	"fmt"
	"slices"
	"unicode/utf8"
)

// sentencePiece is byte-pair encoding as SentencePiece does it (Kudo and Richardson, arXiv 1808.06226): two neighbours merge
// where their joined text is a piece, the piece with the highest score first. It knows no list of merges.
type sentencePiece struct {
	pieces  map[string]piece
	bytes   [256]int32 // tokens "<0xNN>", -1: none
	unknown int32      // -1: none
}

// piece is a token with the rank of its score, 0 for the highest; equal scores have equal ranks.
type piece struct{ id, rank int32 }

// rankScores replaces scores by their ranks.
func rankScores(scores []float64) ([]int32, error) {
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

func (m *sentencePiece) encode(ids []int32, text string) []int32 {
	symbols := make([]symbol, 0, len(text))
	for start, end := 0, 0; start < len(text); start = end {
		_, size := utf8.DecodeRuneInString(text[start:])
		end = start + size
		id := int32(-1)
		if p, ok := m.pieces[text[start:end]]; ok {
			id = p.id
		}
		symbols = append(symbols, symbol{id: id, start: int32(start), end: int32(end)})
	}
	symbols = merge(symbols, func(left, right *symbol) (rank, id int32, ok bool) {
		p, ok := m.pieces[text[left.start:right.end]]
		return p.rank, p.id, ok
	})
	for _, s := range symbols {
		if s.id >= 0 {
			ids = append(ids, s.id)
			continue
		}
		ids = m.spell(ids, text[s.start:s.end])
	}
	return ids
}

// spell writes a character without a piece in bytes, or as the unknown token where there is none for its bytes.
func (m *sentencePiece) spell(ids []int32, character string) []int32 {
	start := len(ids)
	for i := range len(character) {
		id := m.bytes[character[i]]
		if id < 0 {
			ids = ids[:start]
			if m.unknown >= 0 {
				ids = append(ids, m.unknown)
			}
			return ids
		}
		ids = append(ids, id)
	}
	return ids
}

package tokenizer

import (
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// unigram finds the most likely sequence of pieces (Kudo, arXiv 1804.10959) as SentencePiece does, down to its rounding:
// sums are kept in 32 bits.
type unigram struct {
	*prefixes
	pieces []scoredPiece // of each text
	missed float32       // score of a character without a piece
	spell  *speller
}

type scoredPiece struct {
	id    int32
	score float32
}

// newUnigram builds the model. Control, byte and unknown pieces match no text; unused ones are not used.
func newUnigram(v *vocabulary, spell *speller) *unigram {
	least, most := float32(math.Inf(1)), float32(math.Inf(-1))
	for i, score := range v.scores {
		if v.typeOf(i) == normalToken {
			least, most = min(least, score), max(most, score)
		}
	}
	const penalty = 10 // SentencePiece's kUnkPenalty
	m := &unigram{missed: least - penalty, spell: spell}
	order := make([]int32, 0, len(v.tokens))
	for i := range v.tokens {
		if typ := v.typeOf(i); typ == normalToken || typ == userDefinedToken {
			order = append(order, int32(i))
		}
	}
	slices.SortFunc(order, func(a, b int32) int { return strings.Compare(v.tokens[a], v.tokens[b]) })
	texts := make([]string, len(order))
	m.pieces = make([]scoredPiece, len(order))
	for i, id := range order {
		texts[i], m.pieces[i] = v.tokens[id], scoredPiece{id, v.scores[id]}
		if v.typeOf(int(id)) == userDefinedToken { // better than anything that could be in its place
			m.pieces[i].score = float32(len(texts[i]))*most - 0.1
		}
	}
	m.prefixes = newPrefixes(texts)
	return m
}

// step is the best way to a place in the text: the last piece on it (-1: a character without one), and where that starts.
type step struct {
	score     float32
	start, id int32
}

func (m *unigram) encode(ids []int32, text string) []int32 {
	best := make([]step, len(text)+1) // by the place that a way leads to
	for i := range best {
		best[i].start = -1
	}
	for i := 0; i < len(text); {
		offer := func(end int, id int32, score float32) {
			if score += best[i].score; best[end].start < 0 || score > best[end].score {
				best[end] = step{score, int32(i), id}
			}
		}
		_, size := utf8.DecodeRuneInString(text[i:])
		known := false // whether the first character is a piece
		m.of(text[i:], func(p int) {
			end := i + len(m.texts[p])
			known = known || end == i+size
			offer(end, m.pieces[p].id, m.pieces[p].score)
		})
		if !known {
			offer(i+size, -1, m.missed)
		}
		i += size
	}
	var way []step // backwards; score is no longer of use
	for end := int32(len(text)); end > 0; end = best[end].start {
		way = append(way, step{start: best[end].start, id: best[end].id})
	}
	slices.Reverse(way)
	first := len(ids)
	for i, s := range way {
		if s.id >= 0 {
			ids = append(ids, s.id)
			continue
		}
		end := len(text)
		if i+1 < len(way) {
			end = int(way[i+1].start)
		}
		ids = m.spell.append(ids, first, text[s.start:end])
	}
	return ids
}

package tokenizer

import (
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// fromModel reads a SentencePiece tokenizer.model, of byte-pair encoding or unigrams. Control pieces are found in text, as
// they are where the model has a tokenizer.json, and so are added tokens.
func fromModel(data []byte, added []addedToken) (*Tokenizer, error) {
	m, err := parseModelProto(data)
	if err != nil {
		return nil, err
	}
	v, whole := &m.vocabulary, m.whole()
	t := &Tokenizer{ids: v.ids}
	spell := newSpeller(v, m.unknown)
	spell.fuse = true
	if m.kind == unigramModel {
		t.model = newUnigram(v, spell)
	} else {
		p, err := newSentencePiece(v, spell)
		if err != nil {
			return nil, err
		}
		p.whole, p.resegments = whole, slices.Contains(v.types, unusedToken)
		t.model = p
		if m.spec.escapeSpaces && separable(v.words) {
			t.split = wordStarts
		}
	}
	t.normalize = m.spec.normalizer(whole)
	t.decoder.steps = sentencePieceDecoder(m.spec.dummyPrefix)
	if m.spec.removeSpaces {
		t.decoder.steps = append(t.decoder.steps, strip(" ", math.MaxInt, 0))
	}
	t.bos, t.eos = m.special(m.bos), m.special(m.eos)
	t.addBOS = t.bos >= 0
	for _, a := range added {
		if a.ID >= 0 && int(a.ID) < len(v.tokens) && v.tokens[a.ID] != a.Content {
			delete(t.ids, v.tokens[a.ID]) // the added token takes the place of the piece
		}
	}
	if err := t.addTokens(slices.Concat(m.controls(), added)); err != nil {
		return nil, err
	}
	return t, nil
}

// whole are the user-defined pieces: the model finds them before it looks for others.
func (m *modelProto) whole() *prefixes {
	var texts []string
	for i, token := range m.tokens {
		if m.types[i] == userDefinedToken {
			texts = append(texts, token)
		}
	}
	slices.Sort(texts)
	return newPrefixes(texts)
}

// controls are the control pieces and the unknown one, unless added tokens took their place, as added tokens.
func (m *modelProto) controls() []addedToken {
	var reserved []int32
	for i, typ := range m.types {
		if _, ok := m.ids[m.tokens[i]]; ok && (typ == controlToken || typ == unknownToken) {
			reserved = append(reserved, int32(i))
		}
	}
	added := make([]addedToken, len(reserved))
	for i, id := range reserved {
		added[i] = addedToken{ID: id, Content: m.tokens[id], Special: true}
	}
	return added
}

// normalizer is SentencePiece's normalization of a text. User-defined pieces stay as they are.
func (s *normalizerSpec) normalizer(whole *prefixes) normalizer {
	space := " "
	if s.escapeSpaces {
		space = spaceMark
	}
	return func(text string) string {
		if s.removeSpaces {
			for text != "" {
				part, length := s.next(text, whole)
				if part != " " {
					break
				}
				text = text[length:]
			}
		}
		if text == "" {
			return ""
		}
		var b strings.Builder
		if s.dummyPrefix {
			b.WriteString(space)
		}
		afterSpace := s.removeSpaces // then further spaces are left out
		for text != "" {
			part, length := s.next(text, whole)
			text = text[length:]
			if afterSpace {
				part = strings.TrimLeft(part, " ")
			}
			if part != "" {
				b.WriteString(strings.ReplaceAll(part, " ", space))
				afterSpace = s.removeSpaces && strings.HasSuffix(part, " ")
			}
		}
		out := b.String()
		for s.removeSpaces && strings.HasSuffix(out, space) {
			out = strings.TrimSuffix(out, space)
		}
		return out
	}
}

// next is what the beginning of a text becomes, and the length of that beginning: a user-defined piece or what the charsmap
// replaces, else one character.
func (s *normalizerSpec) next(text string, whole *prefixes) (part string, length int) {
	if i := whole.longest(text); i >= 0 {
		return whole.texts[i], len(whole.texts[i])
	}
	if s.charsmap != nil {
		if part, length := s.charsmap.longest(text); length > 0 {
			return part, length
		}
	}
	_, length = utf8.DecodeRuneInString(text)
	return text[:length], length
}

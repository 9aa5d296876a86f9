package tokenizer

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// addedToken is a token that is found in the text before the model sees it. The fields are tokenizer.json's.
type addedToken struct {
	ID         int32  `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"` // only between characters that are no part of a word
	LStrip     bool   `json:"lstrip"`      // takes the white space on its left with it
	RStrip     bool   `json:"rstrip"`      // and on its right
	Normalized bool   `json:"normalized"`  // matches its normalized form in normalized text
	Special    bool   `json:"special"`

	text string // what it matches, and what it decodes to
}

// addedTokens finds added tokens: those that match the text as it is, then those that match normalized text.
type addedTokens struct {
	raw, normalized matcher
	byID            map[int32]string
	special         map[int32]bool
}

func newAddedTokens(tokens []addedToken, normalize normalizer) addedTokens {
	a := addedTokens{byID: make(map[int32]string, len(tokens)), special: map[int32]bool{}}
	raw := make([]addedToken, 0, len(tokens)) // most are
	var normalized []addedToken
	for _, t := range tokens {
		if t.Special {
			a.special[t.ID] = true
		}
		t.text = t.Content
		if t.Normalized && normalize != nil {
			t.text = normalize(t.Content)
		}
		switch {
		case t.text == "":
			continue
		case t.Normalized:
			normalized = append(normalized, t)
		default:
			raw = append(raw, t)
		}
		a.byID[t.ID] = t.text
	}
	a.raw, a.normalized = newMatcher(raw), newMatcher(normalized)
	return a
}

func (a *addedTokens) text(id int32) (string, bool) {
	s, ok := a.byID[id]
	return s, ok
}

// matcher finds, from left to right, the longest token at each place.
type matcher struct {
	tokens []addedToken // sorted by text, no text twice
	texts  *prefixes
}

func newMatcher(tokens []addedToken) matcher {
	// Of two tokens with one text the library keeps the later.
	slices.Reverse(tokens)
	slices.SortStableFunc(tokens, func(a, b addedToken) int { return strings.Compare(a.text, b.text) })
	tokens = slices.CompactFunc(tokens, func(a, b addedToken) bool { return a.text == b.text })
	texts := make([]string, len(tokens))
	for i, t := range tokens {
		texts[i] = t.text
	}
	return matcher{tokens, newPrefixes(texts)}
}

// split calls emit for every piece of text in order: for text between tokens with id -1 and whether it begins text, for a
// token with its id.
func (m *matcher) split(text string, emit func(piece string, first bool, id int32)) {
	done := 0 // text[:done] has been emitted
	if len(m.tokens) > 0 {
		for i := 0; i < len(text); {
			found := m.texts.longest(text[i:])
			if found < 0 {
				i++
				continue
			}
			t := &m.tokens[found]
			start, end := i, i+len(t.text)
			i = end
			if t.SingleWord && (endsInWord(text[:start]) || beginsWithWord(text[end:])) {
				continue
			}
			if t.LStrip {
				start = max(len(strings.TrimRightFunc(text[:start], unicode.IsSpace)), done)
			}
			if t.RStrip {
				end = len(text) - len(strings.TrimLeftFunc(text[end:], unicode.IsSpace))
			}
			if done < start {
				emit(text[done:start], done == 0, -1)
			}
			emit(text[start:end], false, t.ID)
			done = end
		}
	}
	if done < len(text) {
		emit(text[done:], done == 0, -1)
	}
}

func endsInWord(s string) bool {
	r, n := utf8.DecodeLastRuneInString(s)
	return n > 0 && isWord(r)
}

func beginsWithWord(s string) bool {
	r, n := utf8.DecodeRuneInString(s)
	return n > 0 && isWord(r)
}

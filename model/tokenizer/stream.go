package tokenizer

import "strings"

// Stream decodes ids one after the other. A token may end within a character, and what it decodes to may depend on those
// before it: SentencePiece models leave out a space at the beginning of a text.
type Stream struct {
	tokenizer *Tokenizer
	ids       []int32 // those of the last text that was given out, then those that wait
	given     int     // how many of them are the former
	text      string  // what these decode to
}

// Stream decodes what follows the ids of a text.
func (t *Tokenizer) Stream(after []int32) *Stream {
	return &Stream{t, append([]int32(nil), after...), len(after), t.Decode(after)}
}

// Next is the text that id adds: "" while a character is not yet whole; the id that completes it brings all of it.
func (s *Stream) Next(id int32) string {
	s.ids = append(s.ids, id)
	all := s.tokenizer.Decode(s.ids)
	if strings.HasSuffix(all, replacement) {
		return ""
	}
	added := strings.TrimPrefix(all, s.text)
	if last := s.ids[s.given:]; s.tokenizer.Decode(last) != "" { // else a space might still be left out
		s.ids, s.given, s.text = last, len(last), s.tokenizer.Decode(last)
	} else {
		s.given, s.text = len(s.ids), all
	}
	return added
}

// Rest is the text of the ids that still wait, with U+FFFD for what is no whole character.
func (s *Stream) Rest() string { return strings.TrimPrefix(s.tokenizer.Decode(s.ids), s.text) }

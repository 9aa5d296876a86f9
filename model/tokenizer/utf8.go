package tokenizer

import (
	"strings"
	"unicode/utf8"
)

const replacement = "\uFFFD"

// validUTF8 returns s with each maximal subpart of an ill-formed sequence replaced by U+FFFD (Unicode 16, section 3.9,
// "U+FFFD Substitution of Maximal Subparts"). Go's own conversions put one for every byte or one for a whole run.
func validUTF8(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); {
		if r, n := utf8.DecodeRuneInString(s[i:]); r != utf8.RuneError || n > 1 {
			b.WriteString(s[i : i+n])
			i += n
			continue
		}
		b.WriteString(replacement)
		i += subpart(s[i:])
	}
	return b.String()
}

// subpart is the length of the maximal subpart that the ill-formed s begins with: the longest prefix of a well-formed
// character (Unicode 16, table 3-7), at least one byte.
func subpart(s string) int {
	length, low, high := 1, byte(0x80), byte(0xBF)
	switch c := s[0]; {
	case c >= 0xC2 && c <= 0xDF:
		length = 2
	case c >= 0xE0 && c <= 0xEF:
		length = 3
	case c >= 0xF0 && c <= 0xF4:
		length = 4
	}
	switch s[0] {
	case 0xE0:
		low = 0xA0
	case 0xED:
		high = 0x9F
	case 0xF0:
		low = 0x90
	case 0xF4:
		high = 0x8F
	}
	n := 1
	for n < length && n < len(s) && s[n] >= low && s[n] <= high {
		low, high = 0x80, 0xBF
		n++
	}
	return n
}

package tokenizer

import (
	"slices"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// nfc composes canonically (Unicode Standard Annex 15). norm.NFC.String would also put a joiner into runs of more than 30
// combining marks (the stream-safe form), which the library does not do, so x/text only decomposes, classifies and
// composes single characters here. The library's tables are those of Unicode 9: to it, later characters are starters that
// neither compose nor decompose.
func nfc(text string) string {
	normal := norm.NFC.QuickSpanString(text)
	if normal == len(text) {
		return text
	}
	var runes []rune
	for _, r := range text[normal:] {
		if r < 0xC0 || unicode.Is(laterComposites, r) {
			runes = append(runes, r)
		} else {
			runes = append(runes, []rune(norm.NFD.String(string(r)))...)
		}
	}
	order(runes)
	return text[:normal] + string(compose(runes))
}

// combining is the canonical combining class, 0 for a starter.
func combining(r rune) uint8 {
	if r < 0x300 || unicode.In(r, laterMarks, newMarks) {
		return 0
	}
	return norm.NFC.PropertiesString(string(r)).CCC()
}

// order sorts each run of combining marks by class, marks of one class in the order in which they came.
func order(runes []rune) {
	for i := 0; i < len(runes); i++ {
		start := i
		for i < len(runes) && combining(runes[i]) != 0 {
			i++
		}
		slices.SortStableFunc(runes[start:i], func(a, b rune) int { return int(combining(a)) - int(combining(b)) })
	}
}

// compose joins each starter with the later characters that nothing between blocks, in place.
func compose(runes []rune) []rune {
	kept := runes[:0]
	starter, last := -1, uint8(0) // index in kept; class of the character kept last
	for _, r := range runes {
		class := combining(r)
		adjacent := starter == len(kept)-1
		if starter >= 0 && (adjacent || last != 0 && last < class) {
			if c, ok := composite(kept[starter], r); ok {
				kept[starter] = c
				continue
			}
		}
		if class == 0 {
			starter = len(kept)
		}
		last = class
		kept = append(kept, r)
	}
	return kept
}

// composite is the primary composite of two characters.
func composite(a, b rune) (rune, bool) {
	if b < 0x300 || norm.NFC.PropertiesString(string(b)).BoundaryBefore() {
		return 0, false
	}
	joined := []rune(norm.NFC.String(string([]rune{a, b})))
	return joined[0], len(joined) == 1 && !unicode.Is(laterComposites, joined[0])
}

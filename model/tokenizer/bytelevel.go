package tokenizer

import "strings"

// Byte-level vocabularies write each byte as one printable character (GPT-2's bytes_to_unicode): printable Latin-1 stays,
// the other 68 bytes become U+0100 and on, so that a space is "Ġ" and a newline "Ċ".
var byteChars, charBytes = byteAlphabet()

func byteAlphabet() (chars [256]string, bytes map[rune]byte) {
	bytes = make(map[rune]byte, 256)
	next := rune(0x100)
	for b := range 256 {
		r := rune(b)
		if b < '!' || b > '~' && b < 0xA1 || b == 0xAD {
			r = next
			next++
		}
		chars[b] = string(r)
		bytes[r] = byte(b)
	}
	return chars, bytes
}

// byteString turns a token into the bytes that it stands for; ok is false where a character stands for none.
func byteString(token string) (s string, ok bool) {
	var b strings.Builder
	b.Grow(len(token))
	for _, r := range token {
		c, ok := charBytes[r]
		if !ok {
			return "", false
		}
		b.WriteByte(c)
	}
	return b.String(), true
}

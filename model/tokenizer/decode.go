package tokenizer

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// decoder turns tokens into text by steps on the list of tokens, then joins what is left.
type decoder struct {
	steps []func(tokens []string) []string
	glue  string // between tokens; the library puts a space where there is no decoder
}

func (d decoder) join(tokens []string) string {
	for _, step := range d.steps {
		tokens = step(tokens)
	}
	return strings.Join(tokens, d.glue)
}

// decodeBytes reads byte-level tokens; a token with other characters, such as an added one, stands for itself.
func decodeBytes(tokens []string) []string {
	var b strings.Builder
	for _, token := range tokens {
		if s, ok := byteString(token); ok {
			b.WriteString(s)
		} else {
			b.WriteString(token)
		}
	}
	return []string{validUTF8(b.String())}
}

func fuse(tokens []string) []string { return []string{strings.Join(tokens, "")} }

// byteOf reads a token "<0xNN>".
func byteOf(token string) (b byte, ok bool) {
	if len(token) != 6 || token[:3] != "<0x" || token[5] != '>' {
		return 0, false
	}
	n, err := strconv.ParseUint(token[3:5], 16, 8)
	return byte(n), err == nil
}

// decodeFallback reads runs of tokens "<0xNN>" as bytes; a run that is not valid UTF-8 becomes one U+FFFD for each byte.
func decodeFallback(tokens []string) []string {
	var out []string
	var run []byte
	flush := func() {
		if utf8.Valid(run) {
			out = append(out, string(run))
		} else {
			out = append(out, strings.Repeat(replacement, len(run)))
		}
		run = run[:0]
	}
	for _, token := range tokens {
		if b, ok := byteOf(token); ok {
			run = append(run, b)
			continue
		}
		if len(run) > 0 {
			flush()
		}
		out = append(out, token)
	}
	if len(run) > 0 {
		flush()
	}
	return out
}

// sentencePieceDecoder turns pieces into text; prefix says that a space came in front of the text.
func sentencePieceDecoder(prefix bool) []func([]string) []string {
	steps := []func([]string) []string{decodeReplace(spaceMark, " "), decodeFallback, fuse}
	if prefix {
		steps = append(steps, strip(" ", 1, 0))
	}
	return steps
}

func decodeReplace(old, new string) func([]string) []string {
	replace := replaceAll(old, new)
	return each(func(_ int, token string) string { return replace(token) })
}

// strip takes up to start of the character mark from the left of each token and up to stop from its right.
func strip(mark string, start, stop int) func([]string) []string {
	return each(func(_ int, token string) string {
		for i := 0; i < start && strings.HasPrefix(token, mark); i++ {
			token = token[len(mark):]
		}
		for i := 0; i < stop && strings.HasSuffix(token, mark); i++ {
			token = token[:len(token)-len(mark)]
		}
		return token
	})
}

// decodeMetaspace turns marks into spaces; those of the first token go where Encode put one in front.
func decodeMetaspace(mark string, prepend prependScheme) func([]string) []string {
	return each(func(i int, token string) string {
		if i == 0 && prepend != prependNever {
			return strings.ReplaceAll(token, mark, "")
		}
		return strings.ReplaceAll(token, mark, " ")
	})
}

func each(f func(i int, token string) string) func([]string) []string {
	return func(tokens []string) []string {
		out := make([]string, len(tokens))
		for i, token := range tokens {
			out[i] = f(i, token)
		}
		return out
	}
}

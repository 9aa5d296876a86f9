package tokenizer

import (
	"strings"
	"unicode"
)

// normalizer rewrites text before it is split.
type normalizer func(text string) string

// sequence applies normalizers in order; nil ones do nothing.
func sequence(normalizers []normalizer) normalizer {
	var all normalizer
	for _, n := range normalizers {
		if before := all; before != nil && n != nil {
			next := n
			all = func(text string) string { return next(before(text)) }
		} else if n != nil {
			all = n
		}
	}
	return all
}

func prepend(prefix string) normalizer {
	return func(text string) string {
		if text == "" {
			return text
		}
		return prefix + text
	}
}

func replaceAll(old, new string) normalizer {
	return func(text string) string {
		if old == "" {
			return text
		}
		return strings.ReplaceAll(text, old, new)
	}
}

// lowercase maps each character by itself, so a sigma at the end of a word is like any other; İ alone becomes two.
func lowercase(text string) string {
	return strings.ReplaceAll(strings.Map(func(r rune) rune {
		if r == 'İ' {
			return r
		}
		return unicode.ToLower(r)
	}, text), "İ", "i̇")
}

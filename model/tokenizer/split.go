package tokenizer

import (
	"fmt"
	"iter"
	"strings"
	"unicode/utf8"
)

// splitter is a pre-tokenizer: it calls emit for the pieces of text in order. first says that text, or the piece, begins
// the input. No piece is empty.
type splitter func(text string, first bool, emit func(piece string, first bool))

// behavior says what becomes of the matches of a pattern.
type behavior string

const (
	isolated           behavior = "Isolated"
	removed            behavior = "Removed"
	mergedWithPrevious behavior = "MergedWithPrevious"
	mergedWithNext     behavior = "MergedWithNext"
	contiguous         behavior = "Contiguous"
)

func (b behavior) check() error {
	switch b {
	case isolated, removed, mergedWithPrevious, mergedWithNext, contiguous:
		return nil
	}
	return fmt.Errorf("unknown split behavior %q", string(b))
}

// joins says whether a span belongs to the piece of the span on its left; each either matches or does not.
func (b behavior) joins(left, right bool) bool {
	switch b {
	case mergedWithPrevious:
		return right && !left
	case mergedWithNext:
		return left && !right
	case contiguous:
		return left == right
	default:
		return false
	}
}

// splitAt cuts text into matches of a pattern and what lies between them, then joins or drops these as b says. invert
// swaps matches and the rest.
func splitAt(match pattern, b behavior, invert bool) splitter {
	return func(text string, first bool, emit func(string, bool)) {
		start, end, last := 0, 0, false // the piece so far, and whether its last span is a match
		span := func(to int, matches bool) {
			matches = matches != invert
			if end > start && !b.joins(last, matches) {
				if b != removed || !last {
					emit(text[start:end], first && start == 0)
				}
				start = end
			}
			end, last = to, matches
		}
		gap := 0 // text[:gap] is in spans
		for i := 0; i < len(text); {
			n := match(text[i:])
			if n == 0 {
				_, size := utf8.DecodeRuneInString(text[i:])
				i += size
				continue
			}
			if gap < i {
				span(i, false)
			}
			i += n
			gap = i
			span(i, true)
		}
		if gap < len(text) {
			span(len(text), false)
		}
		if end > start && (b != removed || !last) {
			emit(text[start:end], first && start == 0)
		}
	}
}

// chain applies splitters one after the other; nil ones do nothing.
func chain(splitters []splitter) splitter {
	var all splitter
	for _, s := range splitters {
		all = followedBy(all, s)
	}
	return all
}

func followedBy(a, b splitter) splitter {
	if a == nil {
		return b
	}
	if b == nil {
		return a
	}
	return func(text string, first bool, emit func(string, bool)) {
		a(text, first, func(piece string, first bool) { b(piece, first, emit) })
	}
}

// prefixSpace puts a space in front of a piece that has none.
func prefixSpace(text string, first bool, emit func(string, bool)) {
	if !strings.HasPrefix(text, " ") {
		text = " " + text
	}
	emit(text, first)
}

// metaspace is SentencePiece's view of spaces: each becomes mark, one may come in front, and words begin at marks.
func metaspace(mark string, prepend prependScheme, split bool) splitter {
	words := splitAt(literal(mark), mergedWithNext, false)
	return func(text string, first bool, emit func(string, bool)) {
		text = strings.ReplaceAll(text, " ", mark)
		if (prepend == prependAlways || prepend == prependFirst && first) && !strings.HasPrefix(text, mark) {
			text = mark + text
		}
		if split {
			words(text, first, emit)
		} else {
			emit(text, first)
		}
	}
}

type prependScheme string

const (
	prependAlways prependScheme = "always"
	prependFirst  prependScheme = "first"
	prependNever  prependScheme = "never"
)

// spaceMark (U+2581) stands for a space in SentencePiece vocabularies.
const spaceMark = "▁"

// wordStarts cuts before each run of space marks. Where separable says so, merges stop there too: then words can be
// encoded, and remembered, one by one.
func wordStarts(text string, first bool, emit func(string, bool)) {
	start := 0
	for i := 0; i < len(text); {
		at := strings.Index(text[i:], spaceMark)
		if at < 0 {
			break
		}
		i += at
		if i > start {
			emit(text[start:i], first && start == 0)
			start = i
		}
		for strings.HasPrefix(text[i:], spaceMark) {
			i += len(spaceMark)
		}
	}
	emit(text[start:], first && start == 0)
}

// separable says whether no token has a space mark after something else, so that no merge crosses the start of a word.
func separable(vocab iter.Seq[string]) bool {
	mark := false // else unknown marks may fuse with what is before them
	for token := range vocab {
		if strings.Contains(strings.TrimLeft(token, spaceMark), spaceMark) {
			return false
		}
		mark = mark || token == spaceMark
	}
	return mark
}

package tokenizer

import (
	"strings"
	"unicode/utf8"
)

// pattern is the length of the match of a regular expression at the beginning of s, 0 for none; s is not empty and runs
// to the end of the piece. The pre-tokenizers' expressions look ahead, which Go's regexp cannot, and all are short lists
// of alternatives that need next to no backtracking, so they are written as scanners.
type pattern func(s string) int

// namedPattern is a regular expression that tokenizer.json files carry, under the name that GGUF gives its pre-tokenizer
// where it has one.
type namedPattern struct {
	name, regex string
	match       pattern
}

const (
	foldedContractions = `(?i:'s|'t|'re|'ve|'m|'ll|'d)`
	spaceEnd           = `|\s*[\r\n]+|\s+(?!\S)|\s+`
	casedWord          = `[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+`
	upperWord          = `[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*`
	deepseekWord       = `[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_` + "`" + `{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*`
)

var (
	spaces     = either(toLastNewline, trailingSpace, run(isSpace))
	gpt2       = either(contraction, after(isBlank, run(isLetter)), after(isBlank, run(isNumber)), after(isBlank, run(isOther)), trailingSpace, run(isSpace))
	wordLlama  = after(isJoiner, run(isLetter))
	otherLlama = then(after(isBlank, run(isOther)), isNewline)
	otherSlash = then(after(isBlank, run(isOther)), isNewlineOrSlash)
	llama3     = either(foldedContraction, wordLlama, upTo(3, isNumber), otherLlama, spaces)
	qwen2      = either(foldedContraction, wordLlama, upTo(1, isNumber), otherLlama, spaces)
	qwen35     = either(foldedContraction, after(isJoiner, run(isLetterOrMark)), upTo(1, isNumber),
		then(after(isBlank, run(func(r rune) bool { return isOther(r) && !isMark(r) })), isNewline), spaces)
	gpt4o    = either(contracted(after(isJoiner, headTail)), contracted(after(isJoiner, headsTail)), upTo(3, isNumber), otherSlash, spaces)
	tekken   = either(after(isJoiner, headTail), after(isJoiner, headsTail), upTo(1, isNumber), otherSlash, spaces)
	deepseek = either(asciiWord,
		after(func(r rune) bool { return !isNewline(r) && !isLetter(r) && !isPunctOrSymbol(r) }, run(isLetterOrMark)),
		then(after(isBlank, run(isPunctOrSymbol)), isNewline), spaces)
)

// patterns are the expressions known, as they stand in tokenizer.json.
var patterns = []namedPattern{
	{"gpt-2", `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`, gpt2},
	{"gpt-2 (tiktoken)", `'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`, gpt2},
	{"llama-bpe", foldedContractions + `|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*` + spaceEnd, llama3},
	{"cl100k", `'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+`, llama3},
	{"qwen2", foldedContractions + `|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*` + spaceEnd, qwen2},
	{"bailingmoe", `'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+`, qwen2},
	{"qwen35", foldedContractions + `|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*` + spaceEnd, qwen35},
	{"gpt-4o", casedWord + foldedContractions + `?|` + upperWord + foldedContractions + `?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*` + spaceEnd, gpt4o},
	{"tekken", casedWord + `|` + upperWord + `|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*` + spaceEnd, tekken},
	{"deepseek-v3 words", deepseekWord + spaceEnd, deepseek},
	{"deepseek-v3 ideographs", `[一-龥぀-ゟ゠-ヿ]+`, run(isCJK)},
	{"three digits", `\p{N}{1,3}`, upTo(3, isNumber)},
	{"digits", `\p{N}`, upTo(1, isNumber)},
	{"digit run", `\p{N}+`, run(isNumber)},
	{"space run", `\s+`, run(isSpace)},
}

// findPattern looks an expression up by its text. Files differ in whether they write newlines as escapes.
func findPattern(regex string) pattern {
	regex = strings.NewReplacer("\r", `\r`, "\n", `\n`).Replace(regex)
	for _, p := range patterns {
		if p.regex == regex {
			return p.match
		}
	}
	return nil
}

// literal matches a string.
func literal(text string) pattern {
	return func(s string) int {
		if text != "" && strings.HasPrefix(s, text) {
			return len(text)
		}
		return 0
	}
}

// either is a|b|c: the first alternative that matches.
func either(alternatives ...pattern) pattern {
	return func(s string) int {
		for _, p := range alternatives {
			if n := p(s); n > 0 {
				return n
			}
		}
		return 0
	}
}

// span is the length of the longest beginning of s within c.
func span(s string, c class) int {
	for i, r := range s {
		if !c(r) {
			return i
		}
	}
	return len(s)
}

// run is c+.
func run(c class) pattern {
	return func(s string) int { return span(s, c) }
}

// upTo is c{1,max}.
func upTo(max int, c class) pattern {
	return func(s string) int {
		count := 0
		for i, r := range s {
			if count == max || !c(r) {
				return i
			}
			count++
		}
		return len(s)
	}
}

// after is c?p: with the character where that matches, else without it.
func after(c class, p pattern) pattern {
	return func(s string) int {
		if r, size := utf8.DecodeRuneInString(s); c(r) && size < len(s) {
			if n := p(s[size:]); n > 0 {
				return size + n
			}
		}
		return p(s)
	}
}

// then is pc*.
func then(p pattern, c class) pattern {
	return func(s string) int {
		n := p(s)
		if n == 0 {
			return 0
		}
		return n + span(s[n:], c)
	}
}

// trailingSpace is \s+(?!\S): a run of space at the end, or all but the last character of a run before something else.
func trailingSpace(s string) int {
	n := span(s, isSpace)
	if n < len(s) {
		_, last := utf8.DecodeLastRuneInString(s[:n])
		n -= last
	}
	return n
}

// toLastNewline is \s*[\r\n]+: a run of space up to its last newline.
func toLastNewline(s string) int {
	return strings.LastIndexAny(s[:span(s, isSpace)], "\r\n") + 1
}

// contraction is 's|'t|'re|'ve|'m|'ll|'d.
func contraction(s string) int {
	if s[0] != '\'' || len(s) < 2 {
		return 0
	}
	switch s[1] {
	case 's', 't', 'm', 'd':
		return 2
	}
	if len(s) > 2 {
		switch s[1:3] {
		case "re", "ve", "ll":
			return 3
		}
	}
	return 0
}

// foldedContraction is (?i:'s|'t|'re|'ve|'m|'ll|'d), in which ſ (U+017F) is an s.
func foldedContraction(s string) int {
	if strings.HasPrefix(s, "'ſ") {
		return len("'ſ")
	}
	if s[0] != '\'' {
		return 0
	}
	var lower [3]byte
	n := copy(lower[:], s)
	for i, c := range lower {
		if c >= 'A' && c <= 'Z' {
			lower[i] += 'a' - 'A'
		}
	}
	return contraction(string(lower[:n]))
}

// contracted is p(?i:'s|'t|'re|'ve|'m|'ll|'d)?.
func contracted(p pattern) pattern {
	return func(s string) int {
		n := p(s)
		if n > 0 && n < len(s) {
			n += foldedContraction(s[n:])
		}
		return n
	}
}

// headTail is [heads]*[tails]+. Where no tail follows the heads, the last of them that is a tail too ends the match.
func headTail(s string) int {
	heads := span(s, isHead)
	if tails := span(s[heads:], isTail); tails > 0 {
		return heads + tails
	}
	for end := heads; end > 0; {
		r, size := utf8.DecodeLastRuneInString(s[:end])
		if isTail(r) {
			return end
		}
		end -= size
	}
	return 0
}

// headsTail is [heads]+[tails]*.
func headsTail(s string) int {
	heads := span(s, isHead)
	if heads == 0 {
		return 0
	}
	return heads + span(s[heads:], isTail)
}

// asciiWord is [!-/:-@\[-`{-~][A-Za-z]+.
func asciiWord(s string) int {
	if !isASCIIPunct(rune(s[0])) {
		return 0
	}
	n := span(s[1:], isASCIILetter)
	if n == 0 {
		return 0
	}
	return 1 + n
}

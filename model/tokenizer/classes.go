package tokenizer

import "unicode"

// class is a set of characters.
type class func(r rune) bool

// The library's character classes follow Unicode 16, Go's follow the release of Go (1.26: Unicode 15), so characters that
// are newer than 15 are listed here.

func isLetter(r rune) bool {
	return unicode.IsLetter(r) || r >= 0x1C89 && unicode.Is(newLetters, r)
}

func isNumber(r rune) bool {
	return unicode.IsNumber(r) || r >= 0x10D40 && unicode.Is(newNumbers, r)
}

// isNumeric is the library's other notion of a number (Rust's char::is_numeric), which follows Unicode 17.
func isNumeric(r rune) bool {
	return isNumber(r) || r >= 0x11DE0 && unicode.Is(newNumerics, r)
}

func isMark(r rune) bool {
	return unicode.IsMark(r) || r >= 0x897 && unicode.Is(newMarks, r)
}

func isPunct(r rune) bool {
	return unicode.IsPunct(r) || r >= 0x1B4E && unicode.Is(newPunctuation, r)
}

func isSymbol(r rune) bool {
	return unicode.IsSymbol(r) || r >= 0x2427 && unicode.Is(newSymbols, r)
}

func isUpper(r rune) bool { return unicode.IsUpper(r) || r >= 0x1C89 && unicode.Is(newUpper, r) }
func isLower(r rune) bool { return unicode.IsLower(r) || r >= 0x1C89 && unicode.Is(newLower, r) }

// isWord is \w of Unicode Technical Standard 18, annex C.
func isWord(r rune) bool {
	return isLetter(r) || isMark(r) || isNumeric(r) && !unicode.Is(unicode.No, r) || unicode.Is(unicode.Other_Alphabetic, r) ||
		unicode.Is(unicode.Pc, r) || unicode.Is(unicode.Join_Control, r)
}

func isNewline(r rune) bool        { return r == '\r' || r == '\n' }
func isNewlineOrSlash(r rune) bool { return isNewline(r) || r == '/' }
func isSpace(r rune) bool          { return unicode.IsSpace(r) } // \s: White_Space
func isBlank(r rune) bool          { return r == ' ' }

// isOther is [^\s\p{L}\p{N}].
func isOther(r rune) bool { return !isLetter(r) && !isNumber(r) && !isSpace(r) }

// isJoiner is [^\r\n\p{L}\p{N}].
func isJoiner(r rune) bool { return !isNewline(r) && !isLetter(r) && !isNumber(r) }

// isLetterOrMark is [\p{L}\p{M}].
func isLetterOrMark(r rune) bool { return isLetter(r) || isMark(r) }

// isHead is [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}], isTail is [\p{Ll}\p{Lm}\p{Lo}\p{M}].
func isHead(r rune) bool { return isLetter(r) && !isLower(r) || isMark(r) }
func isTail(r rune) bool {
	return isLetter(r) && !isUpper(r) && !unicode.IsTitle(r) || isMark(r)
}

// isPunctOrSymbol is [\p{P}\p{S}].
func isPunctOrSymbol(r rune) bool { return isPunct(r) || isSymbol(r) }

// isASCIIPunct is [!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~].
func isASCIIPunct(r rune) bool { return r > ' ' && r < 0x7F && !isASCIILetter(r) && !isASCIIDigit(r) }
func isASCIILetter(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
}
func isASCIIDigit(r rune) bool { return r >= '0' && r <= '9' }

// isCJK is [一-龥぀-ゟ゠-ヿ].
func isCJK(r rune) bool { return r >= 0x4E00 && r <= 0x9FA5 || r >= 0x3040 && r <= 0x30FF }

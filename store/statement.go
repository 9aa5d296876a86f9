package store

import (
	"fmt"
	"strings"
)

// soleStatement returns the one statement of a text, without the semicolon and what follows it. The driver would run only
// the first of several and say nothing.
func soleStatement(text string) (string, error) {
	if strings.ContainsRune(text, 0) {
		return "", fmt.Errorf("%w: it holds a zero byte", ErrQuery) // where SQLite would stop reading
	}
	end, rest := nextStatement(text)
	statement := text[:end]
	for rest != "" {
		end, after := nextStatement(rest)
		if !blank(rest[:end]) {
			return "", fmt.Errorf("%w: one statement at a time, please: a second begins at %.30q", ErrQuery, strings.TrimSpace(rest))
		}
		rest = after
	}
	if blank(statement) {
		return "", fmt.Errorf("%w: it is empty: give a name or SQL", ErrQuery)
	}
	return statement, nil
}

// nextStatement finds the end of the first statement, and what comes after its semicolon.
func nextStatement(text string) (end int, rest string) {
	for i := 0; i < len(text); {
		if text[i] == ';' {
			return i, text[i+1:]
		}
		i += token(text[i:])
	}
	return len(text), ""
}

// blank says whether a text is only white space and comments.
func blank(text string) bool {
	for text != "" {
		n := token(text)
		comment := strings.HasPrefix(text, "--") || strings.HasPrefix(text, "/*")
		if !comment && strings.TrimSpace(text[:n]) != "" {
			return false
		}
		text = text[n:]
	}
	return true
}

// token is the length of the quoted text, comment or single byte that text begins with, as SQLite's tokenizer sees it. A
// doubled quote inside quotes reads as two texts, which comes to the same.
func token(text string) int {
	until := func(start int, mark string) int {
		if n := strings.Index(text[start:], mark); n >= 0 {
			return start + n + len(mark)
		}
		return len(text)
	}
	switch {
	case text[0] == '\'' || text[0] == '"' || text[0] == '`':
		return until(1, text[:1])
	case text[0] == '[':
		return until(1, "]")
	case strings.HasPrefix(text, "--"):
		return until(2, "\n")
	case strings.HasPrefix(text, "/*"):
		return until(2, "*/")
	}
	return 1
}

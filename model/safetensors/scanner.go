package safetensors

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/finch-llm/finch/internal/names"
)

// scanner reads JSON of a known shape, one value after the other. Positions in messages are bytes of the file.
type scanner struct {
	path   string // of the file, for messages
	data   []byte
	pos    int
	offset int    // of data within the file
	what   string // what is read, for messages: "header", "tensor"
	item   string // its name, if it has one
}

// fail makes the one message of a damaged file: file, place and problem.
func (s *scanner) fail(at int, format string, args ...any) error {
	what := s.what
	if s.item != "" {
		what += " " + names.Quote(s.item)
	}
	return fmt.Errorf("%s: %s (byte %d): %w", s.path, what, s.offset+at, fmt.Errorf(format, args...))
}

// peek skips white space and returns the next byte, 0 at the end.
func (s *scanner) peek() byte {
	for s.pos < len(s.data) {
		switch c := s.data[s.pos]; c {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return c
		}
	}
	return 0
}

// take consumes c if it is next.
func (s *scanner) take(c byte) bool {
	if s.peek() != c || s.pos == len(s.data) {
		return false
	}
	s.pos++
	return true
}

// expected is the error of a byte that is not what the grammar wants.
func (s *scanner) expected(want string) error {
	if s.peek() == 0 && s.pos == len(s.data) {
		return s.fail(s.pos, "the JSON ends where %s should follow", want)
	}
	return s.fail(s.pos, "%q where %s should be", s.data[s.pos], want)
}

// object reads an object and calls member for every key, with the scanner at its value. The key is only lent.
func (s *scanner) object(member func(key []byte, at int) error) error {
	return s.list('{', '}', "an object", func() error {
		s.peek()
		at := s.pos
		key, err := s.text()
		if err != nil {
			return err
		}
		if !s.take(':') {
			return s.expected("a colon")
		}
		return member(key, at)
	})
}

// list reads opening, elements separated by commas, and closing.
func (s *scanner) list(opening, closing byte, what string, element func() error) error {
	if !s.take(opening) {
		return s.expected(what)
	}
	if s.take(closing) {
		return nil
	}
	for {
		if err := element(); err != nil {
			return err
		}
		if s.take(closing) {
			return nil
		}
		if !s.take(',') {
			return s.expected("a comma or the end of " + what)
		}
	}
}

// text reads a string without copying it if it can.
func (s *scanner) text() ([]byte, error) {
	if s.peek() != '"' {
		return nil, s.expected("a string")
	}
	start := s.pos
	escaped := false
	for i := start + 1; i < len(s.data); i++ {
		switch c := s.data[i]; {
		case c == '\\':
			escaped = true
			i++
		case c == '"':
			s.pos = i + 1
			if !escaped {
				return s.data[start+1 : i], nil
			}
			var out string
			if err := json.Unmarshal(s.data[start:s.pos], &out); err != nil {
				return nil, s.fail(start, "the string is not JSON: %w", err)
			}
			return []byte(out), nil
		case c < ' ':
			return nil, s.fail(i, "a control character in a string")
		}
	}
	return nil, s.fail(start, "the string has no end")
}

// whole reads a whole number that is not negative and not above limit.
func (s *scanner) whole(limit uint64) (uint64, error) {
	s.peek()
	start := s.pos
	n := uint64(0)
	for ; s.pos < len(s.data); s.pos++ {
		c := s.data[s.pos]
		if c < '0' || c > '9' {
			break
		}
		digit := uint64(c - '0')
		if n > (limit-digit)/10 {
			return 0, s.fail(start, "the number is above %d", limit)
		}
		n = n*10 + digit
	}
	if s.pos == start {
		return 0, s.expected("a whole number that is not negative")
	}
	if s.data[start] == '0' && s.pos > start+1 {
		return 0, s.fail(start, "a number with a leading zero")
	}
	if s.pos < len(s.data) && strings.IndexByte(".eE", s.data[s.pos]) >= 0 {
		return 0, s.fail(start, "the number is not written as a whole number")
	}
	return n, nil
}

// skip passes over one value of any kind.
func (s *scanner) skip() error {
	s.peek()
	start := s.pos
	depth := 0
	for ; s.pos < len(s.data); s.pos++ {
		switch c := s.data[s.pos]; c {
		case '"':
			if _, err := s.text(); err != nil {
				return err
			}
			s.pos--
		case '{', '[':
			depth++
		case '}', ']', ',':
			if depth == 0 {
				return s.skipped(start)
			}
			if c != ',' {
				depth--
			}
		}
	}
	return s.expected("the end of a value")
}

// skipped checks the value that ends here.
func (s *scanner) skipped(start int) error {
	if !json.Valid(s.data[start:s.pos]) {
		return s.fail(start, "the value is not JSON")
	}
	return nil
}

// end makes sure that nothing but white space is left.
func (s *scanner) end() error {
	if s.peek(); s.pos < len(s.data) {
		return s.fail(s.pos, "%q after the end of the JSON", s.data[s.pos])
	}
	return nil
}

// checkText refuses JSON that is not UTF-8.
func (s *scanner) checkText() error {
	if utf8.Valid(s.data) {
		return nil
	}
	for i := 0; ; {
		r, n := utf8.DecodeRune(s.data[i:])
		if r == utf8.RuneError && n == 1 {
			return s.fail(i, "the JSON is not UTF-8")
		}
		i += n
	}
}

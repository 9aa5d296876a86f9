package configs

import (
	"fmt"
	"strconv"
	"strings"
)

// mark says where a value stands in the source, and where the values inside it stand.
type mark struct {
	offset int              // of its key, its table header, or for an array element of itself
	keys   map[string]*mark // of a table
	items  []*mark          // of an array
}

// child is the mark of a key, made at offset if the key is new.
func (m *mark) child(key string, offset int) *mark {
	c := m.keys[key]
	if c == nil {
		if m.keys == nil {
			m.keys = map[string]*mark{}
		}
		c = &mark{offset: offset}
		m.keys[key] = c
	}
	return c
}

// Limits on what the TOML parser is given: its memory is some 100 times that of a short key, and grows with the square
// of a key's depth.
const (
	maxDepth  = 8      // of tables and arrays within each other; the schema needs 5
	maxValues = 10_000 // parts of keys, and elements of arrays
)

// locate marks every key of a TOML document. It trusts the source to be valid and stops at what it cannot follow: the
// TOML parser reports that. The error is that the document exceeds a limit.
func locate(doc *document) (root *mark, err error) {
	s := scanner{source: doc.source}
	root = &mark{}
	s.document(root)
	if s.exceeds != "" {
		return nil, doc.errorf(s.pos, "%s", s.exceeds)
	}
	return root, nil
}

type scanner struct {
	source  string
	pos     int
	values  int    // seen so far
	exceeds string // the limit that the document exceeds at pos
}

// within counts one more value at a depth, and reports whether the limits allow it.
func (s *scanner) within(depth int) bool {
	s.values++
	switch {
	case depth > maxDepth:
		s.exceeds = fmt.Sprintf("tables and lists nest more than %d deep here: no setting nests more than 4 deep", maxDepth)
	case s.values > maxValues:
		s.exceeds = fmt.Sprintf("the file has more than %d keys and values: split it", maxValues)
	}
	return s.exceeds == ""
}

// peek is the next byte, or 0 at the end: TOML allows no zero byte.
func (s *scanner) peek() byte {
	if s.pos < len(s.source) {
		return s.source[s.pos]
	}
	return 0
}

// accept skips prefix if it comes next.
func (s *scanner) accept(prefix string) bool {
	ok := strings.HasPrefix(s.source[s.pos:], prefix)
	if ok {
		s.pos += len(prefix)
	}
	return ok
}

// skip passes over bytes of set.
func (s *scanner) skip(set string) {
	for s.pos < len(s.source) && strings.IndexByte(set, s.source[s.pos]) >= 0 {
		s.pos++
	}
}

// skipTo stops before the first byte of set, or at the end.
func (s *scanner) skipTo(set string) {
	if i := strings.IndexAny(s.source[s.pos:], set); i >= 0 {
		s.pos += i
	} else {
		s.pos = len(s.source)
	}
}

// blank passes over white space, line ends and comments.
func (s *scanner) blank() {
	for {
		s.skip(" \t\r\n")
		if s.peek() != '#' {
			return
		}
		s.skipTo("\n")
	}
}

// document = { header | entry }
func (s *scanner) document(root *mark) {
	table, depth := root, 0
	for ok := true; ok; {
		s.blank()
		switch s.peek() {
		case 0:
			return
		case '[':
			table, depth, ok = s.header(root)
		default:
			ok = s.entry(table, depth)
		}
	}
}

// header = "[" key "]" | "[[" key "]]"
func (s *scanner) header(root *mark) (table *mark, depth int, ok bool) {
	start := s.pos
	closing := "]"
	if s.accept("[[") {
		closing = "]]"
	} else {
		s.accept("[")
	}
	parts, ok := s.key(0)
	if !ok || !s.accept(closing) {
		return nil, 0, false
	}
	table = root
	for i, p := range parts {
		table = table.child(p.name, start)
		if i == len(parts)-1 {
			if closing == "]]" {
				table.items = append(table.items, &mark{offset: start})
			} else {
				table.offset = start // it may have been implied by a deeper header above
			}
		}
		if n := len(table.items); n > 0 {
			table = table.items[n-1] // [a.b] belongs to the last [[a]]
		}
	}
	return table, len(parts), true
}

// entry = key "=" value
func (s *scanner) entry(table *mark, depth int) bool {
	parts, ok := s.key(depth)
	if !ok || !s.accept("=") {
		return false
	}
	for _, p := range parts {
		table = table.child(p.name, p.offset)
	}
	return s.value(table, depth+len(parts))
}

type keyPart struct {
	name   string
	offset int
}

// key = part { "." part }, with blanks around parts.
func (s *scanner) key(depth int) (parts []keyPart, ok bool) {
	for {
		s.skip(" \t")
		if !s.within(depth + len(parts) + 1) {
			return nil, false
		}
		p := keyPart{offset: s.pos}
		if p.name, ok = s.keyName(); !ok {
			return nil, false
		}
		parts = append(parts, p)
		s.skip(" \t")
		if !s.accept(".") {
			return parts, true
		}
	}
}

const bareKey = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"

func (s *scanner) keyName() (name string, ok bool) {
	start := s.pos
	switch s.peek() {
	case '\'':
		s.pos++
		s.skipTo("'\n")
		return s.source[start+1 : s.pos], s.accept("'")
	case '"':
		if !s.quoted() {
			return "", false
		}
		raw := s.source[start:s.pos]
		if !strings.Contains(raw, `\`) {
			return raw[1 : len(raw)-1], true
		}
		name, err := strconv.Unquote(raw)
		if err != nil {
			name = raw // \e is TOML's alone: no setting has it, its table's place will do
		}
		return name, true
	}
	s.skip(bareKey)
	return s.source[start:s.pos], s.pos > start
}

// quoted passes over a one-line string in double quotes.
func (s *scanner) quoted() bool {
	for s.pos++; ; s.pos += 2 {
		s.skipTo("\"\\\n")
		if s.peek() != '\\' {
			return s.accept(`"`)
		}
		if s.pos+2 > len(s.source) {
			return false
		}
	}
}

func (s *scanner) value(m *mark, depth int) bool {
	s.skip(" \t")
	start := s.pos
	switch s.peek() {
	case '[', '{':
		return s.nested(m, depth)
	case '"':
		if s.accept(`"""`) {
			return s.multiline(`"`, "\"\\")
		}
		return s.quoted()
	case '\'':
		if s.accept("'''") {
			return s.multiline("'", "'")
		}
		s.pos++
		s.skipTo("'\n")
		return s.accept("'")
	}
	s.skipTo(",]}#\n")
	return s.pos > start
}

// multiline passes over the rest of a multi-line string: up to three quotes, of which up to two more may belong to the
// string. Stops are the bytes to look at: the quote, and the backslash where it escapes.
func (s *scanner) multiline(quote, stops string) bool {
	for {
		s.skipTo(stops)
		switch {
		case s.accept(quote + quote + quote):
			for range 2 {
				s.accept(quote)
			}
			return true
		case s.accept(quote):
		case s.pos+2 <= len(s.source):
			s.pos += 2
		default:
			return false
		}
	}
}

// nested = "[" { value "," } "]" | "{" { entry "," } "}"
func (s *scanner) nested(m *mark, depth int) bool {
	array := s.peek() == '['
	for s.pos++; ; {
		s.blank()
		switch c := s.peek(); {
		case c == 0:
			return false
		case c == ']' && array, c == '}' && !array:
			s.pos++
			return true
		case c == ',':
			s.pos++
		case array:
			item := &mark{offset: s.pos}
			m.items = append(m.items, item)
			if !s.within(depth+1) || !s.value(item, depth+1) {
				return false
			}
		default:
			if !s.entry(m, depth) {
				return false
			}
		}
	}
}

package configs

import (
	"fmt"
	"sort"
	"unicode/utf8"
)

// document is the text that settings and experiments point into.
type document struct {
	name   string
	source string
	starts []int // offset of each line
}

func newDocument(name, source string) *document {
	starts := []int{0}
	for i, c := range []byte(source) {
		if c == '\n' {
			starts = append(starts, i+1)
		}
	}
	return &document{name, source, starts}
}

func (d *document) at(offset int) place {
	offset = min(max(offset, 0), len(d.source))
	line := sort.SearchInts(d.starts, offset+1)
	return place{line, utf8.RuneCountInString(d.source[d.starts[line-1]:offset]) + 1}
}

func (d *document) errorf(offset int, format string, args ...any) error {
	p := d.at(offset)
	return &Error{File: d.name, Line: p.line, Column: p.column, Message: fmt.Sprintf(format, args...)}
}

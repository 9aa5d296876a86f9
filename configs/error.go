package configs

import "fmt"

// Error is one mistake in an experiment file.
type Error struct {
	File         string
	Line, Column int    // from 1, columns in characters; 0 when the mistake is not at one place
	Message      string // the reason, and what to write instead
	Err          error  // the cause outside the file, such as fs.ErrNotExist, or nil
}

func (e *Error) Error() string { return place{e.Line, e.Column}.in(e.File) + ": " + e.Message }

func (e *Error) Unwrap() error { return e.Err }

// place is a line and a column of a file, both from 1; 0 for unknown.
type place struct{ line, column int }

func (p place) in(file string) string {
	switch {
	case p.line == 0:
		return file
	case p.column == 0:
		return fmt.Sprintf("%s:%d", file, p.line)
	}
	return fmt.Sprintf("%s:%d:%d", file, p.line, p.column)
}

//go:build !unix

package mmap

// Scratch is plain memory on this system.
type Scratch struct{ data []byte }

// NewScratch makes a scratch of the given size.
func NewScratch(dir string, size int64) (*Scratch, error) { return &Scratch{make([]byte, size)}, nil }

// WriteAt changes the content.
func (s *Scratch) WriteAt(p []byte, offset int64) (int, error) { return copy(s.data[offset:], p), nil }

// Bytes is the content.
func (s *Scratch) Bytes() []byte { return s.data }

// Close does nothing on this system.
func (s *Scratch) Close() error { return nil }

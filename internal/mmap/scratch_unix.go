//go:build unix

package mmap

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Scratch is a temporary file without a name, mapped for reading: memory that the system can write out when it needs the
// room. It is gone with the process.
type Scratch struct {
	file *os.File
	data []byte
}

// NewScratch makes a scratch file of the given size in a folder. It takes disk only where it is written.
func NewScratch(dir string, size int64) (*Scratch, error) {
	f, err := os.CreateTemp(dir, "scratch-")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, err
	}
	if err := f.Truncate(size); err != nil {
		f.Close()
		return nil, fmt.Errorf("scratch file in %s: %w", dir, err)
	}
	data, err := unix.Mmap(int(f.Fd()), 0, int(size), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("map a scratch file in %s: %w", dir, err)
	}
	return &Scratch{f, data}, nil
}

// WriteAt changes the content. A full disk is an error here, where a write to the mapping would end the process.
func (s *Scratch) WriteAt(p []byte, offset int64) (int, error) { return s.file.WriteAt(p, offset) }

// Bytes is the content, read-only, gone after Close.
func (s *Scratch) Bytes() []byte { return s.data }

// Close gives memory and disk back.
func (s *Scratch) Close() error {
	err := unix.Munmap(s.data)
	if closed := s.file.Close(); err == nil {
		err = closed
	}
	return err
}

// Package mmap maps files into memory for reading, so that a model of many gigabytes costs no more memory than the pages
// that are looked at. On systems without memory mapping the file is read instead.
package mmap

import (
	"fmt"
	"os"
)

// File is the content of a file. It must not be truncated by anyone while it is mapped: reading a page that is gone ends
// the process.
type File struct {
	data   []byte
	mapped bool
}

// Open maps the regular file at path. The file may be renamed or deleted afterwards.
func Open(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file: save it to disk first", path)
	}
	if info.Size() != int64(int(info.Size())) {
		return nil, fmt.Errorf("%s has %d bytes, more than this system can address", path, info.Size())
	}
	if info.Size() == 0 {
		return &File{}, nil // an empty mapping is an error to the kernel
	}
	data, mapped, err := load(f, int(info.Size()))
	if err != nil {
		return nil, fmt.Errorf("map %s: %w", path, err)
	}
	return &File{data: data, mapped: mapped}, nil
}

// Parse maps the file at path and has it parsed. What comes of it may refer to the mapping, which is closed after an error.
func Parse[T any](path string, parse func(data []byte, path string) (T, error)) (T, *File, error) {
	var none T
	f, err := Open(path)
	if err != nil {
		return none, nil, err
	}
	parsed, err := parse(f.Bytes(), path)
	if err != nil {
		f.Close()
		return none, nil, err
	}
	return parsed, f, nil
}

// Bytes is the content. It is read-only (writing to it ends the process) and gone after Close.
func (f *File) Bytes() []byte { return f.data }

// Close releases the mapping. A second call does nothing.
func (f *File) Close() error {
	data := f.data
	f.data = nil
	if data == nil || !f.mapped {
		return nil
	}
	return unload(data)
}

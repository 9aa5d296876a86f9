//go:build !linux

package mmap

// Advise does nothing on this system, which pages by itself.
func Advise([]byte, Advice) {}

package gguf

import (
	"errors"
	"fmt"
	"math"
	"unicode/utf8"
)

// What the reader refuses the writer does not write: both use the checks of this file.

const alignmentKey = "general.alignment"

const (
	maxKey  = 1<<16 - 1 // of the specification
	maxName = 63        // of ggml: GGML_MAX_NAME less the final NUL
)

func checkKey(key string) error {
	switch {
	case key == "":
		return errors.New("the key is empty")
	case len(key) > maxKey:
		return fmt.Errorf("the key has %d bytes, GGUF allows %d", len(key), maxKey)
	case !utf8.ValidString(key):
		return errors.New("the key is not UTF-8")
	}
	return nil
}

func checkName(name string) error {
	switch {
	case name == "":
		return errors.New("the name is empty")
	case len(name) > maxName:
		return fmt.Errorf("the name has %d bytes, ggml allows %d", len(name), maxName)
	case !utf8.ValidString(name):
		return errors.New("the name is not UTF-8")
	}
	return nil
}

// checkAlignment takes what the specification (a multiple of 8) and ggml (a power of two) both allow.
func checkAlignment(n uint64) error {
	if n < 8 || n&(n-1) != 0 || n > math.MaxInt32 {
		return fmt.Errorf("alignment %d is not a power of two from 8 on", n)
	}
	return nil
}

// alignmentOf is the alignment that the metadata value asks for.
func alignmentOf(v Value) (int, error) {
	if v.kind != Uint32 {
		return 0, fmt.Errorf("the alignment is a %s, not a uint32", v.kind)
	}
	if err := checkAlignment(v.bits()); err != nil {
		return 0, err
	}
	return int(v.bits()), nil
}

// padding is the number of zeros that bring n to a multiple of the alignment, a power of two.
func padding(n int64, alignment int) int64 { return -n & int64(alignment-1) }

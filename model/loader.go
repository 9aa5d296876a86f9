package model

import (
	"fmt"
	"hash"

	"github.com/finch-llm/finch/kernels"
)

// loader collects the tensors of a model and remembers the first error, so that assembling reads as a list.
type loader struct {
	ref   string
	find  func(name string) (*kernels.Matrix, error)
	hash  hash.Hash // over names and contents, in order of loading
	bytes int64
	used  map[string]bool // names of the tensors that were loaded
	err   error
}

// maxBlocks bounds the blocks that a configuration can ask for; models have a hundred.
const maxBlocks = 1 << 14

// blocks is the number of blocks to load: none after an error, and none for a count that validate refuses.
func (l *loader) blocks(n int) int {
	if l.err != nil || n > maxBlocks {
		return 0
	}
	return n
}

// finish refuses a tensor of the source that was not loaded: a model that is run without a part of it runs wrong.
// redundant tells the tensors that change nothing.
func (l *loader) finish(names func(yield func(string) bool), redundant func(name string) bool) error {
	for name := range names {
		if !l.used[name] && !redundant(name) {
			return fmt.Errorf("%s: tensor %s has no place in the Llama family as finch runs it: biases, rope factors and more blocks than the configuration says are not supported", l.ref, name)
		}
	}
	return nil
}

// matrix loads one matrix in its stored representation.
func (l *loader) matrix(name string) *kernels.Matrix {
	if l.err != nil {
		return &kernels.Matrix{}
	}
	m, err := l.find(name)
	if err != nil {
		l.err = fmt.Errorf("%s: %w", l.ref, err)
		return &kernels.Matrix{}
	}
	if l.used == nil {
		l.used = map[string]bool{}
	}
	l.used[name] = true
	l.hash.Write([]byte(name))
	l.hash.Write(m.Data)
	l.hash.Write(m.Mask)
	l.bytes += m.Bytes()
	return m
}

// vector loads n numbers as float32.
func (l *loader) vector(name string, n int) []float32 {
	m := l.matrix(name)
	if l.err != nil {
		return nil
	}
	if m.Mask != nil {
		l.err = fmt.Errorf("%s: tensor %s is sparse: a norm is not", l.ref, name)
		return nil
	}
	if m.Rows*m.Cols != n {
		l.err = fmt.Errorf("%s: tensor %s has %d elements, the configuration says %d", l.ref, name, m.Rows*m.Cols, n)
		return nil
	}
	v := make([]float32, n)
	kernels.UnpackBlocks(v, m.Format, m.Data)
	return v
}

// shaped makes a matrix of a tensor of one or two dimensions, shape [rows, cols] or [cols].
func shaped(name string, f kernels.Format, shape []int, data []byte) (*kernels.Matrix, error) {
	m := &kernels.Matrix{Format: f, Rows: 1, Data: data}
	switch len(shape) {
	case 1:
		m.Cols = shape[0]
	case 2:
		m.Rows, m.Cols = shape[0], shape[1]
	default:
		return nil, fmt.Errorf("tensor %s has %d dimensions: finch multiplies matrices", name, len(shape))
	}
	if m.Cols%f.BlockWeights() != 0 || len(data) != m.Rows*f.RowBytes(m.Cols) {
		return nil, fmt.Errorf("tensor %s: %d bytes do not hold %d rows of %d weights in %s", name, len(data), m.Rows, m.Cols, f)
	}
	return m, nil
}

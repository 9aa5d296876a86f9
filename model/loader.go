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
	err   error
}

// maxBlocks bounds what a damaged number of blocks can make finch look for.
const maxBlocks = 1 << 16

// blocks is the number of blocks to load: none after an error, and none for a count that validate refuses.
func (l *loader) blocks(n int) int {
	if l.err != nil || n > maxBlocks {
		return 0
	}
	return n
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

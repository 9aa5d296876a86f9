package imatrix

import (
	"bytes"
	"fmt"
	"math"

	"github.com/finch-llm/finch/internal/mmap"
	"github.com/finch-llm/finch/internal/names"
)

// File is the content of an importance matrix file.
type File struct {
	Datasets  []string // where the text came from
	Chunks    int      // of text
	ChunkSize int      // tokens of a chunk, 0 if unknown: older files do not say
	Matrices  []Matrix // in file order
}

// Matrix is what is known of the inputs of one weight matrix.
type Matrix struct {
	Name    string    // of the tensor, such as "blk.3.attn_q.weight"
	Count   int       // what Squares is the mean over: tokens or, where ChunkSize is 0, chunks of them
	Squares []float64 // mean square of each input, finite and ≥ 0
}

// Open reads the file at path in either form. Errors name the file and the matrix.
func Open(path string) (*File, error) {
	m, err := mmap.Open(path)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	return Parse(m.Bytes(), path)
}

// Parse reads a file in either form; the result does not refer to data. name stands for the file in messages.
func Parse(data []byte, name string) (*File, error) {
	parse := parseLegacy
	if bytes.HasPrefix(data, []byte("GGUF")) {
		parse = parseGGUF
	}
	f, err := parse(data, name)
	if err != nil {
		return nil, err
	}
	if err := f.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return f, nil
}

// Squares is that of the matrix with a name, nil if there is none.
func (f *File) Squares(name string) []float64 {
	for i := range f.Matrices {
		if f.Matrices[i].Name == name {
			return f.Matrices[i].Squares
		}
	}
	return nil
}

// check refuses what is not an importance matrix, in files and before writing.
func (f *File) check() error {
	if len(f.Matrices) == 0 {
		return fmt.Errorf("there are no matrices in it")
	}
	name := func(i int) string { return f.Matrices[i].Name }
	if i := names.New(len(f.Matrices), name).Duplicate(name); i >= 0 {
		return fmt.Errorf("matrix %s is there twice", names.Quote(name(i)))
	}
	if !counts(f.Chunks) || !counts(f.ChunkSize) {
		return fmt.Errorf("no text has %d chunks of %d tokens", f.Chunks, f.ChunkSize)
	}
	for _, m := range f.Matrices {
		if len(m.Squares) == 0 || len(m.Squares) > math.MaxInt32 {
			return fmt.Errorf("matrix %s has %d inputs", names.Quote(m.Name), len(m.Squares))
		}
		if m.Count < 1 || !counts(m.Count) {
			return fmt.Errorf("matrix %s is a mean over %d tokens: its inputs were never seen", names.Quote(m.Name), m.Count)
		}
		for i, s := range m.Squares {
			if !(s >= 0 && s*float64(m.Count) <= math.MaxFloat32) { // as the forms hold it; NaN compares as false
				return fmt.Errorf("matrix %s has %g for the mean square of input %d: the file is damaged, or its model diverged", names.Quote(m.Name), s, i)
			}
		}
	}
	return nil
}

// counts says that n is a count as both forms hold it.
func counts(n int) bool { return n >= 0 && n <= math.MaxInt32 }

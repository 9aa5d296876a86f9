package evaluator

import (
	"fmt"
	"unsafe"

	"github.com/finch-llm/finch/internal/mmap"
)

// vectors are hidden states of the sequences of a corpus, in memory or, if they are many, in a scratch file. Different ones may
// be used at the same time.
type vectors struct {
	width   int         // values of each
	memory  [][]float32 // nil: not put yet
	scratch *mmap.Scratch
}

// newVectors makes room for one vector of so many values for each sequence of a corpus: on disk if they take more than limit
// bytes, if there is one, and there is a folder.
func newVectors(c *Corpus, values int, limit int64, dir string) (*vectors, error) {
	v := &vectors{width: values}
	if bytes := 4 * int64(c.Len()) * int64(values); dir != "" && limit > 0 && bytes > limit {
		scratch, err := mmap.NewScratch(dir, bytes)
		if err != nil {
			return nil, fmt.Errorf("keeping hidden states: %w", err)
		}
		v.scratch = scratch
		return v, nil
	}
	v.memory = make([][]float32, c.Len())
	return v, nil
}

// put stores a copy of x as the vector of a sequence.
func (v *vectors) put(sequence int, x []float32) error {
	if v.scratch == nil {
		v.memory[sequence] = append(v.memory[sequence][:0], x...)
		return nil
	}
	if _, err := v.scratch.WriteAt(bytesOf(x), int64(4*sequence*v.width)); err != nil {
		return fmt.Errorf("keeping hidden states: %w: make room on that disk", err)
	}
	return nil
}

// get is the vector of a sequence, read-only. The next put for it changes it.
func (v *vectors) get(sequence int) []float32 {
	if v.scratch == nil {
		return v.memory[sequence]
	}
	return unsafe.Slice((*float32)(unsafe.Pointer(&v.scratch.Bytes()[4*sequence*v.width])), v.width)
}

// close gives disk back.
func (v *vectors) close() error {
	if v.scratch == nil {
		return nil
	}
	return v.scratch.Close()
}

// bytesOf is the memory of x.
func bytesOf(x []float32) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), 4*len(x))
}

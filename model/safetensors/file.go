package safetensors

import (
	"github.com/finch-llm/finch/internal/mmap"
	"github.com/finch-llm/finch/internal/names"
)

// File is an open safetensors file. Tensor data are slices of the mapping: they must not be written to, and not be used
// after Close. Names are copies.
type File struct {
	Name     string            // for messages: the path
	Metadata map[string]string // of __metadata__, nil without it
	Tensors  []Tensor          // in the order of their data

	index   names.Index
	mapping *mmap.File
}

// Tensor is one tensor, row-major: a weight matrix has the shape {outputs, inputs}.
type Tensor struct {
	Name  string
	DType DType
	Shape []int
	Data  []byte // may be unaligned in memory

	begin, end int64 // of the data, from the end of the header
	at         int   // the byte of the header at which the entry starts, for messages
}

// Elements is the number of elements.
func (t *Tensor) Elements() int64 {
	n := int64(1)
	for _, d := range t.Shape {
		n *= int64(d)
	}
	return n
}

// Open maps the safetensors file at path and checks it. Errors name the file, the tensor and the byte.
func Open(path string) (*File, error) {
	f, m, err := mmap.Parse(path, Parse)
	if err != nil {
		return nil, err
	}
	f.mapping = m
	return f, nil
}

// Close releases the mapping that Open made.
func (f *File) Close() error {
	if f.mapping == nil {
		return nil
	}
	return f.mapping.Close()
}

func (f *File) tensorName(i int) string { return f.Tensors[i].Name }

// Tensor finds a tensor by its name.
func (f *File) Tensor(name string) (*Tensor, bool) {
	i := f.index.Find(name, f.tensorName)
	if i < 0 {
		return nil, false
	}
	return &f.Tensors[i], true
}

package gguf

import (
	"errors"

	"github.com/finch-llm/finch/internal/mmap"
	"github.com/finch-llm/finch/internal/names"
)

// DefaultAlignment is the alignment of a file without the key general.alignment.
const DefaultAlignment = 32

// File is an open GGUF file. Values and tensor data are slices of the mapping: they must not be written to, and not be used
// after Close. Names are copies.
type File struct {
	Name      string // for messages: the path
	Version   uint32 // 2 or 3, the same layout
	Alignment int
	Meta      []KV         // in file order
	Tensors   []TensorInfo // in file order

	keyIndex    names.Index
	tensorIndex names.Index
	mappings    []*mmap.File
}

// KV is one metadata entry.
type KV struct {
	Key   string
	Value Value
}

// TensorInfo is one tensor.
type TensorInfo struct {
	Name   string
	Dims   []uint64 // ggml's order: Dims[0] is the length of a row. A weight matrix [outputs, inputs] has {inputs, outputs}.
	Type   TensorType
	Offset uint64 // from the start of the tensor data of its file
	Data   []byte // may be unaligned in memory
}

// Elements is the number of weights.
func (t *TensorInfo) Elements() int64 {
	n := int64(1)
	for _, d := range t.Dims {
		n *= int64(d)
	}
	return n
}

// Open maps the GGUF file at path and checks it. A part of a model that llama-gguf-split has split stands for all of its
// parts, which lie beside it: the File is the whole model, without the keys of the split. Errors name the file, the key or
// tensor, and the byte.
func Open(path string) (*File, error) {
	f, err := openOne(path)
	if err != nil {
		return nil, err
	}
	whole := f
	p, err := partOf(f)
	switch {
	case err != nil:
	case p.count > 1:
		whole, err = openParts(f, p)
	default:
		f.dropSplitKeys()
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return whole, nil
}

// Close releases the mappings that Open made.
func (f *File) Close() error {
	var failed []error
	for _, m := range f.mappings {
		failed = append(failed, m.Close())
	}
	return errors.Join(failed...)
}

// WithMeta is the file under other metadata. It shares the mapping of f, and is of no use after f is closed.
func (f *File) WithMeta(meta []KV) *File {
	g := *f
	g.Meta = meta
	g.keyIndex = names.New(len(meta), g.key)
	return &g
}

func (f *File) key(i int) string        { return f.Meta[i].Key }
func (f *File) tensorName(i int) string { return f.Tensors[i].Name }

// Get finds a metadata value.
func (f *File) Get(key string) (Value, bool) {
	i := f.keyIndex.Find(key, f.key)
	if i < 0 {
		return Value{}, false
	}
	return f.Meta[i].Value, true
}

// Tensor finds a tensor by its name.
func (f *File) Tensor(name string) (*TensorInfo, bool) {
	i := f.tensorIndex.Find(name, f.tensorName)
	if i < 0 {
		return nil, false
	}
	return &f.Tensors[i], true
}

// The methods below find a value and decode it as the method of Value of the same name does; ok is false if the key is
// missing or has another type, which Get tells apart.

func (f *File) String(key string) (s string, ok bool)    { return get(f, key, Value.Text) }
func (f *File) Uint(key string) (n uint64, ok bool)      { return get(f, key, Value.Uint) }
func (f *File) Int(key string) (n int64, ok bool)        { return get(f, key, Value.Int) }
func (f *File) Float(key string) (x float64, ok bool)    { return get(f, key, Value.Float) }
func (f *File) Bool(key string) (b, ok bool)             { return get(f, key, Value.Bool) }
func (f *File) Strings(key string) (s []string, ok bool) { return get(f, key, Value.Strings) }
func (f *File) Ints(key string) (n []int64, ok bool)     { return get(f, key, Value.Ints) }
func (f *File) Floats(key string) (x []float64, ok bool) { return get(f, key, Value.Floats) }
func (f *File) Bools(key string) (b []bool, ok bool)     { return get(f, key, Value.Bools) }
func (f *File) Bytes(key string) (b []byte, ok bool)     { return get(f, key, Value.Bytes) }

func get[T any](f *File, key string, as func(Value) (T, bool)) (x T, ok bool) {
	v, ok := f.Get(key)
	if !ok {
		return x, false
	}
	return as(v)
}

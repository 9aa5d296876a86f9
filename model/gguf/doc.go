// Package gguf reads and writes GGUF, the model file of llama.cpp
// (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md):
//
//	"GGUF", version uint32, tensor count uint64, key count uint64
//	key count × { key string, value type uint32, value }
//	tensor count × { name string, dimensions uint32, sizes uint64…, type uint32, offset uint64 }
//	padding to the alignment, then the data of the tensors, each padded to the alignment
//
// Everything is little-endian; a string is its length as uint64 and its bytes; offsets count from the start of the data.
//
// Reading is lazy: values and tensor data are slices of the mapped file, checked when the file is opened and decoded when
// they are asked for. A file that Open accepts has no duplicate names, and every tensor lies within the file, aligned and
// apart from the others.
package gguf

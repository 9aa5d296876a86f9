package model

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"

	"github.com/finch-llm/finch/kernels"
	"github.com/finch-llm/finch/model/gguf"
	"github.com/finch-llm/finch/model/tokenizer"
)

// openGGUF maps a .gguf file.
func openGGUF(path, ref string) (*Model, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return nil, err
	}
	m, err := fromGGUF(ref, f)
	if err != nil {
		f.Close()
		return nil, err
	}
	m.close = f.Close
	return m, nil
}

// fromGGUF assembles a model from a parsed GGUF file.
func fromGGUF(ref string, f *gguf.File) (*Model, error) {
	f, without, err := fromDeci(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", ref, err)
	}
	c, err := ggufConfig(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", ref, err)
	}
	if c.Name == "" {
		c.Name = filepath.Base(ref)
	}
	m := &Model{Config: c, Ref: ref, gguf: f}
	if m.Tokenizer, err = tokenizer.FromGGUF(f); err != nil {
		return nil, fmt.Errorf("%s: %w", ref, err)
	}
	load := &loader{ref: ref, hash: sha256.New(), name: ggufName}
	load.has = func(name string) bool { _, ok := f.Tensor(name); return ok }
	load.find = func(name string, _ int) (*kernels.Matrix, error) {
		t, ok := f.Tensor(name)
		if !ok {
			return nil, fmt.Errorf("tensor %s is missing", name)
		}
		format, ok := t.Type.Format()
		if !ok {
			return nil, fmt.Errorf("tensor %s is stored as %s, which finch cannot multiply: convert the model again, with weights in f16 or a quantized type", name, t.Type)
		}
		// ggml lists the fastest dimension first.
		shape := make([]int, len(t.Dims))
		for i, d := range t.Dims {
			shape[len(shape)-1-i] = int(d)
		}
		load.use(name)
		return shaped(name, format, shape, t.Data)
	}
	for _, kv := range f.Meta {
		load.hash.Write([]byte(kv.Key))
		load.hash.Write(kv.Value.Encoded())
	}
	local, err := describeGGUF(m, load, f)
	if err != nil {
		return nil, err
	}
	drops := nothingDropped
	if without != nil {
		drops, load.standIn = without.drops, without.standIn
	}
	if err := load.assemble(m, drops, local); err != nil {
		return nil, err
	}
	names := func(yield func(string) bool) {
		for i := range f.Tensors {
			if !yield(f.Tensors[i].Name) {
				return
			}
		}
	}
	if err := load.finish(m.Architecture, names, func(string) bool { return false }); err != nil {
		return nil, err
	}
	m.Hash, m.Bytes = hex.EncodeToString(load.hash.Sum(nil)), load.bytes
	return m, nil
}

// ggufName is the name of a tensor in a file.
func ggufName(block int, part string) string { return FileName(tensorName(block, part)) }

// Package export writes the files that compressed models ship in, and knows beforehand how large they will be, to the byte.
//
// What was scored is what is written: gguf and packed copy the stored blocks, never decode and round them again. Two things
// are rearranged where a format asks for it: the rows of q and k move, whole, between the orders of rotary pairs of llama.cpp
// and of Hugging Face, and the zeros of a sparse layer of plain numbers are written out.
//
// A search counts bytes as a sum over layers (Fixed, Layer, Parts, Dropped). A network with all of its sublayers has exactly
// the promised size. Of one that lost some the sum is an upper bound: headers lose entries and the names of blocks that move
// down get shorter, less than a kilobyte for each sublayer; and what stands in for a dropped sublayer is counted also where
// the whole block goes. Size, which is what is recorded of a candidate, is exact always. In safetensors files the length of
// the header depends on the digits of offsets: it is padded with spaces, which the format provides for, to a bound for each
// tensor. GGUF files have a fixed number of bytes for their provenance.
package export

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/finch-llm/finch/compress"
	"github.com/finch-llm/finch/model"
)

// Format is a way to write the compressed networks of one model.
type Format interface {
	// Files are what a network is written to: one file, or those of a folder. The error says why the format cannot hold it.
	Files(n *model.Network) ([]File, error)
}

// File is one file of an export.
type File struct {
	Name  string // in its folder; empty if the format is a single file
	Bytes int64
	Write func(w io.Writer) error // writes exactly Bytes
}

// Target is a format whose bytes a search can count. Sizes are in bytes.
type Target interface {
	Format
	// Fixed is the size of the files without the weights of the blocks.
	Fixed() int64
	// Layer is what a layer adds at a level. Where the format has no sparse type, a sparse layer costs as much as a dense one.
	Layer(info compress.Info) int64
	// Parts is what a kept sublayer, attention or MLP, adds beside its layers: norms, biases, the router of a mixture.
	Parts(attention bool) int64
	// Dropped is what stands in for what a block drops, one sublayer or both. The error says why the format cannot do
	// without it.
	Dropped(block int, attn, mlp bool) (int64, error)
}

// ErrNoBlocks says that a format cannot hold a network because every block is dropped.
var ErrNoBlocks = errors.New("every block is dropped: no engine loads a model without blocks")

// formats are all that finch writes; those of them are targets that count bytes.
var formats = []struct {
	name string
	open func(m *model.Model, p Provenance) (Format, error)
}{
	{"gguf", func(m *model.Model, p Provenance) (Format, error) { return newGGUF(m, p) }},
	{"safetensors", func(m *model.Model, _ Provenance) (Format, error) { return newSafetensors(m) }},
	{"packed", func(m *model.Model, _ Provenance) (Format, error) { return newPacked(m) }},
	{"compressed-tensors", func(m *model.Model, _ Provenance) (Format, error) {
		f, err := newFolder(m)
		return &compressedFormat{f}, err
	}},
	{"evopress", func(m *model.Model, p Provenance) (Format, error) { return evopressFormat{m, p}, nil }},
	{"recipe", func(m *model.Model, _ Provenance) (Format, error) { return recipeFormat{m}, nil }},
}

// Names lists the formats.
func Names() []string {
	var names []string
	for _, f := range formats {
		names = append(names, f.name)
	}
	return names
}

// Open finds a format by its name. The error says why it cannot hold the model.
func Open(name string, m *model.Model, p Provenance) (Format, error) {
	for _, f := range formats {
		if f.name == name {
			return f.open(m, p)
		}
	}
	return nil, fmt.Errorf("unknown format %q: write one of %s", name, strings.Join(Names(), ", "))
}

// For finds a target by its name in the experiment file.
func For(name string, m *model.Model) (Target, error) {
	f, err := Open(name, m, Provenance{})
	if err != nil {
		return nil, err
	}
	t, ok := f.(Target)
	if !ok {
		return nil, fmt.Errorf("format %q is no target: a search does not count its bytes", name)
	}
	return t, nil
}

// Size is the exact size of the files of a network.
func Size(f Format, n *model.Network) (int64, error) {
	files, err := f.Files(n)
	total := int64(0)
	for _, file := range files {
		total += file.Bytes
	}
	return total, err
}

// align rounds up to a multiple of n.
func align(size, n int64) int64 { return (size + n - 1) / n * n }

// Package export writes the files that compressed models ship in, and knows beforehand how large they will be, to the byte.
//
// What was scored is what is written: the stored blocks are copied, never decoded and rounded again. Two things are
// rearranged where GGUF asks for it: the rows of q and k of a Hugging Face model move, whole, to llama.cpp's order of rotary
// pairs, and the zeros of a sparse layer of plain numbers are written out.
//
// A search counts bytes as a sum over layers (Fixed, Layer, Parts), so a file must have the size that the sum promises. What
// formats do not quite add up is settled as follows. In safetensors files (safetensors, packed) the length of the header
// depends on the digits of offsets: it is padded with spaces, which the format provides for, to a bound for each tensor. In
// GGUF only the number of blocks matters: a network with all of its blocks has exactly the promised size. One that lost
// whole blocks also lost their entries in the header, some 60 bytes for each tensor, and the names of blocks that moved down
// may be shorter; nothing is padded there, so the sum is an upper bound, less than a kilobyte above for each lost block.
// Size, which is what is recorded of a candidate, is exact always.
package export

import (
	"errors"
	"fmt"
	"io"

	"github.com/finch-llm/finch/compress"
	"github.com/finch-llm/finch/model"
)

// Target is a file format in which the compressed networks of one model can be held. Sizes are in bytes.
type Target interface {
	// Fixed is the size of the file without the weights of the blocks.
	Fixed() int64
	// Layer is what a layer adds at a level. Where the format has no sparse type, a sparse layer costs as much as a dense one.
	Layer(info compress.Info) int64
	// Parts is what a kept sublayer, attention or MLP, adds beside its layers: norms, biases, the router of a mixture.
	Parts(attention bool) int64

	// Size is the exact size of the file of a network: the sum of the above, or less after lost blocks (see the package
	// comment). The error says why the format cannot hold the network.
	Size(n *model.Network) (int64, error)
	// Write writes the file.
	Write(w io.Writer, n *model.Network) error
}

// ErrNoBlocks says that a GGUF cannot hold a network because every block is dropped.
var ErrNoBlocks = errors.New("every block is dropped: llama.cpp loads no model without blocks")

// For finds a target by its name in the experiment file. The error says why the format cannot hold the model.
func For(name string, m *model.Model) (Target, error) {
	switch name {
	case "gguf":
		return newGGUF(m)
	case "safetensors":
		return safetensorsTarget{m}, nil
	case "packed":
		return newPacked(m)
	}
	return nil, fmt.Errorf("unknown target %q: write gguf, safetensors or packed", name)
}

// align rounds up to a multiple of n.
func align(size, n int64) int64 { return (size + n - 1) / n * n }

// Package export knows the files that compressed models are held in: what a layer costs there, to the byte.
//
// Sizes add up over layers, so that a search can count them: where the format itself does not quite add up (the digits of an
// offset, the padding of a header) the file is padded to the sum.
package export

import (
	"fmt"

	"github.com/finch-llm/finch/compress"
	"github.com/finch-llm/finch/model"
)

// Target is a file format in which a compressed model can be held. Sizes are in bytes.
type Target interface {
	// Fixed is the size of the file without the weights of the blocks.
	Fixed(m *model.Model) (int64, error)
	// Layer is what a layer adds at a level. Where the format has no sparse type, a sparse layer costs as much as a dense one.
	Layer(info compress.Info) int64
	// Norm is what the norm of a kept sublayer adds.
	Norm(m *model.Model) int64
}

// For finds a target by its name in the experiment file.
func For(name string) (Target, error) {
	switch name {
	case "gguf":
		return ggufTarget{}, nil
	case "safetensors":
		return safetensorsTarget{}, nil
	case "packed":
		return packedTarget{}, nil
	}
	return nil, fmt.Errorf("unknown target %q: write gguf, safetensors or packed", name)
}

// align rounds up to a multiple of n.
func align(size, n int64) int64 { return (size + n - 1) / n * n }

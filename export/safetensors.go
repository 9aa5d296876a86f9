package export

import (
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/finch-llm/finch/compress"
	"github.com/finch-llm/finch/model"
)

// entryBytes bounds the header entry of one tensor in a safetensors file. Headers are padded with spaces to what this
// bound adds up to. It is a multiple of 8, as headers are.
var entryBytes = align(int64(len(fmt.Sprintf(`"model.layers.99999.post_attention_layernorm.weight":{"dtype":"BF16","shape":[%d,%d],"data_offsets":[%d,%d]},`,
	math.MaxInt32, math.MaxInt32, int64(1e15), int64(1e15)))), 8)

// safetensorsTarget is the weight file of a Hugging Face folder, as transformers loads it: every weight in bf16, zeros
// included. Only dropping makes it smaller. Finch counts such files and does not write them.
type safetensorsTarget struct{ m *model.Model }

func (t safetensorsTarget) Fixed() int64 {
	size := 8 + align(int64(len(`{"__metadata__":{"format":"pt"}}`)), 8)
	for _, e := range outside(t.m) {
		size += entryBytes + 2*int64(e.Matrix.Rows)*int64(e.Matrix.Cols)
	}
	return size
}

func (safetensorsTarget) Layer(info compress.Info) int64 { return entryBytes + 2*info.Weights() }

func (t safetensorsTarget) Parts(attention bool) int64 {
	return parts(t.m, attention, func(rows, cols int) int64 { return entryBytes + 2*int64(rows)*int64(cols) })
}

func (t safetensorsTarget) Size(n *model.Network) (int64, error) {
	size := t.Fixed()
	for _, e := range t.m.Tensors(n) {
		if e.Block >= 0 {
			size += t.Layer(compress.Info{Rows: e.Matrix.Rows, Cols: e.Matrix.Cols})
		}
	}
	return size, nil
}

func (safetensorsTarget) Write(io.Writer, *model.Network) error {
	return errors.New("finch does not write Hugging Face folders: write gguf or packed")
}

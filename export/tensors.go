package export

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/finch-llm/finch/kernels"
	"github.com/finch-llm/finch/model"
)

// tensor is a matrix or a norm of a network on its way to a file.
type tensor struct {
	block int    // -1 outside the blocks
	part  string // attn_q, ffn_norm, token_embd
	w     *kernels.Matrix
	norm  bool // w is one row of f32
}

// name is GGUF's, without ".weight".
func (t *tensor) name() string {
	if t.block < 0 {
		return t.part
	}
	return fmt.Sprintf("blk.%d.%s", t.block, t.part)
}

// tensors lists what a network of m consists of, without dropped sublayers, in llama.cpp's order.
func tensors(m *model.Model, n *model.Network) []tensor {
	list := []tensor{{-1, "token_embd", m.Embedding, false}}
	for b := range n.Blocks {
		block := &n.Blocks[b]
		if !block.DropAttn {
			list = append(list, tensor{b, "attn_norm", vector(block.AttnNorm), true})
		}
		if !block.DropMLP {
			list = append(list, tensor{b, "ffn_norm", vector(block.MLPNorm), true})
		}
		for k, w := range block.Layers {
			if kind := model.Kind(k); !block.Drops(kind) {
				list = append(list, tensor{b, kind.String(), w, false})
			}
		}
	}
	list = append(list, tensor{-1, "output_norm", vector(m.OutputNorm), true})
	if !m.TiedHead {
		list = append(list, tensor{-1, "output", m.Head, false})
	}
	return list
}

// vector is a row of f32.
func vector(v []float32) *kernels.Matrix {
	data := make([]byte, 0, 4*len(v))
	for _, x := range v {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(x))
	}
	return &kernels.Matrix{Format: kernels.F32, Rows: 1, Cols: len(v), Data: data}
}

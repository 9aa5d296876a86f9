package export

import (
	"fmt"
	"strings"

	"github.com/finch-llm/finch/kernels"
	"github.com/finch-llm/finch/model"
	"github.com/finch-llm/finch/model/gguf"
)

// llama.cpp's architecture "deci" is llama with numbers of heads and widths of the MLP that differ from block to block, so
// it can hold a llama model whose blocks have lost one of their sublayers. Two of its ways are evaded (src/models/deci.cpp):
//
//   - It leaves a block without an MLP before the attention is added to the residual stream: a dropped MLP is one of width 1
//     whose weights are zero.
//   - It takes the size of all heads from the first block, and as none if that has no heads: there a dropped attention is
//     one head of zeros.

const deci = "deci"

// loseSublayers says why files of this model cannot have blocks that lost one sublayer.
func (t *ggufTarget) loseSublayers() error {
	if t.m.Architecture != "llama" || t.m.Experts > 0 || t.m.Extra != 0 {
		what := t.m.Architecture + " model"
		if t.m.Architecture == "llama" {
			what += " with experts or biases"
		}
		return fmt.Errorf("a GGUF of a %s can lose whole blocks only: write search.whole_blocks = true, or a packed file", what)
	}
	return nil
}

func (t *ggufTarget) Dropped(block int, attn, mlp bool) (int64, error) {
	whole := attn && mlp
	if !whole {
		if err := t.loseSublayers(); err != nil {
			return 0, err
		}
	}
	for kept := 1; kept < t.m.Blocks; kept++ { // which blocks go is not known yet
		if err := t.m.GGUFLoss(kept); err != nil {
			return 0, err
		}
	}
	if whole {
		return 0, nil
	}
	// Three arrays in place of numbers, and two numbers that need not have been there.
	arrays := 3*(8+4*t.m.Blocks) + 2*keyBytes(deci+".attention.value_length", gguf.ValueOf(uint32(0)))
	cost := align(int64(arrays), t.alignment)
	switch {
	case mlp:
		cost += t.standInBytes(t.zeroMLP(block))
	case block == 0: // also where it goes as a whole: then another block is the first
		cost += t.standInBytes(t.zeroAttention(block))
	}
	return cost, nil
}

// deciMetadata describes a network of which the kept blocks are in the file.
func (t *ggufTarget) deciMetadata(meta []gguf.KV, n *model.Network, kept []int) []gguf.KV {
	var heads, kvHeads, width []uint32
	for _, b := range kept {
		h, kv, w := uint32(t.m.Heads), uint32(t.m.KVHeads), uint32(t.m.MLP)
		if n.Blocks[b].DropAttn {
			h, kv = 0, 0
			if b == kept[0] {
				h, kv = 1, 1
			}
		}
		if n.Blocks[b].DropMLP {
			w = 1
		}
		heads, kvHeads, width = append(heads, h), append(kvHeads, kv), append(width, w)
	}
	meta = set(meta, "general.architecture", gguf.ValueOf(deci))
	for i := range meta {
		if rest, ok := strings.CutPrefix(meta[i].Key, t.m.Architecture+"."); ok {
			meta[i].Key = deci + "." + rest
		}
	}
	meta = set(meta, deci+".attention.head_count", gguf.ArrayOf(heads))
	meta = set(meta, deci+".attention.head_count_kv", gguf.ArrayOf(kvHeads))
	meta = set(meta, deci+".feed_forward_length", gguf.ArrayOf(width))
	// Not the quotient of the hidden size and the heads of the first block.
	meta = set(meta, deci+".attention.key_length", gguf.ValueOf(uint32(t.m.HeadDim)))
	return set(meta, deci+".attention.value_length", gguf.ValueOf(uint32(t.m.HeadDim)))
}

// standIns are the tensors in place of dropped sublayers.
func (t *ggufTarget) standIns(n *model.Network, kept []int) []model.Tensor {
	var list []model.Tensor
	for _, b := range kept {
		if n.Blocks[b].DropMLP {
			list = append(list, t.zeroMLP(b)...)
		}
		if n.Blocks[b].DropAttn && b == kept[0] {
			list = append(list, t.zeroAttention(b)...)
		}
	}
	return list
}

func (t *ggufTarget) zeroMLP(block int) []model.Tensor {
	return []model.Tensor{
		{Block: block, Part: model.FFNNorm.String(), Matrix: zeros(1, t.m.Hidden), Vector: true},
		{Block: block, Part: model.FFNGate.String(), Matrix: zeros(1, t.m.Hidden)},
		{Block: block, Part: model.FFNUp.String(), Matrix: zeros(1, t.m.Hidden)},
		{Block: block, Part: model.FFNDown.String(), Matrix: zeros(t.m.Hidden, 1)},
	}
}

func (t *ggufTarget) zeroAttention(block int) []model.Tensor {
	list := []model.Tensor{{Block: block, Part: model.AttnNorm.String(), Matrix: zeros(1, t.m.Hidden), Vector: true}}
	for _, k := range []model.Kind{model.AttnQ, model.AttnK, model.AttnV} {
		list = append(list, model.Tensor{Block: block, Part: k.String(), Matrix: zeros(t.m.HeadDim, t.m.Hidden)})
	}
	return append(list, model.Tensor{Block: block, Part: model.AttnOutput.String(), Matrix: zeros(t.m.Hidden, t.m.HeadDim)})
}

func (t *ggufTarget) standInBytes(list []model.Tensor) (size int64) {
	for _, e := range list {
		size += t.bytes(e.Matrix.Format, e.Matrix.Rows, e.Matrix.Cols)
	}
	return size
}

// zeros is a matrix of zeros: vectors in f32, others in the smallest format that any engine knows and the rows divide into.
func zeros(rows, cols int) *kernels.Matrix {
	f := kernels.F32
	if rows > 1 && cols > 1 {
		f = kernels.F16
		if cols%kernels.Q4_0.BlockWeights() == 0 {
			f = kernels.Q4_0
		}
	}
	return &kernels.Matrix{Format: f, Rows: rows, Cols: cols, Data: make([]byte, rows*f.RowBytes(cols))}
}

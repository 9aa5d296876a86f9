package model

import (
	"fmt"
	"slices"
	"strings"

	"github.com/finch-llm/finch/kernels"
	"github.com/finch-llm/finch/model/gguf"
)

// lost says which sublayers each block of a GGUF file goes without, and whether something stands in for its attention. nil: none.
type lost []struct{ attn, mlp, attnStandIn bool }

// drops says whether a block goes without a sublayer.
func (l lost) drops(block int, attention bool) bool {
	if attention {
		return l[block].attn
	}
	return l[block].mlp
}

// fromDeci reads a file of llama.cpp's architecture "deci", which is llama with numbers of heads and widths of the MLP that
// differ from block to block, as one of the architecture "llama" in which some blocks have lost a sublayer. Other files are
// returned as they are.
//
// A sublayer whose numbers are not those of the others is a stand-in for a dropped one, and its output weights must be
// zero; llama.cpp needs stand-ins for every MLP and for the attention of the first block. Other uses of the architecture,
// such as attention without key/value heads, are refused.
func fromDeci(f *gguf.File) (*gguf.File, lost, error) {
	const deci = "deci."
	if arch, _ := f.String("general.architecture"); arch+"." != deci {
		return f, nil, nil
	}
	blocks, ok := f.Uint(deci + "block_count")
	if !ok || blocks == 0 || blocks > maxBlocks {
		return nil, nil, fmt.Errorf("metadata key %sblock_count is missing, or not a number of blocks", deci)
	}
	numbers := map[string][]int64{}
	for _, key := range []string{"attention.head_count", "attention.head_count_kv", "feed_forward_length"} {
		each, ok := f.Ints(deci + key)
		if n, one := f.Int(deci + key); one {
			each, ok = slices.Repeat([]int64{n}, int(blocks)), true
		}
		if !ok || len(each) != int(blocks) || slices.Max(each) < 1 || slices.Min(each) < 0 {
			return nil, nil, fmt.Errorf("metadata key %s%s is missing, or not a number for each of %d blocks", deci, key, blocks)
		}
		numbers[key] = each
	}
	heads, kv, width := numbers["attention.head_count"], numbers["attention.head_count_kv"], numbers["feed_forward_length"]
	without := make(lost, blocks)
	for b := range without {
		w := &without[b]
		w.attn, w.mlp = heads[b] != slices.Max(heads), width[b] != slices.Max(width)
		w.attnStandIn = w.attn && heads[b] > 0
		switch {
		case width[b] == 0 || b == 0 && heads[b] == 0:
			return nil, nil, fmt.Errorf("block %d has no stand-in for what it has lost, without which llama.cpp runs it wrong", b)
		case (heads[b] == 0) != (kv[b] == 0) || !w.attn && kv[b] != slices.Max(kv):
			return nil, nil, fmt.Errorf("block %d has %d heads and %d key/value heads: finch runs deci models whose attention is the same in all blocks, or dropped", b, heads[b], kv[b])
		}
	}
	meta := slices.Clone(f.Meta)
	for i := range meta {
		key, ok := strings.CutPrefix(meta[i].Key, deci)
		if ok {
			meta[i].Key = "llama." + key
		}
		if each, ok := numbers[key]; ok {
			meta[i].Value = gguf.ValueOf(uint32(min(slices.Max(each), 1<<24+1))) // no more than ggufConfig refuses
		}
		if meta[i].Key == "general.architecture" {
			meta[i].Value = gguf.ValueOf("llama")
		}
	}
	return f.WithMeta(meta), without, nil
}

// standIn loads what stands in for a dropped sublayer: always something for an MLP. The last layer, which decides what the sublayer
// adds to the residual stream, must be zero.
func (l lost) standIn(load *loader, c *Config, block int, attention bool) {
	if attention && !l[block].attnStandIn {
		return
	}
	for _, p := range c.Parts() {
		if p.IsAttention() == attention {
			load.vector(load.name(block, p.String()), c.Hidden)
		}
	}
	for _, k := range c.Kinds() {
		if k.IsAttention() != attention {
			continue
		}
		w := load.matrix(load.name(block, k.String()), 0)
		if load.err != nil || k != AttnOutput && k != FFNDown {
			continue
		}
		row := make([]float32, w.Cols)
		for r := range w.Rows {
			kernels.Unpack(row, w, r)
			if slices.ContainsFunc(row, func(x float32) bool { return x != 0 }) {
				load.err = fmt.Errorf("%s: %s has another shape than in other blocks: finch runs deci models whose blocks are alike but for dropped sublayers", load.ref, LayerName(block, k))
				return
			}
		}
	}
}

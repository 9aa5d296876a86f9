package export

import (
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/finch-llm/finch/kernels"
	"github.com/finch-llm/finch/model"
	"github.com/finch-llm/finch/model/safetensors"
)

// compressedFormat is a Hugging Face folder in the format "pack-quantized" of the library compressed-tensors, which vLLM
// loads. Integer groups of 4 and 8 bits are stored as codes; every other layer is decoded, rounded to bf16 and listed under
// "ignore". A module NAME that is quantized consists of, with 32/bits codes to an int32, low bits first:
//
//	NAME.weight_packed      I32 [rows, cols·bits/32]
//	NAME.weight_scale       F16 [rows, groups]
//	NAME.weight_zero_point  I32 [⌈rows·bits/32⌉, groups], packed along the rows; not there if symmetric
//	NAME.weight_shape       I64 [2]
type compressedFormat struct{ *folder }

// fused are the layers that vLLM multiplies as one, so that they need the same scheme.
var fused = [][]model.Kind{
	{model.AttnQ, model.AttnK, model.AttnV}, {model.FFNGate, model.FFNUp}, {model.FFNGateExps, model.FFNUpExps, model.FFNDownExps}, {model.FFNGateShexp, model.FFNUpShexp},
}

// scheme is how a matrix is stored: ok if as codes.
func scheme(w *kernels.Matrix) (g kernels.IntGroup, ok bool) {
	g, ok = w.Format.IntGroup()
	return g, ok && w.Mask == nil && (g.Bits == 4 || g.Bits == 8)
}

func (t *compressedFormat) Files(n *model.Network) ([]File, error) {
	kept, _ := keptBlocks(n)
	if len(kept) == 0 {
		return nil, ErrNoBlocks
	}
	if err := sameSchemes(n); err != nil {
		return nil, err
	}
	var list []hfTensor
	var ignore []string
	var schemes []kernels.IntGroup
	modules := map[kernels.IntGroup][]string{}
	for _, e := range t.parts(n, kept) {
		block := slices.Index(kept, e.Block)
		as := t.m.HFTensor(block, e.Part)
		g, ok := scheme(e.Matrix)
		if !ok || e.Block < 0 || as.Transposed {
			tensors := t.bf16(&e, block)
			list = append(list, tensors...)
			for _, hf := range tensors {
				if e.Block >= 0 && len(hf.Shape) > 1 || e.Part == "output" {
					ignore = append(ignore, strings.TrimSuffix(hf.Name, ".weight"))
				}
			}
			continue
		}
		if modules[g] == nil {
			schemes = append(schemes, g)
		}
		name := strings.TrimSuffix(as.Name, ".weight")
		for i := range max(1, e.Stack) {
			one, w := name, e.Matrix
			if e.Stack > 0 {
				one, w = fmt.Sprintf(name, i), expert(&e, i)
			}
			modules[g] = append(modules[g], one)
			list = append(list, packedModule(one, w, g, t.order(&e))...)
		}
	}
	if len(schemes) == 0 {
		return nil, fmt.Errorf("no layer is at a level of 4 or 8 bits in integer groups, such as int4-g128, which compressed-tensors holds: write safetensors")
	}
	if t.m.TiedHead {
		ignore = append(ignore, moduleName(t.m, -1, "output"))
	}
	groups := map[string]any{}
	for i, g := range schemes {
		groups[fmt.Sprintf("group_%d", i)] = map[string]any{
			"targets": modules[g], "input_activations": nil, "output_activations": nil,
			"weights": map[string]any{
				"num_bits": g.Bits, "type": "int", "symmetric": g.Symmetric, "strategy": "group", "group_size": g.Group, "dynamic": false,
			},
		}
	}
	config, err := t.configFile(kept, map[string]any{"quantization_config": map[string]any{
		"quant_method": "compressed-tensors", "format": "pack-quantized", "quantization_status": "compressed",
		"config_groups": groups, "ignore": ignore,
	}})
	if err != nil {
		return nil, err
	}
	weights, err := t.weightFiles(list)
	return sorted(slices.Concat(t.copied, []File{config}, weights)), err
}

// sameSchemes refuses what vLLM cannot fuse.
func sameSchemes(n *model.Network) error {
	for b := range n.Blocks {
		for _, kinds := range fused {
			if n.Blocks[b].Layers[kinds[0]] == nil || n.Blocks[b].Layers[kinds[1]] == nil || n.Blocks[b].Drops(kinds[0]) {
				continue
			}
			first, packed := scheme(n.Blocks[b].Layers[kinds[0]])
			for _, k := range kinds[1:] {
				if g, ok := scheme(n.Blocks[b].Layers[k]); ok != packed || ok && g != first {
					return fmt.Errorf("%s is stored as %s and %s as %s: vLLM multiplies the two as one matrix, so they need the same level",
						model.LayerName(b, kinds[0]), n.Blocks[b].Layers[kinds[0]].Format, model.LayerName(b, k), n.Blocks[b].Layers[k].Format)
				}
			}
		}
	}
	return nil
}

// packedModule is the tensors of a matrix of integer groups, row order(r) of it at place r.
func packedModule(name string, w *kernels.Matrix, g kernels.IntGroup, order func(r int) int) []hfTensor {
	groups, size := w.Cols/g.Group, w.Format.BlockBytes()
	block := func(r, i int) []byte { return w.Data[(order(r)*groups+i)*size:][:size] }
	spec := func(part string, d safetensors.DType, shape ...int) safetensors.TensorSpec {
		return safetensors.TensorSpec{Name: name + ".weight_" + part, DType: d, Shape: shape}
	}
	list := []hfTensor{
		{spec("packed", safetensors.I32, w.Rows, w.Cols*g.Bits/32), func(out io.Writer) error {
			codes, row := make([]uint8, g.Group), make([]byte, 0, w.Cols*g.Bits/8)
			for r := range w.Rows {
				row = row[:0]
				for i := range groups {
					g.Codes(codes, block(r, i))
					row = append(row, packCodes(codes, g.Bits)...)
				}
				if _, err := out.Write(row); err != nil {
					return err
				}
			}
			return nil
		}},
		{spec("scale", safetensors.F16, w.Rows, groups), func(out io.Writer) error {
			for r := range w.Rows {
				for i := range groups {
					if _, err := out.Write(block(r, i)[:2]); err != nil {
						return err
					}
				}
			}
			return nil
		}},
		{spec("shape", safetensors.I64, 2), func(out io.Writer) error {
			shape := binary.LittleEndian.AppendUint64(nil, uint64(w.Rows))
			_, err := out.Write(binary.LittleEndian.AppendUint64(shape, uint64(w.Cols)))
			return err
		}},
	}
	if g.Symmetric {
		return list
	}
	per := 32 / g.Bits
	return append(list, hfTensor{spec("zero_point", safetensors.I32, (w.Rows+per-1)/per, groups), func(out io.Writer) error {
		codes, zeros := make([]uint8, g.Group), make([]uint8, per)
		for first := 0; first < w.Rows; first += per {
			for i := range groups {
				clear(zeros)
				for r := first; r < min(first+per, w.Rows); r++ {
					zeros[r-first] = g.Codes(codes, block(r, i))
				}
				if _, err := out.Write(packCodes(zeros, g.Bits)); err != nil {
					return err
				}
			}
		}
		return nil
	}})
}

// packCodes packs codes of 4 or 8 bits into bytes, the first in the low bits: little-endian integers of any width.
func packCodes(codes []uint8, bits int) []byte {
	if bits == 8 {
		return codes
	}
	packed := make([]byte, len(codes)/2)
	for i := range packed {
		packed[i] = codes[2*i] | codes[2*i+1]<<4
	}
	return packed
}

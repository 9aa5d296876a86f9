package export

import (
	"slices"
	"strings"

	"github.com/finch-llm/finch/compress"
	"github.com/finch-llm/finch/model"
)

// safetensorsTarget is a Hugging Face folder, as transformers loads it: every weight decoded and rounded to bf16, zeros
// included, and tokenizer and configuration of the model. Only blocks that are dropped whole make it smaller; a sublayer
// that is dropped by itself is one whose weights are zero, which adds nothing to the residual stream.
type safetensorsTarget struct {
	*folder
	fixed int64
}

func newSafetensors(m *model.Model) (*safetensorsTarget, error) {
	f, err := newFolder(m)
	if err != nil {
		return nil, err
	}
	t := &safetensorsTarget{folder: f}
	if t.fixed, err = Size(t, &m.Network); err != nil {
		return nil, err
	}
	for b := range m.Network.Blocks {
		t.fixed -= t.sublayers(b, true, true)
	}
	return t, nil
}

func (t *safetensorsTarget) Fixed() int64 { return t.fixed }

func (t *safetensorsTarget) Layer(info compress.Info) int64 {
	entries := int64(1)
	for _, k := range t.m.Kinds() {
		if k.Stacked() && strings.HasSuffix(info.Layer, "."+k.String()) {
			entries = int64(t.m.Experts) // one by one
		}
	}
	return entries*entryBytes + 2*info.Weights()
}

func (t *safetensorsTarget) Parts(attention bool) int64 {
	return parts(t.m, attention, func(rows, cols int) int64 { return entryBytes + 2*int64(rows)*int64(cols) })
}

func (t *safetensorsTarget) Dropped(block int, attn, mlp bool) (int64, error) {
	if attn && mlp {
		return 0, nil
	}
	return t.sublayers(block, attn, mlp), nil
}

// sublayers is what the chosen sublayers of a block take.
func (t *safetensorsTarget) sublayers(block int, attn, mlp bool) (size int64) {
	if attn {
		size += t.Parts(true)
	}
	if mlp {
		size += t.Parts(false)
	}
	for _, k := range t.m.Kinds() {
		if k.IsAttention() && attn || !k.IsAttention() && mlp {
			rows, cols := t.m.Shape(k)
			size += t.Layer(compress.Info{Layer: model.LayerName(block, k), Rows: rows, Cols: cols})
		}
	}
	return size
}

func (t *safetensorsTarget) Files(n *model.Network) ([]File, error) {
	kept, _ := keptBlocks(n)
	if len(kept) == 0 {
		return nil, ErrNoBlocks
	}
	config, err := t.configFile(kept, nil)
	if err != nil {
		return nil, err
	}
	var list []hfTensor
	for _, e := range t.parts(n, kept) {
		list = append(list, t.bf16(&e, slices.Index(kept, e.Block))...)
	}
	weights, err := t.weightFiles(list)
	return sorted(slices.Concat(t.copied, []File{config}, weights)), err
}

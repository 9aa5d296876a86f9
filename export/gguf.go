package export

import (
	"fmt"

	"github.com/finch-llm/finch/compress"
	"github.com/finch-llm/finch/kernels"
	"github.com/finch-llm/finch/model"
	"github.com/finch-llm/finch/model/gguf"
)

// ggufTarget is a single GGUF file, as llama.cpp loads it: the model's own metadata, norms in f32, everything outside the
// blocks as the model stores it. GGUF has no sparse type.
type ggufTarget struct{}

func (ggufTarget) Fixed(m *model.Model) (int64, error) {
	h, err := ggufHeader(m, &m.Network)
	if err != nil {
		return 0, err
	}
	size, err := gguf.Size(h)
	if err != nil {
		return 0, err
	}
	for b := range m.Network.Blocks {
		size -= 2 * ggufTarget{}.Norm(m)
		for _, l := range m.Network.Blocks[b].Layers {
			size -= align(int64(l.Rows)*int64(l.Format.RowBytes(l.Cols)), gguf.DefaultAlignment)
		}
	}
	return size, nil
}

func (ggufTarget) Layer(info compress.Info) int64 {
	f := compress.Fallback(info.Format, info.Cols) // the values of a sparse layer are dense here
	return align(int64(info.Rows)*int64(f.RowBytes(info.Cols)), gguf.DefaultAlignment)
}

func (ggufTarget) Norm(m *model.Model) int64 { return align(4*int64(m.Hidden), gguf.DefaultAlignment) }

// ggufHeader lays out a network's file, its tensors in llama.cpp's order.
func ggufHeader(m *model.Model, n *model.Network) (gguf.Header, error) {
	meta, err := m.Metadata()
	if err != nil {
		return gguf.Header{}, err
	}
	h := gguf.Header{Alignment: gguf.DefaultAlignment, Meta: meta}
	matrix := func(name string, w *kernels.Matrix) {
		h.Tensors = append(h.Tensors, gguf.TensorSpec{
			Name: name + ".weight", Dims: []uint64{uint64(w.Cols), uint64(w.Rows)}, Type: gguf.TypeOf(w.Format),
		})
	}
	norm := func(name string) {
		h.Tensors = append(h.Tensors, gguf.TensorSpec{Name: name + ".weight", Dims: []uint64{uint64(m.Hidden)}, Type: gguf.F32})
	}
	matrix("token_embd", m.Embedding)
	for b := range n.Blocks {
		norm(fmt.Sprintf("blk.%d.attn_norm", b))
		norm(fmt.Sprintf("blk.%d.ffn_norm", b))
		for k, l := range n.Blocks[b].Layers {
			matrix(model.LayerName(b, model.Kind(k)), l)
		}
	}
	norm("output_norm")
	if !m.TiedHead {
		matrix("output", m.Head)
	}
	return h, nil
}

package export

import (
	"bytes"
	"fmt"
	"io"

	"github.com/finch-llm/finch/compress"
	"github.com/finch-llm/finch/model"
	"github.com/finch-llm/finch/model/gguf"
	"github.com/finch-llm/finch/model/safetensors"
)

// packedTarget is finch's own file: a safetensors container of the stored bytes of every level, the mask of a sparse layer
// beside its values, and the model's metadata and tokenizer as one more tensor, in GGUF's encoding (see model.PackedTensors).
type packedTarget struct {
	m        *model.Model
	metadata []byte
	start    int64 // size of the file without any tensor
}

func newPacked(m *model.Model) (*packedTarget, error) {
	meta, err := m.Metadata()
	if err != nil {
		return nil, err
	}
	var encoded bytes.Buffer
	if err := gguf.Write(&encoded, gguf.Header{Meta: meta}, nil); err != nil {
		return nil, err
	}
	start, err := safetensors.Size(safetensors.Header{Metadata: m.PackedMetadata()})
	if err != nil {
		return nil, err
	}
	return &packedTarget{m, encoded.Bytes(), start}, nil
}

func (t *packedTarget) Fixed() int64 {
	size := t.start + entryBytes + int64(len(t.metadata))
	for _, e := range outside(t.m) {
		size += entryBytes + e.Matrix.Bytes()
	}
	return size
}

func (t *packedTarget) Layer(info compress.Info) int64 {
	size := info.Bytes + entryBytes
	if info.Sparse {
		size += entryBytes
	}
	return size
}

func (t *packedTarget) Parts(attention bool) int64 {
	return parts(t.m, attention, func(rows, cols int) int64 { return entryBytes + 4*int64(rows)*int64(cols) })
}

// Dropped is nothing: a dropped sublayer is one that is not there.
func (t *packedTarget) Dropped(int, bool, bool) (int64, error) { return 0, nil }

func (t *packedTarget) Files(n *model.Network) ([]File, error) {
	h, parts := t.layOut(n)
	size, err := safetensors.Size(h)
	return []File{{Bytes: size, Write: func(w io.Writer) error {
		err := safetensors.Write(w, h, func(i int, w io.Writer) error {
			_, err := w.Write(parts[i])
			return err
		})
		if err != nil {
			return fmt.Errorf("packed file: %w", err)
		}
		return nil
	}}}, err
}

// layOut describes the file of a network, and gives the bytes of each of its tensors.
func (t *packedTarget) layOut(n *model.Network) (h safetensors.Header, parts [][]byte) {
	h = safetensors.Header{
		Metadata: t.m.PackedMetadata(),
		Tensors:  []safetensors.TensorSpec{{Name: model.PackedDescription, DType: safetensors.U8, Shape: []int{len(t.metadata)}}},
	}
	parts = [][]byte{t.metadata}
	for _, e := range t.m.Tensors(n) {
		h.Tensors = append(h.Tensors, model.PackedTensors(e.Name(), e.Matrix)...)
		parts = append(parts, e.Matrix.Data)
		if e.Matrix.Mask != nil {
			parts = append(parts, e.Matrix.Mask)
		}
	}
	h.MinBytes = t.start - 8 + int64(len(h.Tensors))*entryBytes
	return h, parts
}

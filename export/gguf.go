package export

import (
	"fmt"
	"io"
	"slices"

	"github.com/finch-llm/finch/compress"
	"github.com/finch-llm/finch/kernels"
	"github.com/finch-llm/finch/model"
	"github.com/finch-llm/finch/model/gguf"
)

// ggufTarget is a single GGUF file, as llama.cpp loads it: the model's own metadata, norms in f32, everything outside the
// blocks as the model stores it. GGUF has no sparse type. Its architecture "llama" has no block with one sublayer; files of
// such networks have the architecture "deci".
type ggufTarget struct {
	m         *model.Model
	meta      []gguf.KV // with every key that depends on the network
	alignment int64
	fixed     int64
}

// The keys that depend on the network: what most weights are stored as, and how many blocks there are.
const (
	nameKey         = "general.name"
	fileTypeKey     = "general.file_type"
	quantizationKey = "general.quantization_version"
	alignmentKey    = "general.alignment"
)

func blockCountKey(m *model.Model) string { return m.Architecture + ".block_count" }

func newGGUF(m *model.Model, p Provenance) (*ggufTarget, error) {
	meta, err := m.Metadata()
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(meta, func(kv gguf.KV) bool { return kv.Key == nameKey }) {
		meta = set(meta, nameKey, gguf.ValueOf(m.Name))
	}
	// Numbers of a fixed size, so that the size of the file does not depend on them.
	meta = set(meta, fileTypeKey, gguf.ValueOf(uint32(0)))
	meta = set(meta, quantizationKey, gguf.ValueOf(uint32(2))) // GGML_QNT_VERSION
	meta = set(meta, blockCountKey(m), gguf.ValueOf(uint32(m.Blocks)))
	meta = setWindows(meta, m, &m.Network)
	if meta, err = withProvenance(meta, p); err != nil {
		return nil, err
	}
	t := &ggufTarget{m: m, meta: meta, alignment: gguf.DefaultAlignment}
	for _, kv := range meta {
		if n, ok := kv.Value.Uint(); ok && kv.Key == alignmentKey {
			t.alignment = int64(n)
		}
	}
	if t.fixed, err = Size(t, &m.Network); err != nil {
		return nil, err
	}
	for b := range m.Network.Blocks {
		t.fixed -= t.Parts(true) + t.Parts(false)
		for _, k := range m.Kinds() {
			l := m.Network.Blocks[b].Layers[k]
			t.fixed -= t.bytes(l.Format, l.Rows, l.Cols)
		}
	}
	return t, nil
}

// set gives a key its value, in its place or as the last one; kvs stays as it is.
func set(kvs []gguf.KV, key string, v gguf.Value) []gguf.KV {
	kvs = slices.Clone(kvs)
	if i := slices.IndexFunc(kvs, func(kv gguf.KV) bool { return kv.Key == key }); i >= 0 {
		kvs[i].Value = v
		return kvs
	}
	return append(kvs, gguf.KV{Key: key, Value: v})
}

// setWindows says which blocks of a network have a window, if they differ in that; else nothing may be left that says it of
// more blocks.
func setWindows(kvs []gguf.KV, m *model.Model, n *model.Network) []gguf.KV {
	key, pattern := m.WindowPattern(n)
	if pattern != nil {
		return set(kvs, key, gguf.ArrayOf(pattern))
	}
	return slices.DeleteFunc(slices.Clone(kvs), func(kv gguf.KV) bool { return kv.Key == key })
}

func (t *ggufTarget) Fixed() int64 { return t.fixed }

func (t *ggufTarget) Layer(info compress.Info) int64 {
	return t.bytes(info.Format, info.Rows, info.Cols)
}

func (t *ggufTarget) Parts(attention bool) int64 {
	return parts(t.m, attention, func(rows, cols int) int64 { return t.bytes(kernels.F32, rows, cols) })
}

// bytes is what the data of a dense matrix takes.
func (t *ggufTarget) bytes(f kernels.Format, rows, cols int) int64 {
	return align(int64(rows)*int64(f.RowBytes(cols)), t.alignment)
}

func (t *ggufTarget) Files(n *model.Network) ([]File, error) {
	h, list, err := t.layOut(n)
	if err != nil {
		return nil, err
	}
	size, err := gguf.Size(h)
	return []File{{Bytes: size, Write: func(w io.Writer) error {
		return gguf.Write(w, h, func(i int, w io.Writer) error {
			e := &list[i]
			switch e.Part {
			case model.AttnQBias.String(), model.AttnKBias.String(): // permuted like rows
				column := *e.Matrix
				column.Rows, column.Cols = column.Cols, 1
				return writeRows(w, &column, t.order(e))
			}
			return writeRows(w, e.Matrix, t.order(e))
		})
	}}}, err
}

// order is the row of the model that comes at row r of a tensor in the file.
func (t *ggufTarget) order(e *model.Tensor) func(r int) int {
	if e.OfQK() && t.m.PermutesQK() {
		return func(r int) int { return halvesRow(r, t.m.HeadDim) }
	}
	return func(r int) int { return r }
}

// layOut describes the file of a network, blocks renumbered, and what goes into its tensors.
func (t *ggufTarget) layOut(n *model.Network) (gguf.Header, []model.Tensor, error) {
	kept, alone := keptBlocks(n)
	if len(kept) == 0 {
		return gguf.Header{}, nil, ErrNoBlocks
	}
	if err := t.m.GGUFLoss(len(kept)); err != nil {
		return gguf.Header{}, nil, err
	}
	h := gguf.Header{Meta: set(t.meta, fileTypeKey, gguf.ValueOf(fileType(n)))}
	h.Meta = set(h.Meta, blockCountKey(t.m), gguf.ValueOf(uint32(len(kept))))
	h.Meta = setWindows(h.Meta, t.m, n)
	list := t.m.Tensors(n)
	if alone {
		if err := t.loseSublayers(); err != nil {
			return gguf.Header{}, nil, err
		}
		h.Meta = t.deciMetadata(h.Meta, n, kept)
		list = append(list, t.standIns(n, kept)...)
	}
	for i := range list {
		e := &list[i]
		w := e.Matrix
		if w.Mask != nil && w.Format.BlockWeights() > 1 {
			return gguf.Header{}, nil, fmt.Errorf("%s is sparse with %s values, whose blocks a GGUF cannot spread over the zeros between them: write a packed file", e.Name(), w.Format)
		}
		kind, ok := gguf.TypeOf(w.Format)
		if !ok {
			return gguf.Header{}, nil, fmt.Errorf("%s is stored in %s, which is no type of GGUF: write a packed file", e.Name(), w.Format)
		}
		if e.Block >= 0 {
			e.Block = slices.Index(kept, e.Block)
		}
		spec := gguf.TensorSpec{Name: model.FileName(e.Name()), Type: kind, Dims: []uint64{uint64(w.Cols)}}
		switch {
		case e.Stack > 0:
			spec.Dims = append(spec.Dims, uint64(w.Rows/e.Stack), uint64(e.Stack))
		case !e.Vector:
			spec.Dims = append(spec.Dims, uint64(w.Rows))
		}
		h.Tensors = append(h.Tensors, spec)
	}
	return h, list, nil
}

// keptBlocks are the blocks that have a sublayer left; alone says that some have one only.
func keptBlocks(n *model.Network) (kept []int, alone bool) {
	for b := range n.Blocks {
		block := &n.Blocks[b]
		if block.DropAttn && block.DropMLP {
			continue
		}
		kept = append(kept, b)
		alone = alone || block.DropAttn || block.DropMLP
	}
	return kept, alone
}

// halvesRow is the row of Hugging Face's q or k, whose rotary pairs are (i, i + headDim/2), that llama.cpp, whose pairs are
// (2i, 2i+1), has at row r.
func halvesRow(r, headDim int) int {
	head, i := r/headDim, r%headDim
	return head*headDim + i%2*(headDim/2) + i/2
}

// writeRows writes the rows of a matrix, row order(r) at place r, zeros included.
func writeRows(w io.Writer, m *kernels.Matrix, order func(r int) int) error {
	row := make([]byte, m.Format.RowBytes(m.Cols))
	for r := range m.Rows {
		if _, err := w.Write(storedRow(row, m, order(r))); err != nil {
			return err
		}
	}
	return nil
}

// storedRow is row r of a matrix as it is stored or, for a sparse one of plain numbers, spread over buf.
func storedRow(buf []byte, m *kernels.Matrix, r int) []byte {
	if m.Mask == nil {
		return m.Data[r*len(buf) : (r+1)*len(buf)]
	}
	clear(buf)
	size, stride := m.Format.BlockBytes(), (m.Cols+7)/8
	values, mask := m.Data[int(m.RowStart[r])*size:], m.Mask[r*stride:(r+1)*stride]
	for c := range m.Cols {
		if mask[c/8]>>(c%8)&1 != 0 {
			copy(buf[c*size:], values[:size])
			values = values[size:]
		}
	}
	return buf
}

// fileType is general.file_type as llama.cpp numbers it (llama_ftype) when it guesses: from the type of most weights. Of
// its mixtures it takes the medium one. Ties go to the earlier format.
func fileType(n *model.Network) uint32 {
	numbers := map[kernels.Format]uint32{
		kernels.F32: 0, kernels.F16: 1, kernels.BF16: 32, kernels.Q4_0: 2, kernels.Q4_1: 3, kernels.Q5_0: 8, kernels.Q5_1: 9, kernels.Q8_0: 7,
		kernels.Q2_K: 10, kernels.Q3_K: 12, kernels.Q4_K: 15, kernels.Q5_K: 17, kernels.Q6_K: 18, kernels.IQ4_NL: 25,
		kernels.IQ2_XXS: 19, kernels.IQ2_XS: 20, kernels.IQ2_S: 28, kernels.IQ3_XXS: 23, kernels.IQ3_S: 26, kernels.IQ1_S: 24,
		kernels.IQ1_M: 31, kernels.IQ4_XS: 30, kernels.TQ1_0: 36, kernels.TQ2_0: 37, kernels.MXFP4: 38, kernels.NVFP4: 39,
		kernels.Q1_0: 40, kernels.Q2_0: 41, // q8_k has none
	}
	formats := kernels.Formats()
	weights := make([]int64, len(formats))
	for b := range n.Blocks {
		if n.Blocks[b].DropAttn && n.Blocks[b].DropMLP {
			continue
		}
		for _, l := range n.Blocks[b].Layers {
			if l != nil {
				weights[l.Format] += int64(l.Rows) * int64(l.Cols)
			}
		}
	}
	most := kernels.Format(0)
	for _, f := range formats {
		if weights[f] > weights[most] {
			most = f
		}
	}
	return numbers[most]
}

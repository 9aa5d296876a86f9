package model

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"

	"github.com/finch-llm/finch/kernels"
	"github.com/finch-llm/finch/model/gguf"
	"github.com/finch-llm/finch/model/safetensors"
	"github.com/finch-llm/finch/model/tokenizer"
)

// A packed file is finch's own container of a compressed network, a safetensors file with
//
//	__metadata__   {"format": "finch", "rope": "interleaved" or "halves", "version": "1"}
//	metadata       the model's description and tokenizer, as a GGUF file without tensors (U8)
//	NAME.FORMAT    the stored weights of a matrix or norm: token_embd.bf16, blk.3.attn_q.q4_k, blk.3.attn_norm.f32
//	NAME.mask      of a sparse matrix [rows, ⌈cols/8⌉]: kernels.Matrix.Mask (U8)
//
// A dropped sublayer is one that is not there, from its norm on. Model.PackedMetadata and PackedTensors have the details,
// for those who write such files.

// PackedDescription is the name of the tensor that holds a packed file's GGUF metadata.
const PackedDescription = "metadata"

const (
	packedFormat  = "finch"
	packedVersion = "1"
	ropePairs     = "interleaved" // rotary pairs are (2i, 2i+1)
	ropeHalves    = "halves"      // they are (i, i + head dimension/2)
)

// PackedMetadata is the __metadata__ of a packed file of the model.
func (m *Model) PackedMetadata() map[string]string {
	rope := ropeHalves
	if m.RopeInterleaved {
		rope = ropePairs
	}
	return map[string]string{"format": packedFormat, "rope": rope, "version": packedVersion}
}

// PackedTensors are the one or two tensors of a packed file that hold a matrix: w.Data and, if it is sparse, w.Mask.
// Numbers have their own type and the matrix's shape, or one dimension if zeros are left out or there is one row;
// quantized blocks are bytes, by row if the matrix is dense.
func PackedTensors(name string, w *kernels.Matrix) []safetensors.TensorSpec {
	values := safetensors.TensorSpec{Name: name + "." + w.Format.String(), DType: packedType(w.Format)}
	switch size := w.Format.BlockBytes(); {
	case values.DType == safetensors.U8 && w.Mask == nil:
		values.Shape = []int{w.Rows, w.Format.RowBytes(w.Cols)}
	case values.DType == safetensors.U8:
		values.Shape = []int{len(w.Data) / size, size}
	case w.Mask == nil && w.Rows > 1:
		values.Shape = []int{w.Rows, w.Cols}
	default:
		values.Shape = []int{len(w.Data) / size}
	}
	if w.Mask == nil {
		return []safetensors.TensorSpec{values}
	}
	return []safetensors.TensorSpec{values, {Name: name + ".mask", DType: safetensors.U8, Shape: []int{w.Rows, (w.Cols + 7) / 8}}}
}

func packedType(f kernels.Format) safetensors.DType {
	switch f {
	case kernels.F32:
		return safetensors.F32
	case kernels.F16:
		return safetensors.F16
	case kernels.BF16:
		return safetensors.BF16
	}
	return safetensors.U8
}

// openPacked maps a packed file.
func openPacked(path, ref string) (*Model, error) {
	f, err := safetensors.Open(path)
	if err != nil {
		return nil, err
	}
	m, err := fromPacked(ref, f)
	if err != nil {
		f.Close()
		return nil, err
	}
	m.close = f.Close
	return m, nil
}

// fromPacked assembles a model from a packed file.
func fromPacked(ref string, f *safetensors.File) (*Model, error) {
	p := packed{File: f}
	c, meta, err := p.config(ref)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", ref, err)
	}
	m := &Model{Config: c, Ref: ref, gguf: meta}
	if m.Tokenizer, err = tokenizer.FromGGUF(meta); err != nil {
		return nil, fmt.Errorf("%s: %w", ref, err)
	}
	load := &loader{ref: ref, hash: sha256.New(), name: tensorName, has: p.has}
	load.find = func(name string, cols int) (*kernels.Matrix, error) {
		w, err := p.matrix(name, cols)
		if err != nil {
			return nil, fmt.Errorf("tensor %s: %w", name, err)
		}
		return w, nil
	}
	load.hash.Write([]byte(f.Metadata["rope"])) // decides what the weights compute, and stands nowhere else
	for _, kv := range meta.Meta {
		load.hash.Write([]byte(kv.Key))
		load.hash.Write(kv.Value.Encoded())
	}
	local, err := describeGGUF(m, load, meta)
	if err != nil {
		return nil, err
	}
	drops := func(block int, attention bool) bool {
		for _, part := range m.Parts() {
			if part.IsAttention() == attention {
				return !p.has(tensorName(block, part.String()))
			}
		}
		return false
	}
	if err := load.assemble(m, drops, local); err != nil {
		return nil, err
	}
	if p.read != len(f.Tensors) {
		return nil, fmt.Errorf("%s: %d of its %d tensors belong to no part of the model that its metadata describes", ref, len(f.Tensors)-p.read, len(f.Tensors))
	}
	m.Hash, m.Bytes = hex.EncodeToString(load.hash.Sum(nil)), load.bytes
	return m, nil
}

// packed is a packed file of which some tensors have been read.
type packed struct {
	*safetensors.File
	read int
}

// config reads what the file says about the model.
func (p *packed) config(ref string) (Config, *gguf.File, error) {
	if p.Metadata["format"] != packedFormat {
		return Config{}, nil, errors.New("a safetensors file by itself is a model only if finch packed it: give the Hugging Face folder that it belongs to")
	}
	if v := p.Metadata["version"]; v != packedVersion {
		return Config{}, nil, fmt.Errorf("version %q of packed files: this finch reads version %s", v, packedVersion)
	}
	t, ok := p.Tensor(PackedDescription)
	if !ok {
		return Config{}, nil, fmt.Errorf("tensor %s is missing", PackedDescription)
	}
	p.read++
	meta, err := gguf.Parse(t.Data, PackedDescription)
	if err != nil {
		return Config{}, nil, err
	}
	c, err := ggufConfig(meta)
	if err != nil {
		return Config{}, nil, err
	}
	switch rope := p.Metadata["rope"]; rope {
	case ropePairs, ropeHalves:
		c.RopeInterleaved = rope == ropePairs
	default:
		return Config{}, nil, fmt.Errorf("rope is %q: finch knows %q and %q", rope, ropePairs, ropeHalves)
	}
	if c.Name == "" {
		c.Name = filepath.Base(ref)
	}
	return c, meta, nil
}

// has says whether a matrix is there, in whatever format.
func (p *packed) has(name string) bool {
	return slices.ContainsFunc(kernels.Formats(), func(f kernels.Format) bool {
		_, ok := p.Tensor(name + "." + f.String())
		return ok
	})
}

// matrix finds a matrix with rows of cols weights. Kernels trust its mask, so the mask is checked.
func (p *packed) matrix(name string, cols int) (*kernels.Matrix, error) {
	for _, format := range kernels.Formats() {
		values, ok := p.Tensor(name + "." + format.String())
		if !ok {
			continue
		}
		w := &kernels.Matrix{Format: format, Cols: cols, Data: values.Data}
		row, stored := format.RowBytes(cols), values.Data
		mask, sparse := p.Tensor(name + ".mask")
		if sparse {
			w.Mask = mask.Data
			row, stored = (cols+7)/8, mask.Data
		}
		if row < 1 || len(stored)%row != 0 || !sparse && cols%format.BlockWeights() != 0 {
			return nil, fmt.Errorf("%d bytes are not whole rows of %d weights in %s", len(stored), cols, format)
		}
		w.Rows = len(stored) / row
		specs := PackedTensors(name, w)
		for _, s := range specs {
			if t, ok := p.Tensor(s.Name); !ok || t.DType != s.DType || !slices.Equal(t.Shape, s.Shape) {
				return nil, fmt.Errorf("%s is not the %s of shape %d that %d rows of %d weights take", s.Name, s.DType, s.Shape, w.Rows, cols)
			}
		}
		p.read += len(specs)
		if sparse {
			return w, checkMask(w)
		}
		return w, nil
	}
	return nil, errors.New("it is missing")
}

// checkMask indexes the rows of a sparse matrix and refuses a mask that does not fit its blocks.
func checkMask(w *kernels.Matrix) error {
	const largest = 32 // block that sparse matrices are stored in
	stride := (w.Cols + 7) / 8
	if w.Format.BlockWeights() > largest || int64(w.Rows)*int64(w.Cols) > math.MaxUint32 {
		return fmt.Errorf("a sparse matrix of %d × %d weights in %s is none that finch makes", w.Rows, w.Cols, w.Format)
	}
	if used := w.Cols % 8; used != 0 {
		for r := range w.Rows {
			if w.Mask[(r+1)*stride-1]>>used != 0 {
				return fmt.Errorf("row %d of the mask has bits beyond its %d columns", r, w.Cols)
			}
		}
	}
	w.IndexRows()
	if want := int64(w.RowStart[w.Rows]) * int64(w.Format.BlockBytes()); want != int64(len(w.Data)) {
		return fmt.Errorf("its mask takes %d bytes of weights, %d are there", want, len(w.Data))
	}
	return nil
}

package model

import (
	"bytes"
	"fmt"
	"hash"

	"github.com/finch-llm/finch/kernels"
)

// loader collects the tensors of a model and remembers the first error, so that assembling reads as a list.
type loader struct {
	ref  string
	name func(block int, part string) string // what the source calls a tensor of GGUF's name; block -1 is outside the blocks
	find func(name string, cols int) (*kernels.Matrix, error)
	has  func(name string) bool

	normOffset float32                                               // to be added to norm weights
	standIn    func(l *loader, c *Config, block int, attention bool) // reads what is there of a sublayer that is dropped; nil: nothing is
	transposed bool                                                  // layers are [inputs, outputs]

	hash  hash.Hash // over names and contents, in order of loading
	bytes int64
	used  map[string]bool // names of the tensors that were loaded
	err   error
}

// maxBlocks bounds the blocks that a configuration can ask for; models have a hundred.
const maxBlocks = 1 << 14

// assemble loads everything that the model's configuration says, of blocks what they have not dropped.
func (l *loader) assemble(m *Model, drops func(block int, attention bool) bool, local func(block int) bool) error {
	c, d := &m.Config, m.design()
	m.Embedding = l.outside(tokenEmbedding, c.Hidden)
	if c.Vocab == 0 {
		c.Vocab = m.Embedding.Rows
	}
	if l.err != nil {
		return l.err
	}
	if err := c.validate(); err != nil {
		return fmt.Errorf("%s: %w", l.ref, err)
	}
	if d.learned {
		m.Positions = l.outside(positions, c.Hidden)
	}
	m.OutputNorm = l.norm(l.name(-1, outputNorm), c.Hidden)
	if d.outside[outputNormBias] != "" {
		m.OutputBias = l.vector(l.name(-1, outputNormBias), c.Hidden)
	}
	m.Head = m.Embedding
	if !c.TiedHead {
		m.Head = l.outside(outputHead, c.Hidden)
	}
	parts, kinds := c.Parts(), c.Kinds()
	for b := range c.Blocks {
		block := Block{
			Parts: &Parts{}, DropAttn: drops(b, true), DropMLP: drops(b, false), Local: c.Window > 0 && local(b),
		}
		for _, attention := range []bool{true, false} {
			if block.drops(attention) && l.standIn != nil {
				l.standIn(l, c, b, attention)
			}
		}
		for _, p := range parts {
			if !block.drops(p.IsAttention()) {
				block.Parts[p] = l.part(c, b, p)
			}
		}
		for _, k := range kinds {
			if !block.Drops(k) {
				block.Layers[k] = l.layer(c, b, k)
			}
		}
		if l.err != nil {
			return l.err
		}
		m.Network.Blocks = append(m.Network.Blocks, block)
	}
	return m.checkShapes()
}

// nothingDropped is the usual answer to what a block has dropped.
func nothingDropped(int, bool) bool { return false }

// extra finds the optional parts that some block has.
func (l *loader) extra(c *Config) PartSet {
	var set PartSet
	for p := range NumParts {
		if !c.design().optional[p] {
			continue
		}
		for b := range min(c.Blocks, maxBlocks) {
			if l.has(l.name(b, p.String())) {
				set = set.with(p)
				break
			}
		}
	}
	return set
}

// finish refuses a tensor of the source that was not loaded: a model that is run without a part of it runs wrong.
// redundant tells the tensors that change nothing.
func (l *loader) finish(architecture string, names func(yield func(string) bool), redundant func(name string) bool) error {
	for name := range names {
		if !l.used[name] && !redundant(name) {
			return fmt.Errorf("%s: tensor %s has no place in the architecture %s as finch runs it: biases that its configuration does not name, adapters and more blocks than the configuration says are not supported", l.ref, name, architecture)
		}
	}
	return nil
}

// matrix loads one matrix of so many columns in its stored representation.
func (l *loader) matrix(name string, cols int) *kernels.Matrix {
	if l.err != nil {
		return &kernels.Matrix{}
	}
	m, err := l.find(name, cols)
	if err != nil {
		l.err = fmt.Errorf("%s: %w", l.ref, err)
		return &kernels.Matrix{}
	}
	l.hash.Write([]byte(name))
	l.hash.Write(m.Data)
	l.hash.Write(m.Mask)
	l.bytes += m.Bytes()
	return m
}

// use remembers that a tensor was loaded.
func (l *loader) use(name string) {
	if l.used == nil {
		l.used = map[string]bool{}
	}
	l.used[name] = true
}

// outside loads a matrix that belongs to no block.
func (l *loader) outside(name string, cols int) *kernels.Matrix {
	return l.matrix(l.name(-1, name), cols)
}

// layer loads a layer of a block.
func (l *loader) layer(c *Config, block int, k Kind) *kernels.Matrix {
	_, cols := c.Shape(k)
	m := l.matrix(l.name(block, k.String()), cols)
	if l.transposed && l.err == nil {
		return transposed(m)
	}
	return m
}

// part loads a part of a block.
func (l *loader) part(c *Config, block int, p Part) []float32 {
	rows, cols := c.PartShape(p)
	name := l.name(block, p.String())
	switch {
	case p.isNorm():
		return l.norm(name, cols)
	case rows > 1:
		return l.numbers(name, rows, cols)
	}
	return l.vector(name, cols)
}

// norm loads n weights of a norm.
func (l *loader) norm(name string, n int) []float32 {
	v := l.vector(name, n)
	for i := range v {
		v[i] += l.normOffset
	}
	return v
}

// vector loads n numbers as float32.
func (l *loader) vector(name string, n int) []float32 { return l.numbers(name, 1, n) }

// numbers loads a small matrix [rows, cols] as float32.
func (l *loader) numbers(name string, rows, cols int) []float32 {
	m := l.matrix(name, cols)
	if l.err != nil {
		return nil
	}
	if m.Mask != nil {
		l.err = fmt.Errorf("%s: tensor %s is sparse: only layers are", l.ref, name)
		return nil
	}
	if m.Rows*m.Cols != rows*cols {
		l.err = fmt.Errorf("%s: tensor %s has %d elements, the configuration says %d", l.ref, name, m.Rows*m.Cols, rows*cols)
		return nil
	}
	v := make([]float32, rows*cols)
	kernels.UnpackBlocks(v, m.Format, m.Data)
	return v
}

// shaped makes a matrix of a tensor of shape [rows, cols], [cols], or, where matrices are stacked, [matrices, rows, cols].
func shaped(name string, f kernels.Format, shape []int, data []byte) (*kernels.Matrix, error) {
	m := &kernels.Matrix{Format: f, Rows: 1, Data: data}
	switch len(shape) {
	case 1:
		m.Cols = shape[0]
	case 2:
		m.Rows, m.Cols = shape[0], shape[1]
	case 3:
		m.Rows, m.Cols = shape[0]*shape[1], shape[2]
	default:
		return nil, fmt.Errorf("tensor %s has %d dimensions: finch multiplies matrices", name, len(shape))
	}
	if m.Cols%f.BlockWeights() != 0 || len(data) != m.Rows*f.RowBytes(m.Cols) {
		return nil, fmt.Errorf("tensor %s: %d bytes do not hold %d rows of %d weights in %s", name, len(data), m.Rows, m.Cols, f)
	}
	return m, nil
}

// transposed exchanges rows and columns of a matrix of plain numbers.
func transposed(m *kernels.Matrix) *kernels.Matrix {
	size := m.Format.BlockBytes()
	t := &kernels.Matrix{Format: m.Format, Rows: m.Cols, Cols: m.Rows, Data: make([]byte, len(m.Data))}
	for r := range m.Rows {
		for c := range m.Cols {
			copy(t.Data[(c*m.Rows+r)*size:][:size], m.Data[(r*m.Cols+c)*size:])
		}
	}
	return t
}

// stacked puts matrices of one shape and format below each other.
func stacked(list []*kernels.Matrix) (*kernels.Matrix, error) {
	first := list[0]
	var data [][]byte
	for i, m := range list {
		if m.Format != first.Format || m.Rows != first.Rows || m.Cols != first.Cols {
			return nil, fmt.Errorf("expert %d is a matrix of %d × %d in %s, the first one of %d × %d in %s", i, m.Rows, m.Cols, m.Format, first.Rows, first.Cols, first.Format)
		}
		data = append(data, m.Data)
	}
	return &kernels.Matrix{Format: first.Format, Rows: len(list) * first.Rows, Cols: first.Cols, Data: bytes.Join(data, nil)}, nil
}

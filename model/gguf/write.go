package gguf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/finch-llm/finch/internal/names"
)

// Header is everything of a file but the data of its tensors.
type Header struct {
	// Alignment is 0 for DefaultAlignment, or for what Meta says. Another one is written as the last key unless Meta has it.
	Alignment int
	Meta      []KV
	Tensors   []TensorSpec
}

// TensorSpec is a tensor to be written. Dims are in ggml's order: Dims[0] is the length of a row.
type TensorSpec struct {
	Name string
	Dims []uint64
	Type TensorType
}

// Size is the number of bytes of the data.
func (t TensorSpec) Size() (int64, error) { return TensorSize(t.Type, t.Dims) }

// Size is the exact number of bytes that Write makes of h.
func Size(h Header) (int64, error) {
	p, err := layOut(h)
	if err != nil {
		return 0, err
	}
	return p.total, nil
}

// Write writes a file of version 3, with tensors in the order of h, every one padded with zeros to the alignment as
// llama.cpp does it. data writes the bytes of tensor i, exactly as many as its type and shape take; it is called once for
// each tensor, in order.
func Write(w io.Writer, h Header, data func(i int, w io.Writer) error) error {
	p, err := layOut(h)
	if err != nil {
		return err
	}
	if _, err := w.Write(p.header(h)); err != nil {
		return fmt.Errorf("write GGUF header: %w", err)
	}
	for i, t := range h.Tensors {
		body := &counted{w: w, left: p.sizes[i]}
		if err := data(i, body); err != nil {
			return fmt.Errorf("write tensor %s: %w", t.Name, err)
		}
		if body.left > 0 {
			return fmt.Errorf("write tensor %s: %d bytes are missing of the %d that %d as %s take", t.Name, body.left, p.sizes[i], t.Dims, t.Type)
		}
		if err := writeZeros(w, padding(p.sizes[i], p.alignment)); err != nil {
			return fmt.Errorf("write tensor %s: %w", t.Name, err)
		}
	}
	return nil
}

// plan says where everything goes.
type plan struct {
	alignment int
	meta      []KV
	headSize  int64   // with its padding
	sizes     []int64 // of each tensor, without padding
	total     int64
}

// layOut checks h, by the rules by which Parse checks files, and lays it out.
func layOut(h Header) (*plan, error) {
	p := &plan{alignment: DefaultAlignment, meta: h.Meta}
	if err := p.align(h); err != nil {
		return nil, err
	}
	if len(p.meta) > math.MaxInt32 || len(h.Tensors) > math.MaxInt32 {
		return nil, errors.New("more keys or tensors than a GGUF file is read with")
	}
	p.headSize = headerBytes
	for i, kv := range p.meta {
		if err := checkKey(kv.Key); err != nil {
			return nil, fmt.Errorf("key number %d: %w", i+1, err)
		}
		if kv.Value.data == nil {
			return nil, fmt.Errorf("key %s has no value: make one with ValueOf or ArrayOf", names.Quote(kv.Key))
		}
		if err := kv.Value.check(); err != nil {
			return nil, fmt.Errorf("key %s: %w", names.Quote(kv.Key), err)
		}
		p.headSize += int64(kv.bytes())
	}
	key := func(i int) string { return p.meta[i].Key }
	if i := names.New(len(p.meta), key).Duplicate(key); i >= 0 {
		return nil, fmt.Errorf("key %s is there twice", names.Quote(key(i)))
	}

	p.sizes = make([]int64, len(h.Tensors))
	for i, t := range h.Tensors {
		if err := checkName(t.Name); err != nil {
			return nil, fmt.Errorf("tensor %s: %w", names.Quote(t.Name), err)
		}
		size, err := t.Size()
		if err != nil {
			return nil, fmt.Errorf("tensor %s: %w", names.Quote(t.Name), err)
		}
		p.sizes[i] = size
		p.headSize += int64(infoBytes(t.Name, len(t.Dims)))
	}
	name := func(i int) string { return h.Tensors[i].Name }
	if i := names.New(len(h.Tensors), name).Duplicate(name); i >= 0 {
		return nil, fmt.Errorf("tensor %s is there twice", names.Quote(name(i)))
	}

	p.headSize += padding(p.headSize, p.alignment)
	p.total = p.headSize
	for i, size := range p.sizes {
		// A size near the end of 64 bits would overflow with its padding already.
		if size > math.MaxInt64-int64(p.alignment)-p.total {
			return nil, fmt.Errorf("tensor %s: the file would have more bytes than 64 bits count", names.Quote(name(i)))
		}
		p.total += size + padding(size, p.alignment)
	}
	return p, nil
}

// align settles the alignment between the header's field and its metadata.
func (p *plan) align(h Header) error {
	if h.Alignment != 0 {
		if err := checkAlignment(uint64(h.Alignment)); err != nil {
			return err
		}
	}
	for _, kv := range h.Meta {
		if kv.Key != alignmentKey {
			continue
		}
		n, err := alignmentOf(kv.Value)
		if err != nil {
			return fmt.Errorf("key %s: %w", alignmentKey, err)
		}
		if h.Alignment != 0 && h.Alignment != n {
			return fmt.Errorf("key %s is %d, but the header's alignment is %d", alignmentKey, n, h.Alignment)
		}
		p.alignment = n
		return nil
	}
	if h.Alignment != 0 && h.Alignment != DefaultAlignment {
		p.alignment = h.Alignment
		p.meta = append(p.meta[:len(p.meta):len(p.meta)], KV{alignmentKey, ValueOf(uint32(h.Alignment))})
	}
	return nil
}

// header encodes all that comes before the data of the first tensor.
func (p *plan) header(h Header) []byte {
	le := binary.LittleEndian
	b := make([]byte, 0, p.headSize)
	b = append(b, magic...)
	b = le.AppendUint32(b, 3)
	b = le.AppendUint64(b, uint64(len(h.Tensors)))
	b = le.AppendUint64(b, uint64(len(p.meta)))
	for _, kv := range p.meta {
		b = appendString(b, kv.Key)
		b = le.AppendUint32(b, uint32(kv.Value.kind))
		b = append(b, kv.Value.data...)
	}
	offset := int64(0)
	for i, t := range h.Tensors {
		b = appendString(b, t.Name)
		b = le.AppendUint32(b, uint32(len(t.Dims)))
		for _, d := range t.Dims {
			b = le.AppendUint64(b, d)
		}
		b = le.AppendUint32(b, uint32(t.Type))
		b = le.AppendUint64(b, uint64(offset))
		offset += p.sizes[i] + padding(p.sizes[i], p.alignment)
	}
	return b[:p.headSize]
}

// counted passes on the bytes of one tensor, and no more.
type counted struct {
	w    io.Writer
	left int64
}

func (c *counted) Write(b []byte) (int, error) {
	if int64(len(b)) > c.left {
		return 0, fmt.Errorf("%d bytes more than its type and shape take", int64(len(b))-c.left)
	}
	n, err := c.w.Write(b)
	c.left -= int64(n)
	return n, err
}

func writeZeros(w io.Writer, n int64) error {
	zeros := make([]byte, min(n, 64<<10))
	for n > 0 {
		k, err := w.Write(zeros[:min(n, int64(len(zeros)))])
		if err != nil {
			return err
		}
		n -= int64(k)
	}
	return nil
}

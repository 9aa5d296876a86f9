package gguf

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"

	"github.com/finch-llm/finch/internal/names"
)

const (
	magic       = "GGUF"
	headerBytes = 4 + 4 + 8 + 8 // magic, version, tensor count, key count

	minKV     = stringHeader + 1 + 4 + 1     // key, value type, value
	minTensor = stringHeader + 1 + 4 + 4 + 8 // name, dimension count, type, offset
)

// Parse checks the GGUF file in data, which the result refers to. name stands for the file in messages.
func Parse(data []byte, name string) (*File, error) {
	p := &parser{data: data, file: &File{Name: name, Alignment: DefaultAlignment}, what: "header"}
	for _, step := range []func() error{p.header, p.metadata, p.tensors, p.place} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return p.file, nil
}

// parser walks once from the first byte to the last tensor info, then over the tensors in the order of their data.
type parser struct {
	data []byte
	pos  int
	file *File

	keyCount, tensorCount int

	what string // what is read, for messages: "key", "tensor"
	item string // its name, once known
	nth  int    // which of them, counted from 0
}

// fail makes the one message of a damaged file: file, place and problem.
func (p *parser) fail(at int, format string, args ...any) error {
	what := p.what
	switch {
	case p.item != "":
		what += " " + names.Quote(p.item)
	case p.what != "header":
		what += fmt.Sprintf(" number %d", p.nth+1)
	}
	return fmt.Errorf("%s: %s (byte %d): %w", p.file.Name, what, at, fmt.Errorf(format, args...))
}

// need fails if less than n bytes are left.
func (p *parser) need(n int) error {
	if len(p.data)-p.pos < n {
		return p.fail(p.pos, "the file ends within it, after %d bytes: it was cut short, copy or download it again", len(p.data))
	}
	return nil
}

// uint32 and uint64 read numbers that need has made sure of.
func (p *parser) uint32() uint32 {
	p.pos += 4
	return binary.LittleEndian.Uint32(p.data[p.pos-4:])
}

func (p *parser) uint64() uint64 {
	p.pos += 8
	return binary.LittleEndian.Uint64(p.data[p.pos-8:])
}

// name reads a string and makes it the item of messages if it is a good name.
func (p *parser) name(check func(string) error) (string, error) {
	at := p.pos
	n, err := scan(p.data[at:], String, 0)
	if err != nil {
		return "", p.fail(at, "its name: %w", err)
	}
	s := string(p.data[at+stringHeader : at+n])
	if err := check(s); err != nil {
		return "", p.fail(at, "%w", err)
	}
	p.pos, p.item = at+n, s
	return s, nil
}

func (p *parser) header() error {
	if start := p.data[:min(len(magic), len(p.data))]; string(start) != magic {
		return p.fail(0, "the file starts with %q, not with %q: it is no GGUF file", start, magic)
	}
	if err := p.need(headerBytes); err != nil {
		return err
	}
	p.pos = len(magic)
	version := p.uint32()
	switch {
	case version == 2 || version == 3:
		p.file.Version = version
	case version == 1:
		return p.fail(4, "GGUF version 1 is no longer in use: convert the model again with a current llama.cpp")
	case version > 0 && version&0xffff == 0:
		return p.fail(4, "the file is big-endian (version %d): convert it with llama.cpp's gguf_convert_endian.py", bits.ReverseBytes32(version))
	default:
		return p.fail(4, "GGUF version %d is not known: this finch reads versions 2 and 3", version)
	}
	tensors, keys := p.uint64(), p.uint64()
	left := uint64(len(p.data) - p.pos)
	if tensors > math.MaxInt32 || tensors > left/minTensor {
		return p.fail(8, "%d tensors do not fit in a file of %d bytes", tensors, len(p.data))
	}
	if keys > math.MaxInt32 || keys > (left-tensors*minTensor)/minKV {
		return p.fail(16, "%d keys do not fit in a file of %d bytes", keys, len(p.data))
	}
	p.tensorCount, p.keyCount = int(tensors), int(keys)
	return nil
}

func (p *parser) metadata() error {
	f := p.file
	f.Meta = make([]KV, p.keyCount)
	for i := range f.Meta {
		p.what, p.item, p.nth = "key", "", i
		if err := p.keyValue(&f.Meta[i]); err != nil {
			return err
		}
	}
	f.keyIndex = names.New(len(f.Meta), f.key)
	if i := f.keyIndex.Duplicate(f.key); i >= 0 {
		at := headerBytes
		for _, kv := range f.Meta[:i] {
			at += kv.bytes()
		}
		p.item = f.Meta[i].Key
		return p.fail(at, "an earlier key has the same name")
	}
	return nil
}

func (p *parser) keyValue(kv *KV) (err error) {
	if kv.Key, err = p.name(checkKey); err != nil {
		return err
	}
	if err := p.need(4); err != nil {
		return err
	}
	at := p.pos
	kind := ValueType(p.uint32())
	n, err := scan(p.data[p.pos:], kind, 0)
	if err != nil {
		return p.fail(at, "%w", err)
	}
	kv.Value = Value{kind, p.data[p.pos : p.pos+n : p.pos+n]}
	p.pos += n
	if kv.Key == alignmentKey {
		if p.file.Alignment, err = alignmentOf(kv.Value); err != nil {
			return p.fail(at, "%w", err)
		}
	}
	return nil
}

func (p *parser) tensors() error {
	f := p.file
	start := p.pos
	f.Tensors = make([]TensorInfo, p.tensorCount)
	for i := range f.Tensors {
		p.what, p.item, p.nth = "tensor", "", i
		if err := p.tensorInfo(&f.Tensors[i]); err != nil {
			return err
		}
	}
	f.tensorIndex = names.New(len(f.Tensors), f.tensorName)
	if i := f.tensorIndex.Duplicate(f.tensorName); i >= 0 {
		p.item = f.Tensors[i].Name
		return p.fail(p.infoStart(start, i), "an earlier tensor has the same name")
	}
	return nil
}

func (p *parser) tensorInfo(t *TensorInfo) (err error) {
	if t.Name, err = p.name(checkName); err != nil {
		return err
	}
	if err := p.need(4); err != nil {
		return err
	}
	at := p.pos
	n := p.uint32()
	if n > maxDims {
		return p.fail(at, "%d dimensions, GGUF allows %d", n, maxDims)
	}
	if err := p.need(int(n)*8 + 4 + 8); err != nil {
		return err
	}
	t.Dims = make([]uint64, n)
	for i := range t.Dims {
		t.Dims[i] = p.uint64()
	}
	t.Type = TensorType(p.uint32())
	t.Offset = p.uint64()
	if _, err := TensorSize(t.Type, t.Dims); err != nil {
		return p.fail(at, "%w", err)
	}
	if t.Offset%uint64(p.file.Alignment) != 0 {
		return p.fail(p.pos-8, "its offset %d is not a multiple of the alignment %d", t.Offset, p.file.Alignment)
	}
	return nil
}

// infoStart is the byte at which the info of tensor i starts, the first one starting at start.
func (p *parser) infoStart(start, i int) int {
	for _, t := range p.file.Tensors[:i] {
		start += infoBytes(t.Name, len(t.Dims))
	}
	return start
}

// bytes is the encoded size of an entry.
func (kv KV) bytes() int { return stringHeader + len(kv.Key) + 4 + len(kv.Value.data) }

// infoBytes is the encoded size of a tensor info.
func infoBytes(name string, dims int) int { return stringHeader + len(name) + 4 + dims*8 + 4 + 8 }

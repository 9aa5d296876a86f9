package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math"
	"slices"

	"github.com/finch-llm/finch/internal/names"
)

const (
	lengthBytes = 8
	maxHeader   = 100_000_000 // of the reference implementation

	metadataKey = "__metadata__"

	// Two bounds of our own, far above real files, that bound what a header can make us allocate.
	maxMetadata = 1 << 16
	maxDims     = 64 // as many as torch and numpy allow
)

// minEntry is the least number of bytes that a tensor takes in the header.
const minEntry = len(`"":{"dtype":"I8","shape":[],"data_offsets":[0,0]}`)

// Parse checks the safetensors file in data, which the result refers to. name stands for the file in messages.
func Parse(data []byte, name string) (*File, error) {
	p := &parser{file: &File{Name: name}, scanner: scanner{path: name, what: "header"}}
	if err := p.header(data); err != nil {
		return nil, err
	}
	p.offset = lengthBytes
	if err := p.checkText(); err != nil {
		return nil, err
	}
	p.file.Tensors = make([]Tensor, 0, min(bytes.Count(p.data, []byte(`"dtype"`)), len(p.data)/minEntry))
	if err := p.object(p.entry); err != nil {
		return nil, err
	}
	if err := p.end(); err != nil {
		return nil, err
	}
	if err := p.place(data[lengthBytes+len(p.data):]); err != nil {
		return nil, err
	}
	return p.file, nil
}

type parser struct {
	scanner
	file        *File
	hasMetadata bool
}

// header finds the JSON.
func (p *parser) header(data []byte) error {
	if len(data) < lengthBytes {
		return p.fail(0, "the file has %d bytes, not even the %d of the header's length: it is no safetensors file, or was cut short", len(data), lengthBytes)
	}
	n := binary.LittleEndian.Uint64(data)
	switch {
	case n > maxHeader:
		return p.fail(0, "the header has %d bytes, more than %d are not allowed: it is no safetensors file", n, maxHeader)
	case n > uint64(len(data)-lengthBytes):
		return p.fail(0, "the header of %d bytes is longer than the file of %d: it was cut short, copy or download it again", n, len(data))
	case n == 0 || data[lengthBytes] != '{':
		return p.fail(lengthBytes, `the header does not start with "{": it is no safetensors file`)
	}
	p.data = data[lengthBytes : lengthBytes+n]
	return nil
}

// entry reads one member of the header.
func (p *parser) entry(key []byte, at int) error {
	if string(key) == metadataKey {
		return p.metadata(at)
	}
	f := p.file
	if len(f.Tensors) == math.MaxInt32 {
		return p.fail(at, "more tensors than %d", math.MaxInt32)
	}
	f.Tensors = append(f.Tensors, Tensor{Name: string(key), at: at})
	t := &f.Tensors[len(f.Tensors)-1]
	p.what, p.item = "tensor", t.Name
	if err := p.tensor(t); err != nil {
		return err
	}
	p.what, p.item = "header", ""
	return nil
}

func (p *parser) metadata(at int) error {
	p.what = metadataKey
	if p.hasMetadata {
		return p.fail(at, "the key is there twice")
	}
	p.hasMetadata = true
	m := map[string]string{}
	err := p.object(func(key []byte, at int) error {
		if _, twice := m[string(key)]; twice {
			return p.fail(at, "key %s is there twice", names.Quote(string(key)))
		}
		if len(m) == maxMetadata {
			return p.fail(at, "more than %d entries", maxMetadata)
		}
		value, err := p.text()
		m[string(key)] = string(value)
		return err
	})
	p.file.Metadata = m
	p.what = "header"
	return err
}

// tensor reads the description of a tensor and checks it by itself.
func (p *parser) tensor(t *Tensor) error {
	var seen [3]bool // dtype, shape, data_offsets
	err := p.object(func(key []byte, at int) error {
		field := 0
		switch string(key) {
		case "dtype":
		case "shape":
			field = 1
		case "data_offsets":
			field = 2
		default:
			return p.fail(at, "unknown key %s: a tensor has dtype, shape and data_offsets", names.Quote(string(key)))
		}
		if seen[field] {
			return p.fail(at, "key %s is there twice", key)
		}
		seen[field] = true
		switch field {
		case 0:
			return p.dtype(t)
		case 1:
			return p.shape(t)
		default:
			return p.offsets(t)
		}
	})
	if err != nil {
		return err
	}
	if seen != [3]bool{true, true, true} {
		return p.fail(t.at, "one of dtype, shape and data_offsets is missing")
	}
	if t.begin > t.end {
		return p.fail(t.at, "data_offsets [%d, %d] run backwards", t.begin, t.end)
	}
	size, err := TensorSize(t.DType, t.Shape)
	if err != nil {
		return p.fail(t.at, "%w", err)
	}
	if size != t.end-t.begin {
		return p.fail(t.at, "shape %d of %s takes %d bytes, but data_offsets [%d, %d] hold %d", t.Shape, t.DType, size, t.begin, t.end, t.end-t.begin)
	}
	return nil
}

func (p *parser) dtype(t *Tensor) error {
	name, err := p.text()
	if err != nil {
		return err
	}
	rank := DType(name).rank()
	if rank < 0 {
		_, err := TensorSize(DType(name), nil)
		return p.fail(t.at, "%w", err)
	}
	t.DType = dtypes[rank].name // not the copy
	return nil
}

func (p *parser) shape(t *Tensor) error {
	var dims [maxDims]int
	n := 0
	err := p.list('[', ']', "a list", func() error {
		d, err := p.whole(math.MaxInt)
		if err != nil {
			return err
		}
		if n == maxDims {
			return p.fail(p.pos, "more than %d dimensions", maxDims)
		}
		dims[n] = int(d)
		n++
		return nil
	})
	t.Shape = slices.Clone(dims[:n])
	return err
}

func (p *parser) offsets(t *Tensor) error {
	at := p.pos
	n := 0
	err := p.list('[', ']', "a list", func() error {
		x, err := p.whole(math.MaxInt64)
		t.begin, t.end = t.end, int64(x)
		n++
		return err
	})
	if err == nil && n != 2 {
		return p.fail(at, "data_offsets are %d numbers, not 2", n)
	}
	return err
}

// place gives every tensor its part of body, the bytes after the header: all of it, and none twice.
func (p *parser) place(body []byte) error {
	f := p.file
	slices.SortStableFunc(f.Tensors, func(a, b Tensor) int {
		return cmp.Or(cmp.Compare(a.begin, b.begin), cmp.Compare(a.end, b.end))
	})
	f.index = names.New(len(f.Tensors), f.tensorName)
	if i := f.index.Duplicate(f.tensorName); i >= 0 {
		p.what, p.item = "tensor", f.Tensors[i].Name
		return p.fail(f.Tensors[i].at, "another tensor has the same name")
	}
	end := int64(0) // of the data so far
	for i := range f.Tensors {
		t := &f.Tensors[i]
		p.what, p.item = "tensor", t.Name
		switch {
		case t.end > int64(len(body)):
			return p.fail(t.at, "data_offsets [%d, %d] are past the end of the %d bytes of data: the file was cut short, copy or download it again", t.begin, t.end, len(body))
		case t.begin > end:
			return p.fail(t.at, "bytes %d to %d of the data, before this tensor, belong to none", end, t.begin)
		case t.begin < end:
			return p.fail(t.at, "data_offsets [%d, %d] overlap those of tensor %s", t.begin, t.end, names.Quote(f.Tensors[i-1].Name))
		}
		t.Data = body[t.begin:t.end:t.end]
		end = t.end
	}
	if extra := int64(len(body)) - end; extra > 0 {
		p.what, p.item = "data", ""
		return p.fail(len(p.data)+int(end), "%d bytes after the last tensor belong to none", extra)
	}
	return nil
}

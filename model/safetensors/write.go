package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/finch-llm/finch/internal/names"
)

// Header is everything of a file but the data of its tensors.
type Header struct {
	Metadata map[string]string
	Tensors  []TensorSpec

	// MinBytes is how many bytes the JSON is padded to with spaces, so that a size can be known before every name is.
	MinBytes int64
}

// TensorSpec is a tensor to be written, row-major.
type TensorSpec struct {
	Name  string
	DType DType
	Shape []int
}

// Size is the number of bytes of the data.
func (t TensorSpec) Size() (int64, error) { return TensorSize(t.DType, t.Shape) }

// Size is the exact number of bytes that Write makes of h.
func Size(h Header) (int64, error) {
	p, err := layOut(h)
	if err != nil {
		return 0, err
	}
	return lengthBytes + int64(len(p.header)) + p.dataSize, nil
}

// Write writes a file. Like the reference implementation it puts the tensors with the widest elements first, equal ones by
// name, which aligns all of them, and pads the header with spaces to a multiple of 8 bytes; metadata is sorted by key. The
// same h gives the same bytes. data writes the bytes of h.Tensors[i], exactly as many as its type and shape take; it is
// called once for each tensor, in the order of the file.
func Write(w io.Writer, h Header, data func(i int, w io.Writer) error) error {
	p, err := layOut(h)
	if err != nil {
		return err
	}
	head := binary.LittleEndian.AppendUint64(nil, uint64(len(p.header)))
	if _, err := w.Write(append(head, p.header...)); err != nil {
		return fmt.Errorf("write safetensors header: %w", err)
	}
	for _, i := range p.order {
		t := h.Tensors[i]
		body := &counted{w: w, left: p.sizes[i]}
		if err := data(i, body); err != nil {
			return fmt.Errorf("write tensor %s: %w", t.Name, err)
		}
		if body.left > 0 {
			return fmt.Errorf("write tensor %s: %d bytes are missing of the %d that %d of %s take", t.Name, body.left, p.sizes[i], t.Shape, t.DType)
		}
	}
	return nil
}

// plan says where everything goes.
type plan struct {
	header   []byte  // with its padding
	order    []int   // of the tensors in the file
	sizes    []int64 // of each tensor, in the order of the Header
	dataSize int64
}

// layOut checks h, by the rules by which Parse checks files, and lays it out.
func layOut(h Header) (*plan, error) {
	if len(h.Metadata) > maxMetadata {
		return nil, fmt.Errorf("%d entries of metadata, %d are allowed", len(h.Metadata), maxMetadata)
	}
	if len(h.Tensors) > math.MaxInt32 {
		return nil, fmt.Errorf("%d tensors are too many", len(h.Tensors))
	}
	for key, value := range h.Metadata {
		if !utf8.ValidString(key) || !utf8.ValidString(value) {
			return nil, errors.New("the metadata is not UTF-8")
		}
	}
	p := &plan{order: make([]int, len(h.Tensors)), sizes: make([]int64, len(h.Tensors))}
	for i, t := range h.Tensors {
		size, err := checkSpec(t)
		if err != nil {
			return nil, fmt.Errorf("tensor %s: %w", names.Quote(t.Name), err)
		}
		p.order[i], p.sizes[i] = i, size
	}
	name := func(i int) string { return h.Tensors[i].Name }
	if i := names.New(len(h.Tensors), name).Duplicate(name); i >= 0 {
		return nil, fmt.Errorf("tensor %s is there twice", names.Quote(name(i)))
	}
	slices.SortFunc(p.order, func(a, b int) int {
		x, y := h.Tensors[a], h.Tensors[b]
		return cmp.Or(cmp.Compare(y.DType.rank(), x.DType.rank()), cmp.Compare(x.Name, y.Name))
	})
	return p, p.encode(h)
}

func checkSpec(t TensorSpec) (int64, error) {
	switch {
	case t.Name == metadataKey:
		return 0, errors.New("the name is reserved")
	case !utf8.ValidString(t.Name):
		return 0, errors.New("the name is not UTF-8")
	case len(t.Shape) > maxDims:
		return 0, fmt.Errorf("%d dimensions, %d are allowed", len(t.Shape), maxDims)
	}
	return t.Size()
}

// encode makes the header and adds up the data.
func (p *plan) encode(h Header) error {
	b := []byte{'{'}
	if h.Metadata != nil {
		b = append(appendString(b, metadataKey), ":{"...)
		for i, key := range slices.Sorted(maps.Keys(h.Metadata)) {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendString(b, key), ':')
			b = appendString(b, h.Metadata[key])
		}
		b = append(b, '}')
	}
	for _, i := range p.order {
		t, size := h.Tensors[i], p.sizes[i]
		if size > math.MaxInt64-lengthBytes-maxHeader-p.dataSize {
			return fmt.Errorf("tensor %s: the file would have more bytes than 64 bits count", names.Quote(t.Name))
		}
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = appendString(b, t.Name)
		b = append(append(b, `:{"dtype":"`...), t.DType...)
		b = append(b, `","shape":[`...)
		for k, d := range t.Shape {
			if k > 0 {
				b = append(b, ',')
			}
			b = strconv.AppendInt(b, int64(d), 10)
		}
		b = fmt.Appendf(b, `],"data_offsets":[%d,%d]}`, p.dataSize, p.dataSize+size)
		p.dataSize += size
	}
	b = append(b, '}')
	size := max(int64(len(b)), h.MinBytes)
	if size > maxHeader {
		return fmt.Errorf("the header has %d bytes, more than the %d that are allowed: split the model", size, maxHeader)
	}
	size += -size & 7
	p.header = append(b, bytes.Repeat([]byte{' '}, int(size)-len(b))...)
	return nil
}

// appendString appends s as JSON with no more escapes than JSON needs, as the reference implementation does.
func appendString(b []byte, s string) []byte {
	const short = "\b\f\n\r\t\"\\"
	const letters = `bfnrt"\`
	b = append(b, '"')
	copied := 0
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		b = append(b, s[copied:i]...)
		copied = i + 1
		if k := strings.IndexByte(short, c); k >= 0 {
			b = append(b, '\\', letters[k])
		} else {
			b = fmt.Appendf(b, `\u%04x`, c)
		}
	}
	b = append(b, s[copied:]...)
	return append(b, '"')
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

package safetensors

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// randomHeader draws a header that Write accepts.
func randomHeader(r *rand.Rand) Header {
	text := func(n int) string {
		b := make([]rune, r.IntN(n))
		for i := range b {
			b[i] = []rune("ab._/\\\"\n\x00\x7fé鳥\u2028🐦")[r.IntN(14)]
		}
		return string(b)
	}
	var h Header
	for i := range r.IntN(4) {
		if h.Metadata == nil {
			h.Metadata = map[string]string{}
		}
		h.Metadata[fmt.Sprint(i, text(8))] = text(20)
	}
	for i := range r.IntN(12) {
		shape := make([]int, r.IntN(4))
		for d := range shape {
			shape[d] = r.IntN(5)
		}
		d := dtypes[r.IntN(len(dtypes))]
		if d.bits%8 != 0 {
			shape = append(shape, 4)
		}
		h.Tensors = append(h.Tensors, TensorSpec{fmt.Sprint(text(8), i), d.name, shape})
	}
	return h
}

// TestRoundTrip writes random headers and data: Parse gives them back, Size is the length to the byte, and the order of the
// tensors does not matter.
func TestRoundTrip(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 2))
		h := randomHeader(r)
		payload := map[string][]byte{}
		var b bytes.Buffer
		if err := Write(&b, h, func(i int, w io.Writer) error {
			size, err := h.Tensors[i].Size()
			if err != nil {
				return err
			}
			data := make([]byte, size)
			for k := range data {
				data[k] = byte(r.Uint32())
			}
			payload[h.Tensors[i].Name] = data
			if _, err := w.Write(data[:size/2]); err != nil {
				return err
			}
			_, err = w.Write(data[size/2:])
			return err
		}); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if size, err := Size(h); err != nil || size != int64(b.Len()) {
			t.Fatalf("seed %d: Size is %d, %v; Write made %d bytes", seed, size, err, b.Len())
		}
		f, err := Parse(b.Bytes(), "round trip")
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if !maps.Equal(f.Metadata, h.Metadata) || len(f.Tensors) != len(h.Tensors) {
			t.Errorf("seed %d: metadata %q, want %q; %d tensors, want %d", seed, f.Metadata, h.Metadata, len(f.Tensors), len(h.Tensors))
		}
		for _, want := range h.Tensors {
			got, ok := f.Tensor(want.Name)
			if !ok || got.DType != want.DType || !slices.Equal(got.Shape, want.Shape) || !bytes.Equal(got.Data, payload[want.Name]) {
				t.Errorf("seed %d: %q is %+v", seed, want.Name, got)
			}
		}
		if again := rewrite(t, f); !bytes.Equal(again, b.Bytes()) {
			t.Errorf("seed %d: another order of the tensors gives other bytes", seed)
		}
	}
}

func TestWriteRefuses(t *testing.T) {
	tensor := func(specs ...TensorSpec) Header { return Header{Tensors: specs} }
	many := map[string]string{}
	for i := range maxMetadata + 1 {
		many[fmt.Sprint(i)] = ""
	}
	for _, c := range []struct {
		name string
		h    Header
		want string
	}{
		{"twice", tensor(TensorSpec{"a", U8, nil}, TensorSpec{"a", U8, nil}), "twice"},
		{"reserved", tensor(TensorSpec{"__metadata__", U8, nil}), "reserved"},
		{"not UTF-8", tensor(TensorSpec{"\xff", U8, nil}), "not UTF-8"},
		{"dtype", tensor(TensorSpec{"a", "Q4_K", nil}), "unknown dtype"},
		{"negative", tensor(TensorSpec{"a", U8, []int{-1}}), "negative"},
		{"half a byte", tensor(TensorSpec{"a", F4, []int{1}}), "whole byte"},
		{"dimensions", tensor(TensorSpec{"a", U8, make([]int, 65)}), "65 dimensions"},
		{"total overflow", tensor(tensorsOf(16, 1<<56)...), "more bytes than 64 bits"},
		{"metadata not UTF-8", Header{Metadata: map[string]string{"a": "\xff"}}, "not UTF-8"},
		{"metadata too large", Header{Metadata: many}, "65537 entries"},
		{"header too large", Header{Metadata: map[string]string{"a": strings.Repeat("x", maxHeader)}}, "split the model"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var b bytes.Buffer
			err := Write(&b, c.h, func(int, io.Writer) error { return nil })
			if err == nil || !strings.Contains(err.Error(), c.want) || b.Len() > 0 {
				t.Errorf("error %v after %d bytes, want %q", err, b.Len(), c.want)
			}
		})
	}
}

// tensorsOf is n tensors of this many elements of 8 bytes.
func tensorsOf(n, elements int) []TensorSpec {
	var specs []TensorSpec
	for i := range n {
		specs = append(specs, TensorSpec{fmt.Sprintf("tensor.%06d", i), U64, []int{elements}})
	}
	return specs
}

func TestWriteChecksData(t *testing.T) {
	h := Header{Tensors: []TensorSpec{{"lm_head.weight", F32, []int{4}}}}
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		data func(int, io.Writer) error
		want string
	}{
		"too few bytes":  {func(_ int, w io.Writer) error { _, err := w.Write(make([]byte, 15)); return err }, "1 bytes are missing"},
		"too many bytes": {func(_ int, w io.Writer) error { _, err := w.Write(make([]byte, 17)); return err }, "1 bytes more"},
		"callback fails": {func(int, io.Writer) error { return broken }, "broken"},
	} {
		err := Write(io.Discard, h, c.data)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "lm_head.weight") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestMinBytes pads the header on request, and no further than a reader accepts.
func TestMinBytes(t *testing.T) {
	h := Header{Tensors: []TensorSpec{{"a", U8, []int{3}}}}
	plain, err := Size(h)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ min, size int64 }{
		{0, plain}, {plain - 8 - 3, plain}, {plain - 8 - 3 + 1, plain + 8}, {1000, 8 + 1000 + 3},
	} {
		h.MinBytes = test.min
		if size, err := Size(h); err != nil || size != test.size {
			t.Errorf("MinBytes %d: %d bytes, %v, want %d", test.min, size, err, test.size)
		}
	}
	h.MinBytes = 1001
	var b bytes.Buffer
	if err := Write(&b, h, func(_ int, w io.Writer) error { _, err := w.Write([]byte("xyz")); return err }); err != nil {
		t.Fatal(err)
	}
	f, err := Parse(b.Bytes(), "padded")
	if err != nil || string(f.Tensors[0].Data) != "xyz" || b.Len() != 8+1008+3 {
		t.Errorf("%d bytes, %v", b.Len(), err)
	}
	for _, n := range []int64{maxHeader + 1, 1<<63 - 1} {
		h.MinBytes = n
		if _, err := Size(h); err == nil {
			t.Errorf("MinBytes %d is taken", n)
		}
	}
}

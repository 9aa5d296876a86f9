package gguf

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// sample is a small file with values and tensors of several types.
func sample(t testing.TB) []byte {
	t.Helper()
	h := Header{
		Meta: []KV{
			{"general.architecture", ValueOf("llama")},
			{"llama.block_count", ValueOf(uint32(2))},
			{"llama.rope.freq_base", ValueOf(float32(10000))},
			{"tokenizer.ggml.tokens", ArrayOf([]string{"<s>", "a", "b"})},
			{"tokenizer.ggml.token_type", ArrayOf([]int32{3, 1, 1})},
			{"tokenizer.ggml.add_bos_token", ValueOf(true)},
		},
		Tensors: []TensorSpec{
			{"token_embd.weight", []uint64{32, 3}, Q8_0},
			{"output_norm.weight", []uint64{32}, F32},
			{"blk.0.attn_q.weight", []uint64{32, 1}, Q4_0},
		},
	}
	var b bytes.Buffer
	if err := Write(&b, h, func(i int, w io.Writer) error {
		size, err := h.Tensors[i].Size()
		if err != nil {
			return err
		}
		_, err = w.Write(bytes.Repeat([]byte{byte(i + 1)}, int(size)))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestAccessors(t *testing.T) {
	f, err := Parse(sample(t), "sample")
	if err != nil {
		t.Fatal(err)
	}
	if s, ok := f.String("general.architecture"); !ok || s != "llama" {
		t.Errorf("String: %q, %v", s, ok)
	}
	if n, ok := f.Uint("llama.block_count"); !ok || n != 2 {
		t.Errorf("Uint: %d, %v", n, ok)
	}
	if x, ok := f.Float("llama.rope.freq_base"); !ok || x != 10000 {
		t.Errorf("Float: %g, %v", x, ok)
	}
	if b, ok := f.Bool("tokenizer.ggml.add_bos_token"); !ok || !b {
		t.Errorf("Bool: %v, %v", b, ok)
	}
	if s, ok := f.Strings("tokenizer.ggml.tokens"); !ok || len(s) != 3 || s[2] != "b" {
		t.Errorf("Strings: %q, %v", s, ok)
	}
	if n, ok := f.Ints("tokenizer.ggml.token_type"); !ok || len(n) != 3 || n[0] != 3 {
		t.Errorf("Ints: %d, %v", n, ok)
	}
	for _, key := range []string{"missing", "", "general.architecture"} {
		if n, ok := f.Uint(key); ok {
			t.Errorf("Uint of %q: %d", key, n)
		}
	}
	if _, ok := f.Tensor("output.weight"); ok {
		t.Error("found a tensor that is not there")
	}
	if q, ok := f.Tensor("blk.0.attn_q.weight"); !ok || q.Type != Q4_0 || q.Data[17] != 3 {
		t.Errorf("Tensor: %+v, %v", q, ok)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

// randomHeader draws a header that Write accepts.
func randomHeader(r *rand.Rand) Header {
	h := Header{Alignment: []int{0, 0, 8, 16, 32, 64, 256}[r.IntN(7)]}
	text := func(n int) string {
		b := make([]rune, r.IntN(n))
		for i := range b {
			b[i] = []rune("abcdef._é鳥")[r.IntN(10)]
		}
		return string(b)
	}
	for i := range r.IntN(12) {
		values := []Value{
			ValueOf(uint8(r.Uint32())), ValueOf(int8(r.Uint32())), ValueOf(uint16(r.Uint32())), ValueOf(int16(r.Uint32())),
			ValueOf(r.Uint32()), ValueOf(int32(r.Uint32())), ValueOf(r.Uint64()), ValueOf(int64(r.Uint64())),
			ValueOf(math.Float32frombits(r.Uint32())), ValueOf(math.Float64frombits(r.Uint64())), ValueOf(r.IntN(2) == 0), ValueOf(text(40)),
			ArrayOf([]string{text(5), text(9), ""}[:r.IntN(4)]), ArrayOf([]uint16{1, 2, 3}[:r.IntN(4)]), ArrayOf([]bool{true, false}),
		}
		h.Meta = append(h.Meta, KV{fmt.Sprintf("key.%d%s", i, text(8)), values[r.IntN(len(values))]})
	}
	for i := range r.IntN(10) {
		var kind TensorType
		for kind = removed; !kind.Known(); {
			kind = TensorType(r.IntN(len(tensorTypes)))
		}
		dims := make([]uint64, 1+r.IntN(maxDims))
		for d := range dims {
			dims[d] = uint64(1 + r.IntN(4))
		}
		dims[0] *= uint64(kind.BlockWeights())
		h.Tensors = append(h.Tensors, TensorSpec{fmt.Sprintf("t%d%s", i, text(8)), dims, kind})
	}
	return h
}

// removed is an id whose format ggml has removed.
const removed TensorType = 4

// TestRoundTrip writes random headers and data: Parse gives them back, and Size is the length to the byte.
func TestRoundTrip(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		h := randomHeader(r)
		payload := make([][]byte, len(h.Tensors))
		var b bytes.Buffer
		if err := Write(&b, h, func(i int, w io.Writer) error {
			size, err := h.Tensors[i].Size()
			if err != nil {
				return err
			}
			payload[i] = make([]byte, size)
			for k := range payload[i] {
				payload[i][k] = byte(r.Uint32())
			}
			for rest := payload[i]; len(rest) > 0; { // in pieces
				n := 1 + r.IntN(len(rest))
				if _, err := w.Write(rest[:n]); err != nil {
					return err
				}
				rest = rest[n:]
			}
			return nil
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
		if h.Alignment != 0 && f.Alignment != h.Alignment || f.Version != 3 {
			t.Errorf("seed %d: alignment %d of %d, version %d", seed, f.Alignment, h.Alignment, f.Version)
		}
		for i, kv := range h.Meta {
			if got := f.Meta[i]; got.Key != kv.Key || !got.Value.Equal(kv.Value) {
				t.Errorf("seed %d: key %d is %s %v, want %s %v", seed, i, got.Key, got.Value, kv.Key, kv.Value)
			}
		}
		if len(f.Tensors) != len(h.Tensors) {
			t.Fatalf("seed %d: %d tensors of %d", seed, len(f.Tensors), len(h.Tensors))
		}
		for i, want := range h.Tensors {
			got := f.Tensors[i]
			if got.Name != want.Name || got.Type != want.Type || fmt.Sprint(got.Dims) != fmt.Sprint(want.Dims) || !bytes.Equal(got.Data, payload[i]) {
				t.Errorf("seed %d: tensor %d is %s %v %s", seed, i, got.Name, got.Dims, got.Type)
			}
		}
		if again := rewrite(t, f); !bytes.Equal(again, b.Bytes()) {
			t.Errorf("seed %d: writing what was read gives other bytes", seed)
		}
	}
}

func TestWriteRefuses(t *testing.T) {
	key := func(kv ...KV) Header { return Header{Meta: kv} }
	tensor := func(specs ...TensorSpec) Header { return Header{Tensors: specs} }
	for _, c := range []struct {
		name string
		h    Header
		want string
	}{
		{"key empty", key(KV{"", ValueOf("x")}), "empty"},
		{"key duplicate", key(KV{"k", ValueOf("x")}, KV{"k", ValueOf("y")}), "twice"},
		{"no value", key(KV{Key: "k"}), "no value"},
		{"alignment", Header{Alignment: 12}, "alignment 12"},
		{"alignment negative", Header{Alignment: -8}, "alignment"},
		{"alignment of another type", key(KV{alignmentKey, ValueOf("32")}), "a string, not a uint32"},
		{"alignment contradicts", Header{Alignment: 64, Meta: []KV{{alignmentKey, ValueOf(uint32(32))}}}, "is 32, but the header's alignment is 64"},
		{"tensor name too long", tensor(TensorSpec{strings.Repeat("t", 64), []uint64{1}, F32}), "ggml allows 63"},
		{"tensor duplicate", tensor(TensorSpec{"t", []uint64{1}, F32}, TensorSpec{"t", []uint64{1}, F32}), "twice"},
		{"tensor of a row that is not whole blocks", tensor(TensorSpec{"t", []uint64{100}, Q4_K}), "rows of 100 weights"},
		{"total overflow", tensor(TensorSpec{"a", []uint64{1 << 62}, I8}, TensorSpec{"b", []uint64{1 << 62}, I8}), "more bytes than 64 bits"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var b bytes.Buffer
			err := Write(&b, c.h, func(int, io.Writer) error { return nil })
			if err == nil || !strings.Contains(err.Error(), c.want) || b.Len() > 0 {
				t.Errorf("error %v after %d bytes, want %q", err, b.Len(), c.want)
			}
			if _, err := Size(c.h); err == nil {
				t.Error("Size gives no error")
			}
		})
	}
}

func TestWriteChecksData(t *testing.T) {
	h := Header{Tensors: []TensorSpec{{"blk.0.ffn_up.weight", []uint64{4}, F32}}}
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
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "blk.0.ffn_up.weight") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// full is a disk with room for n bytes.
type full struct{ n int }

func (f *full) Write(b []byte) (int, error) {
	if len(b) > f.n {
		return 0, io.ErrShortWrite
	}
	f.n -= len(b)
	return len(b), nil
}

func TestWriteReportsFullDisk(t *testing.T) {
	f, err := Parse(sample(t), "sample")
	if err != nil {
		t.Fatal(err)
	}
	for room := range len(sample(t)) {
		err := Write(&full{room}, headerOf(f), func(i int, w io.Writer) error {
			_, err := w.Write(f.Tensors[i].Data)
			return err
		})
		if !errors.Is(err, io.ErrShortWrite) {
			t.Fatalf("with room for %d bytes: %v", room, err)
		}
	}
}

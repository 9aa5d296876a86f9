package gguf

import (
	"math"
	"strings"
	"testing"

	"github.com/finch-llm/finch/kernels"
)

func TestTypesOfKernels(t *testing.T) {
	for _, f := range kernels.Formats() {
		id, ok := TypeOf(f)
		if _, own := f.IntGroup(); own {
			if ok {
				t.Errorf("%s: type %d is one of ggml's", f, id)
			}
			continue
		}
		back, multiplied := id.Format()
		if !ok || !multiplied || back != f {
			t.Errorf("%s: type %d stands for %v, %v", f, id, back, ok)
		}
		if id.BlockWeights() != f.BlockWeights() || id.BlockBytes() != f.BlockBytes() {
			t.Errorf("%s: blocks of %d weights in %d bytes", f, id.BlockWeights(), id.BlockBytes())
		}
	}
	for id := range TensorType(len(tensorTypes) + 2) {
		switch _, ok := id.Format(); id {
		case Q8_1, I8, I16, I32, I64, F64:
			if ok {
				t.Errorf("%s can be multiplied", id)
			}
		default:
			if ok != id.Known() {
				t.Errorf("%s, known %t, can be multiplied: %t", id, id.Known(), ok)
			}
		}
	}
}

func TestParseTensorType(t *testing.T) {
	for id := range TensorType(len(tensorTypes)) {
		got, err := ParseTensorType(id.String())
		if id.Known() && (err != nil || got != id) || !id.Known() && err == nil {
			t.Errorf("%s: %d, %v", id, got, err)
		}
	}
	if _, err := ParseTensorType("q9_k"); err == nil || !strings.Contains(err.Error(), "q4_k") {
		t.Errorf("error %v does not list the types", err)
	}
	if s := TensorType(math.MaxUint32).String(); s != "type 4294967295" {
		t.Error(s)
	}
}

func TestTensorSize(t *testing.T) {
	const huge = math.MaxInt64
	for _, c := range []struct {
		name  string
		kind  TensorType
		dims  []uint64
		want  int64
		error string
	}{
		{"scalar", F32, nil, 4, ""},
		{"vector", F16, []uint64{5}, 10, ""},
		{"matrix", Q4_K, []uint64{512, 3}, 2 * 144 * 3, ""},
		{"four dimensions", I8, []uint64{2, 3, 4, 5}, 120, ""},
		{"largest", I8, []uint64{huge}, huge, ""},
		{"row not whole blocks", Q8_0, []uint64{33, 32}, 0, "rows of 33 weights"},
		{"scalar of blocks", Q8_0, nil, 0, "rows of 1 weights"},
		{"zero", F32, []uint64{4, 0}, 0, "is zero"},
		{"negative", F32, []uint64{math.MaxUint64}, 0, "dimension 0 is -1"},
		{"elements overflow", F32, []uint64{1 << 32, 1 << 31}, 0, "more elements"},
		{"bytes overflow", F32, []uint64{huge}, 0, "more bytes"},
		{"five dimensions", F32, []uint64{1, 1, 1, 1, 1}, 0, "5 dimensions"},
		{"removed", 4, []uint64{32}, 0, "q4_2 was removed"},
		{"unknown", 77, []uint64{32}, 0, "unknown tensor type 77"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := TensorSize(c.kind, c.dims)
			if got != c.want || (err == nil) != (c.error == "") || err != nil && !strings.Contains(err.Error(), c.error) {
				t.Errorf("%d, %v; want %d, %q", got, err, c.want, c.error)
			}
		})
	}
}

package gguf

import (
	"fmt"
	"math"
	"strings"

	"github.com/finch-llm/finch/kernels"
)

// TensorType is the id of a ggml type, the way in which the weights of a tensor are stored.
type TensorType uint32

// The types of ggml.h. Ids that are missing here belonged to formats that ggml has removed.
const (
	F32     TensorType = 0
	F16     TensorType = 1
	Q4_0    TensorType = 2
	Q4_1    TensorType = 3
	Q5_0    TensorType = 6
	Q5_1    TensorType = 7
	Q8_0    TensorType = 8
	Q8_1    TensorType = 9
	Q2_K    TensorType = 10
	Q3_K    TensorType = 11
	Q4_K    TensorType = 12
	Q5_K    TensorType = 13
	Q6_K    TensorType = 14
	Q8_K    TensorType = 15
	IQ2_XXS TensorType = 16
	IQ2_XS  TensorType = 17
	IQ3_XXS TensorType = 18
	IQ1_S   TensorType = 19
	IQ4_NL  TensorType = 20
	IQ3_S   TensorType = 21
	IQ2_S   TensorType = 22
	IQ4_XS  TensorType = 23
	I8      TensorType = 24
	I16     TensorType = 25
	I32     TensorType = 26
	I64     TensorType = 27
	F64     TensorType = 28
	IQ1_M   TensorType = 29
	BF16    TensorType = 30
	TQ1_0   TensorType = 34
	TQ2_0   TensorType = 35
	MXFP4   TensorType = 39
	NVFP4   TensorType = 40
	Q1_0    TensorType = 41
	Q2_0    TensorType = 42
)

// tensorTypes is indexed by id: bytes per block of weights. An entry without weights was removed from ggml.
var tensorTypes = [...]struct {
	name    string
	weights int
	bytes   int
}{
	F32:     {"f32", 1, 4},
	F16:     {"f16", 1, 2},
	Q4_0:    {"q4_0", 32, 18},
	Q4_1:    {"q4_1", 32, 20},
	4:       {"q4_2", 0, 0},
	5:       {"q4_3", 0, 0},
	Q5_0:    {"q5_0", 32, 22},
	Q5_1:    {"q5_1", 32, 24},
	Q8_0:    {"q8_0", 32, 34},
	Q8_1:    {"q8_1", 32, 36},
	Q2_K:    {"q2_k", 256, 84},
	Q3_K:    {"q3_k", 256, 110},
	Q4_K:    {"q4_k", 256, 144},
	Q5_K:    {"q5_k", 256, 176},
	Q6_K:    {"q6_k", 256, 210},
	Q8_K:    {"q8_k", 256, 292},
	IQ2_XXS: {"iq2_xxs", 256, 66},
	IQ2_XS:  {"iq2_xs", 256, 74},
	IQ3_XXS: {"iq3_xxs", 256, 98},
	IQ1_S:   {"iq1_s", 256, 50},
	IQ4_NL:  {"iq4_nl", 32, 18},
	IQ3_S:   {"iq3_s", 256, 110},
	IQ2_S:   {"iq2_s", 256, 82},
	IQ4_XS:  {"iq4_xs", 256, 136},
	I8:      {"i8", 1, 1},
	I16:     {"i16", 1, 2},
	I32:     {"i32", 1, 4},
	I64:     {"i64", 1, 8},
	F64:     {"f64", 1, 8},
	IQ1_M:   {"iq1_m", 256, 56},
	BF16:    {"bf16", 1, 2},
	31:      {"q4_0_4_4", 0, 0},
	32:      {"q4_0_4_8", 0, 0},
	33:      {"q4_0_8_8", 0, 0},
	TQ1_0:   {"tq1_0", 256, 54},
	TQ2_0:   {"tq2_0", 256, 66},
	36:      {"iq4_nl_4_4", 0, 0},
	37:      {"iq4_nl_4_8", 0, 0},
	38:      {"iq4_nl_8_8", 0, 0},
	MXFP4:   {"mxfp4", 32, 17},
	NVFP4:   {"nvfp4", 64, 36},
	Q1_0:    {"q1_0", 128, 18},
	Q2_0:    {"q2_0", 64, 18},
}

// String is the lower-case name, such as "q4_k"; an unknown id is written as a number.
func (t TensorType) String() string {
	if int64(t) >= int64(len(tensorTypes)) {
		return fmt.Sprintf("type %d", uint32(t))
	}
	return tensorTypes[t].name
}

// Known reports whether the layout of t is known, so that tensors of it have a size.
func (t TensorType) Known() bool {
	return int64(t) < int64(len(tensorTypes)) && tensorTypes[t].weights > 0
}

// BlockWeights is the number of weights in one block: 1 for plain numbers, 0 for a type that is not Known.
func (t TensorType) BlockWeights() int {
	if !t.Known() {
		return 0
	}
	return tensorTypes[t].weights
}

// BlockBytes is the stored size of one block, 0 for a type that is not Known.
func (t TensorType) BlockBytes() int {
	if !t.Known() {
		return 0
	}
	return tensorTypes[t].bytes
}

// Format is the kernels' name for t, if they can multiply it: all types of weights but q8_1, in which ggml holds activations.
func (t TensorType) Format() (kernels.Format, bool) {
	if !t.Known() {
		return 0, false
	}
	f, err := kernels.ParseFormat(tensorTypes[t].name)
	return f, err == nil
}

// TypeOf is the ggml type in which the kernels' format f is stored, if it is one of ggml's.
func TypeOf(f kernels.Format) (TensorType, bool) {
	t, err := ParseTensorType(f.String())
	return t, err == nil
}

// ParseTensorType finds a type by its name in lower case, such as "q4_k".
func ParseTensorType(name string) (TensorType, error) {
	var names []string
	for id, info := range tensorTypes {
		if info.weights == 0 {
			continue
		}
		if info.name == name {
			return TensorType(id), nil
		}
		names = append(names, info.name)
	}
	return 0, fmt.Errorf("unknown tensor type %q: write one of %s", name, strings.Join(names, ", "))
}

// maxDims is GGML_MAX_DIMS.
const maxDims = 4

// TensorSize is the number of bytes that the data of a tensor takes, without padding. dims is in ggml's order: dims[0] is
// the length of a row, which must hold whole blocks. No dimensions make a scalar.
func TensorSize(t TensorType, dims []uint64) (int64, error) {
	if !t.Known() {
		if int64(t) < int64(len(tensorTypes)) {
			return 0, fmt.Errorf("type %s was removed from ggml: convert the model again with a current llama.cpp", t)
		}
		return 0, fmt.Errorf("unknown tensor type %d: the file is damaged, or made by a newer llama.cpp than this version of finch knows", uint32(t))
	}
	if len(dims) > maxDims {
		return 0, fmt.Errorf("%d dimensions, GGUF allows %d", len(dims), maxDims)
	}
	elements := uint64(1)
	for i, d := range dims {
		switch {
		case d == 0:
			return 0, fmt.Errorf("dimension %d of %d is zero", i, dims)
		case d > math.MaxInt64:
			return 0, fmt.Errorf("dimension %d is %d, negative as ggml reads it", i, int64(d))
		case elements > math.MaxInt64/d:
			return 0, fmt.Errorf("shape %d has more elements than 64 bits count", dims)
		}
		elements *= d
	}
	weights, bytes := uint64(t.BlockWeights()), uint64(t.BlockBytes())
	row := uint64(1)
	if len(dims) > 0 {
		row = dims[0]
	}
	if row%weights != 0 {
		return 0, fmt.Errorf("rows of %d weights are not whole %s blocks of %d", row, t, weights)
	}
	blocks := elements / weights
	if blocks > math.MaxInt64/bytes {
		return 0, fmt.Errorf("shape %d as %s has more bytes than 64 bits count", dims, t)
	}
	return int64(blocks * bytes), nil
}

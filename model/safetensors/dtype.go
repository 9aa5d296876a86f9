package safetensors

import (
	"fmt"
	"math"

	"github.com/finch-llm/finch/internal/names"
)

// DType is the type of a tensor's elements, by its name in the file.
type DType string

const (
	Bool       DType = "BOOL"
	F4         DType = "F4"
	F6E2M3     DType = "F6_E2M3"
	F6E3M2     DType = "F6_E3M2"
	U8         DType = "U8"
	I8         DType = "I8"
	F8E5M2     DType = "F8_E5M2"
	F8E4M3     DType = "F8_E4M3"
	F8E8M0     DType = "F8_E8M0"
	F8E4M3FNUZ DType = "F8_E4M3FNUZ"
	F8E5M2FNUZ DType = "F8_E5M2FNUZ"
	I16        DType = "I16"
	U16        DType = "U16"
	F16        DType = "F16"
	BF16       DType = "BF16"
	I32        DType = "I32"
	U32        DType = "U32"
	F32        DType = "F32"
	C64        DType = "C64"
	F64        DType = "F64"
	I64        DType = "I64"
	U64        DType = "U64"
)

// dtypes is in the order in which the reference implementation ranks types when it sorts tensors.
var dtypes = []struct {
	name DType
	bits int
}{
	{Bool, 8}, {F4, 4}, {F6E2M3, 6}, {F6E3M2, 6}, {U8, 8}, {I8, 8}, {F8E5M2, 8}, {F8E4M3, 8}, {F8E8M0, 8},
	{F8E4M3FNUZ, 8}, {F8E5M2FNUZ, 8}, {I16, 16}, {U16, 16}, {F16, 16}, {BF16, 16}, {I32, 32}, {U32, 32}, {F32, 32},
	{C64, 64}, {F64, 64}, {I64, 64}, {U64, 64},
}

// rank is the place of d among the types, -1 if it is unknown.
func (d DType) rank() int {
	for r, info := range dtypes {
		if info.name == d {
			return r
		}
	}
	return -1
}

// Bits is the size of one element, 0 for an unknown type.
func (d DType) Bits() int {
	if r := d.rank(); r >= 0 {
		return dtypes[r].bits
	}
	return 0
}

// TensorSize is the number of bytes that a tensor takes. No dimensions make a scalar, a dimension of zero an empty tensor.
func TensorSize(d DType, shape []int) (int64, error) {
	bits := int64(d.Bits())
	if bits == 0 {
		return 0, fmt.Errorf("unknown dtype %s: the file is damaged, or newer than this version of finch knows", names.Quote(string(d)))
	}
	elements := int64(1)
	for i, n := range shape {
		if n < 0 {
			return 0, fmt.Errorf("dimension %d of shape %d is negative", i, shape)
		}
		if n > 0 && elements > math.MaxInt64/int64(n) {
			return 0, fmt.Errorf("shape %d has more elements than 64 bits count", shape)
		}
		elements *= int64(n)
	}
	if elements > math.MaxInt64/bits {
		return 0, fmt.Errorf("shape %d of %s has more bits than 64 bits count", shape, d)
	}
	if elements*bits%8 != 0 {
		return 0, fmt.Errorf("shape %d of %s does not end on a whole byte", shape, d)
	}
	return elements * bits / 8, nil
}

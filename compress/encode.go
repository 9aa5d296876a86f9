package compress

import (
	"fmt"

	"github.com/finch-llm/finch/kernels"
)

// EncodeBlocks rounds src to whole blocks of format f: the inverse of kernels.UnpackBlocks. len(src) must be a multiple of
// f.BlockWeights() and dst must hold f.RowBytes(len(src)) bytes, and f must be one that finch Encodes; anything else is a
// programmer error and panics. Weights must be finite and at most MaxMagnitude(f).
//
// importance, if not nil, says how much an error in each column of the rows that src consists of matters [Cols]: the mean
// square of its input, ≥ 0 and not all 0 within a block; blocks must divide it. Formats without scales to choose take no notice.
func EncodeBlocks(dst []byte, f kernels.Format, src []float32, importance []float64) {
	weights, size := f.BlockWeights(), f.BlockBytes()
	if len(src)%weights != 0 || len(dst) < f.RowBytes(len(src)) {
		panic(fmt.Sprintf("compress: %d bytes of %v do not hold %d weights", len(dst), f, len(src)))
	}
	encode := encoderOf(f)
	for i := 0; i < len(src); i += weights {
		var columns []float64
		if importance != nil {
			columns = importance[i%len(importance):][:weights]
		}
		encode(dst[:size], src[i:i+weights], columns)
		dst = dst[size:]
	}
}

// Encodes says that weights can be rounded to a format. The others are only read.
func Encodes(f kernels.Format) bool { return encoderOf(f) != nil }

// An encoder rounds one block of a format; len(dst) is its BlockBytes, len(src) and, unless it is nil, len(importance) its
// BlockWeights. dst may hold anything before.
type encoder func(dst []byte, src []float32, importance []float64)

// encoderOf is nil where there is none.
func encoderOf(f kernels.Format) encoder {
	if g, ok := f.IntGroup(); ok {
		return encodeIntGroup(g)
	}
	return encoders[f]
}

var encoders = map[kernels.Format]encoder{
	kernels.F32:     encodeF32,
	kernels.F16:     encodeF16,
	kernels.BF16:    encodeBF16,
	kernels.Q4_0:    encodeQ4_0,
	kernels.Q4_1:    encodeQ4_1,
	kernels.Q5_0:    encodeQ5_0,
	kernels.Q5_1:    encodeQ5_1,
	kernels.Q8_0:    encodeQ8_0,
	kernels.Q2_K:    encodeQ2_K,
	kernels.Q3_K:    encodeQ3_K,
	kernels.Q4_K:    encodeQ4_K,
	kernels.Q5_K:    encodeQ5_K,
	kernels.Q6_K:    encodeQ6_K,
	kernels.IQ4_NL:  encodeIQ4_NL,
	kernels.IQ4_XS:  encodeIQ4_XS,
	kernels.IQ3_S:   encodeIQ3_S,
	kernels.IQ3_XXS: encodeIQ3_XXS,
	kernels.IQ2_S:   encodeIQ2_S,
	kernels.IQ2_XS:  encodeIQ2_XS,
	kernels.IQ2_XXS: encodeIQ2_XXS,
}

// MaxMagnitude is the largest |weight| that format f is given: what it holds, or 65504 where its scales are binary16.
func MaxMagnitude(f kernels.Format) float32 {
	switch f {
	case kernels.F32:
		return 0x1.fffffep127
	case kernels.BF16:
		return 0x1.fep127
	}
	return 65504
}

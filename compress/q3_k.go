package compress

import (
	"encoding/binary"

	"github.com/finch-llm/finch/kernels"
)

var gridQ3_K = signedGrid{top: 4, steps: 32, reach: 0.8, side: 4, importance: byMagnitude}

// encodeQ3_K: 3-bit codes in groups of 16, 6-bit scales.
func encodeQ3_K(dst []byte, x []float32, importance []float64) {
	b := gridQ3_K.round(x, importance)
	putCodes(dst, kernels.Q3_K, b.codes[:])
	scales := dst[96:108]
	clear(scales)
	for i, s := range b.scales {
		u := byte(s + 32)
		scales[i%8] |= u & 15 << (i / 8 * 4)
		scales[8+i%4] |= u >> 4 << (i / 4 * 2)
	}
	binary.LittleEndian.PutUint16(dst[108:], b.d)
}

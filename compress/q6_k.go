package compress

import (
	"encoding/binary"

	"github.com/finch-llm/finch/kernels"
)

var gridQ6_K = signedGrid{top: 32, steps: 128, reach: 1, side: 3, importance: bySquare}

// encodeQ6_K: 6-bit codes in groups of 16, 8-bit scales.
func encodeQ6_K(dst []byte, x []float32, importance []float64) {
	b := gridQ6_K.round(x, importance)
	putCodes(dst, kernels.Q6_K, b.codes[:])
	for i, s := range b.scales {
		dst[192+i] = byte(s)
	}
	binary.LittleEndian.PutUint16(dst[208:], b.d)
}

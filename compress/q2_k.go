package compress

import (
	"encoding/binary"

	"github.com/finch-llm/finch/kernels"
)

var gridQ2_K = affineGrid{group: 16, top: 3, steps: 15, reach: 0.4, side: 3, importance: byMagnitude}

// encodeQ2_K: 2-bit codes in groups of 16, 4-bit scales and minima.
func encodeQ2_K(dst []byte, x []float32, importance []float64) {
	b := gridQ2_K.round(x, importance)
	for i := range 16 {
		dst[i] = b.scales[i] | b.minima[i]<<4
	}
	putCodes(dst, kernels.Q2_K, b.codes[:])
	binary.LittleEndian.PutUint16(dst[80:], b.d)
	binary.LittleEndian.PutUint16(dst[82:], b.dmin)
}

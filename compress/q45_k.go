package compress

import (
	"encoding/binary"

	"github.com/finch-llm/finch/kernels"
)

var (
	gridQ4_K = affineGrid{group: 32, top: 15, steps: 63, reach: 1, side: 5, importance: byMagnitudeAndSpread}
	gridQ5_K = affineGrid{group: 32, top: 31, steps: 63, reach: 1, side: 4, importance: byMagnitudeAndSpread}
)

// encodeQ4_K: 4-bit codes in groups of 32, 6-bit scales and minima.
func encodeQ4_K(dst []byte, x []float32, importance []float64) {
	b := gridQ4_K.round(x, importance)
	putAffineScales(dst, &b)
	putCodes(dst, kernels.Q4_K, b.codes[:])
}

// encodeQ5_K: 5-bit codes in groups of 32, 6-bit scales and minima.
func encodeQ5_K(dst []byte, x []float32, importance []float64) {
	b := gridQ5_K.round(x, importance)
	putAffineScales(dst, &b)
	putCodes(dst, kernels.Q5_K, b.codes[:])
}

// putAffineScales stores d, dmin and eight 6-bit scales and minima: those of the first four groups in the low bits of
// bytes 0–3 and 4–7, those of the last four in the nibbles of bytes 8–11, their top two bits above the first.
func putAffineScales(dst []byte, b *affineBlock) {
	binary.LittleEndian.PutUint16(dst, b.d)
	binary.LittleEndian.PutUint16(dst[2:], b.dmin)
	packed := dst[4:16]
	for i := range 4 {
		packed[i] = b.scales[i] | b.scales[i+4]>>4<<6
		packed[i+4] = b.minima[i] | b.minima[i+4]>>4<<6
		packed[i+8] = b.scales[i+4]&15 | b.minima[i+4]<<4
	}
}

package compress

import "encoding/binary"

var gridQ2_K = affineGrid{group: 16, top: 3, steps: 15, reach: 0.4, side: 3, importance: byMagnitude}

// encodeQ2_K: 2-bit codes in groups of 16, 4-bit scales and minima.
func encodeQ2_K(dst []byte, x []float32, importance []float64) {
	b := gridQ2_K.round(x, importance)
	for i := range 16 {
		dst[i] = b.scales[i] | b.minima[i]<<4
	}
	packPairs(dst[16:80], b.codes[:])
	binary.LittleEndian.PutUint16(dst[80:], b.d)
	binary.LittleEndian.PutUint16(dst[82:], b.dmin)
}

// packPairs stores the low two bits of 256 codes: of each 128, byte i holds those of weights i, i+32, i+64 and i+96.
func packPairs(dst, codes []byte) {
	for i := range dst {
		c := codes[i/32*128+i%32:]
		dst[i] = c[0]&3 | c[32]&3<<2 | c[64]&3<<4 | c[96]&3<<6
	}
}

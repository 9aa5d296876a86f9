package compress

import "encoding/binary"

var gridQ6_K = signedGrid{top: 32, steps: 128, reach: 1, side: 3, importance: bySquare}

// encodeQ6_K: 6-bit codes in groups of 16, 8-bit scales.
func encodeQ6_K(dst []byte, x []float32, importance []float64) {
	b := gridQ6_K.round(x, importance)
	low, high, scales := dst[:128], dst[128:192], dst[192:208]
	for i := range low {
		c := b.codes[i/64*128+i%64:]
		low[i] = c[0]&15 | c[64]<<4
	}
	for i := range high {
		c := b.codes[i/32*128+i%32:]
		high[i] = c[0]>>4 | c[32]>>4<<2 | c[64]>>4<<4 | c[96]>>4<<6
	}
	for i, s := range b.scales {
		scales[i] = byte(s)
	}
	binary.LittleEndian.PutUint16(dst[208:], b.d)
}

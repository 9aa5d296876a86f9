package compress

import (
	"encoding/binary"

	"github.com/finch-llm/finch/kernels"
)

var (
	gridIQ3_XXS = iqGrid{book: newCodeBook(kernels.IQ3_XXS), unit: 1. / 4, group: 32, even: true, narrow: 0.8, wide: 1.8}
	gridIQ3_S   = iqGrid{book: newCodeBook(kernels.IQ3_S), unit: 1, group: 32, narrow: 0.8, wide: 1.8}
)

// encodeIQ3_XXS: four weights from a book of 256, 7 signs for eight, 4-bit scales of 32 weights.
func encodeIQ3_XXS(dst []byte, x []float32, importance []float64) {
	b := gridIQ3_XXS.round(x, importance)
	binary.LittleEndian.PutUint16(dst, b.d)
	for i, e := range b.entries {
		dst[2+i] = byte(e)
	}
	for group := range 8 {
		binary.LittleEndian.PutUint32(dst[66+group*4:], b.scaleAndSigns(group))
	}
}

// encodeIQ3_S: four weights from a book of 512, 8 signs for eight, 4-bit scales of 32 weights.
func encodeIQ3_S(dst []byte, x []float32, importance []float64) {
	b := gridIQ3_S.round(x, importance)
	binary.LittleEndian.PutUint16(dst, b.d)
	high := dst[66:74]
	clear(high)
	for i, e := range b.entries {
		dst[2+i] = byte(e)
		high[i/8] |= byte(e>>8) << (i % 8)
	}
	copy(dst[74:106], b.signs[:])
	b.packScales(dst[106:110])
}

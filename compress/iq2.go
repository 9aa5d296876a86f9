package compress

import (
	"encoding/binary"

	"github.com/finch-llm/finch/kernels"
)

var (
	gridIQ2_XXS = iqGrid{book: newCodeBook(kernels.IQ2_XXS), unit: 1. / 8, group: 32, even: true, narrow: 0.6, wide: 2.2}
	gridIQ2_XS  = iqGrid{book: newCodeBook(kernels.IQ2_XS), unit: 1. / 8, group: 16, even: true, narrow: 0.6, wide: 2.2}
	gridIQ2_S   = iqGrid{book: newCodeBook(kernels.IQ2_S), unit: 1. / 8, group: 16, narrow: 0.6, wide: 2.2}
)

// encodeIQ2_XXS: eight weights from a book of 256, 7 signs, 4-bit scales of 32 weights.
func encodeIQ2_XXS(dst []byte, x []float32, importance []float64) {
	b := gridIQ2_XXS.round(x, importance)
	binary.LittleEndian.PutUint16(dst, b.d)
	for group := range 8 {
		packed := dst[2+group*8:]
		for i := range 4 {
			packed[i] = byte(b.entries[group*4+i])
		}
		binary.LittleEndian.PutUint32(packed[4:], b.scaleAndSigns(group))
	}
}

// scaleAndSigns packs the scale of a group of 32 weights above seven signs for each eight of them.
func (b *iqBlock) scaleAndSigns(group int) (packed uint32) {
	for i, s := range b.signs[group*4 : group*4+4] {
		packed |= uint32(s&127) << (7 * i)
	}
	return packed | uint32(b.scales[group])<<28
}

// encodeIQ2_XS: eight weights from a book of 512, 7 signs, 4-bit scales of 16 weights.
func encodeIQ2_XS(dst []byte, x []float32, importance []float64) {
	b := gridIQ2_XS.round(x, importance)
	binary.LittleEndian.PutUint16(dst, b.d)
	for i, s := range b.signs {
		binary.LittleEndian.PutUint16(dst[2+i*2:], uint16(b.entries[i])|uint16(s&127)<<9)
	}
	b.packScales(dst[66:74])
}

// encodeIQ2_S: eight weights from a book of 1024, 8 signs, 4-bit scales of 16 weights.
func encodeIQ2_S(dst []byte, x []float32, importance []float64) {
	b := gridIQ2_S.round(x, importance)
	binary.LittleEndian.PutUint16(dst, b.d)
	low, high := dst[2:34], dst[66:74]
	clear(high)
	for i := range low {
		low[i] = byte(b.entries[i])
		high[i/4] |= byte(b.entries[i]>>8) << (i % 4 * 2)
	}
	copy(dst[34:66], b.signs[:])
	b.packScales(dst[74:82])
}

// packScales packs two scales into each byte, the first one low.
func (b *iqBlock) packScales(dst []byte) {
	for i := range dst {
		dst[i] = b.scales[2*i] | b.scales[2*i+1]<<4
	}
}

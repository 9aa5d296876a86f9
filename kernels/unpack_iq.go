package kernels

/*
#include "kernels.h"
*/
import "C"

import (
	"encoding/binary"
	"math/bits"
)

// The IQ formats of ggml take four or eight weights at a time from code books (grids.c), which hold indices into the values
// below. Signs are bits of their own; where there are seven for eight weights, an even number of them is negative.

var (
	iq1Values    = [3]float32{-1, 0, 1}
	iq2Values    = [3]float32{8, 25, 43}
	iq3XXSValues = [8]float32{4, 12, 20, 28, 36, 44, 52, 62}
	iq3SValues   = [8]float32{1, 3, 5, 7, 9, 11, 13, 15}
)

// lookUp2 sets dst to the eight values that an entry of 2-bit indices stands for.
func lookUp2(dst []float32, entry C.uint16_t, values [3]float32) {
	for i := range dst[:8] {
		dst[i] = values[entry>>(2*i)&3]
	}
}

// lookUp4 sets dst to the four values that an entry of 4-bit indices stands for.
func lookUp4(dst []float32, entry C.uint16_t, values [8]float32) {
	for i := range dst[:4] {
		dst[i] = values[entry>>(4*i)&15]
	}
}

// scaleSigned multiplies eight weights by scale, those with a sign bit negated.
func scaleSigned(dst []float32, scale float32, signs byte) {
	for i := range dst[:8] {
		dst[i] *= scale
		if signs>>i&1 != 0 {
			dst[i] = -dst[i]
		}
	}
}

// evenSigns adds the eighth sign bit, which makes their number even.
func evenSigns[T uint16 | uint32](seven T) byte {
	b := byte(seven & 127)
	return b | byte(bits.OnesCount8(b)&1)<<7
}

// iq2_xxs: d f16, 8 groups of 32 of 4 indices of 8 bits, 4 × 7 sign bits and a scale of 4 bits.
// w = d·(½ + scale)·¼·±value.
func unpackIQ2_XXS(dst []float32, src []byte) {
	d := half(src)
	for group := range 8 {
		packed := src[2+group*8:]
		signs := binary.LittleEndian.Uint32(packed[4:])
		scale := float32(d*(0.5+float32(signs>>28))) * 0.25
		for i := range 4 {
			eight := dst[group*32+i*8:]
			lookUp2(eight, C.iq2_xxs_grid[packed[i]], iq2Values)
			scaleSigned(eight, scale, evenSigns(signs>>(7*i)))
		}
	}
}

// iq2_xs: d f16, 32 × (index of 9 bits, 7 sign bits), 16 scales of 4 bits. w = d·(½ + scale)·¼·±value.
func unpackIQ2_XS(dst []float32, src []byte) {
	d, scales := half(src), src[66:74]
	for i := range 32 {
		packed := binary.LittleEndian.Uint16(src[2+i*2:])
		eight := dst[i*8:]
		lookUp2(eight, C.iq2_xs_grid[packed&511], iq2Values)
		scaleSigned(eight, quarterScale(d, scales, i/2), evenSigns(packed>>9))
	}
}

// quarterScale is the scale of 16 weights in iq2_xs and iq2_s.
func quarterScale(d float32, scales []byte, i int) float32 {
	return float32(d*(0.5+float32(scales[i/2]>>(i%2*4)&15))) * 0.25
}

// iq2_s: d f16, low 8 bits of 32 indices, 32 bytes of signs, high 2 bits of the indices, 16 scales of 4 bits.
// w = d·(½ + scale)·¼·±value.
func unpackIQ2_S(dst []float32, src []byte) {
	d, low, signs, high, scales := half(src), src[2:34], src[34:66], src[66:74], src[74:82]
	for i := range 32 {
		eight := dst[i*8:]
		lookUp2(eight, C.iq2_s_grid[int(low[i])|int(high[i/4]>>(i%4*2)&3)<<8], iq2Values)
		scaleSigned(eight, quarterScale(d, scales, i/2), signs[i])
	}
}

// iq3_xxs: d f16, 64 indices of 8 bits, 8 × (4 × 7 sign bits, scale of 4 bits). w = d·(½ + scale)·½·±value.
func unpackIQ3_XXS(dst []float32, src []byte) {
	d, indices := half(src), src[2:66]
	for i := range 32 {
		signs := binary.LittleEndian.Uint32(src[66+i/4*4:])
		eight := dst[i*8:]
		lookUp4(eight, C.iq3_xxs_grid[indices[2*i]], iq3XXSValues)
		lookUp4(eight[4:], C.iq3_xxs_grid[indices[2*i+1]], iq3XXSValues)
		scaleSigned(eight, float32(d*(0.5+float32(signs>>28)))*0.5, evenSigns(signs>>(i%4*7)))
	}
}

// iq3_s: d f16, low 8 bits of 64 indices, their high bits, 32 bytes of signs, 8 scales of 4 bits.
// w = d·(1 + 2·scale)·±value.
func unpackIQ3_S(dst []float32, src []byte) {
	d, low, high, signs, scales := half(src), src[2:66], src[66:74], src[74:106], src[106:110]
	for i := range 64 {
		lookUp4(dst[i*4:], C.iq3_s_grid[int(low[i])|int(high[i/8]>>(i%8)&1)<<8], iq3SValues)
	}
	for i := range 32 {
		scale := d * float32(1+2*(scales[i/8]>>(i/4%2*4)&15))
		scaleSigned(dst[i*8:], scale, signs[i])
	}
}

// iq1Delta is IQ1S_DELTA of ggml-common.h: the values of iq1 lie this much above or below −1, 0 and 1.
const iq1Delta = 0.125

// unpackIQ1 sets eight weights of iq1_s or iq1_m. w = scale·(value ± δ).
func unpackIQ1(dst []float32, scale float32, index int, down bool) {
	lookUp2(dst, C.iq1_grid[index], iq1Values)
	delta := float32(iq1Delta)
	if down {
		delta = -delta
	}
	for i := range dst[:8] {
		dst[i] = scale * (dst[i] + delta)
	}
}

// iq1_s: d f16, low 8 bits of 32 indices, 8 × (4 × 3 high bits, scale of 3 bits, sign of δ). w = d·(2·scale + 1)·(value ± δ).
func unpackIQ1_S(dst []float32, src []byte) {
	d, low := half(src), src[2:34]
	for i := range 32 {
		high := binary.LittleEndian.Uint16(src[34+i/4*2:])
		scale := d * float32(2*(high>>12&7)+1)
		unpackIQ1(dst[i*8:], scale, int(low[i])|int(high>>(i%4*3)&7)<<8, high>>15 != 0)
	}
}

// iq1_m: low 8 bits of 32 indices, 32 × (3 high bits, sign of δ), 4 × (4 scales of 3 bits, 4 bits of d). d is an f16 whose
// bits are spread, lowest first. w = d·(2·scale + 1)·(value ± δ).
func unpackIQ1_M(dst []float32, src []byte) {
	low, high := src[:32], src[32:48]
	var scales [4]uint16
	var d [2]byte
	for i := range scales {
		scales[i] = binary.LittleEndian.Uint16(src[48+2*i:])
		d[i/2] |= byte(scales[i] >> 12 << (i % 2 * 4))
	}
	for i := range 32 {
		scale := half(d[:]) * float32(2*(scales[i/8]>>(i/2%4*3)&7)+1)
		bits := high[i/2] >> (i % 2 * 4)
		unpackIQ1(dst[i*8:], scale, int(low[i])|int(bits&7)<<8, bits&8 != 0)
	}
}

// iq4_xs: d f16, high 2 bits of 8 scales, their low 4 bits, 8 × 16 bytes of nibbles as iq4_nl. w = d·(scale − 32)·grid[q].
func unpackIQ4_XS(dst []float32, src []byte) {
	d, high, low := half(src), binary.LittleEndian.Uint16(src[2:]), src[4:8]
	for group := range 8 {
		s := int(low[group/2]>>(group%2*4)&15) | int(high>>(2*group)&3)<<4
		scale := d * float32(s-32)
		for i, q := range src[8+group*16:][:16] {
			dst[group*32+i] = scale * iq4Grid[q&15]
			dst[group*32+i+16] = scale * iq4Grid[q>>4]
		}
	}
}

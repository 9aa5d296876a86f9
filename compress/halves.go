package compress

import (
	"encoding/binary"
	"math"
)

// halfBits rounds x to IEEE 754 binary16, to nearest, ties to even, subnormals included. Magnitudes from 65520 up become
// infinity.
func halfBits(x float32) uint16 {
	bits := math.Float32bits(x)
	sign, magnitude := uint16(bits>>16)&0x8000, bits&0x7fffffff
	switch {
	case magnitude > 0x7f800000: // NaN stays a quiet NaN
		return sign | 0x7e00
	case magnitude >= 0x477ff000: // 65520, half-way from the largest finite value to the next power of two
		return sign | 0x7c00
	case magnitude < 0x38800000: // below 2⁻¹⁴ halves are multiples of 2⁻²⁴: let the float32 adder round to that
		return sign | uint16(math.Float32bits(math.Float32frombits(magnitude)+0.5)-0x3f000000)
	}
	magnitude += 0xfff + magnitude>>13&1
	return sign | uint16((magnitude-0x38000000)>>13)
}

// halfValue is the float32 equal to a binary16.
func halfValue(h uint16) float32 {
	sign, exponent, fraction := uint32(h)>>15<<31, uint32(h)>>10&0x1f, uint32(h)&0x3ff
	switch exponent {
	case 0: // zero and subnormals
		return math.Float32frombits(sign | math.Float32bits(float32(fraction)*0x1p-24))
	case 0x1f: // infinity and NaN
		return math.Float32frombits(sign | 0x7f800000 | fraction<<13)
	}
	return math.Float32frombits(sign | (exponent+127-15)<<23 | fraction<<13)
}

// bfloatBits rounds x to bfloat16, to nearest, ties to even.
func bfloatBits(x float32) uint16 {
	bits := math.Float32bits(x)
	if bits&0x7fffffff > 0x7f800000 {
		return uint16(bits>>16) | 0x40 // NaN stays a quiet NaN
	}
	return uint16((bits + 0x7fff + bits>>16&1) >> 16)
}

func encodeF32(dst []byte, x []float32, _ []float64) {
	binary.LittleEndian.PutUint32(dst, math.Float32bits(x[0]))
}

func encodeF16(dst []byte, x []float32, _ []float64) {
	binary.LittleEndian.PutUint16(dst, halfBits(x[0]))
}

func encodeBF16(dst []byte, x []float32, _ []float64) {
	binary.LittleEndian.PutUint16(dst, bfloatBits(x[0]))
}

// putHalf stores x as a little-endian binary16 and returns the value that a decoder reads.
func putHalf(dst []byte, x float64) float64 {
	h := halfBits(float32(x))
	binary.LittleEndian.PutUint16(dst, h)
	return float64(halfValue(h))
}

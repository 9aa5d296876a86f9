package kernels

import (
	"encoding/binary"
	"math"
)

// tq1_0: 48 bytes of five and 4 bytes of four ternary digits, d f16. Digit n of byte b is the whole part of 3·(b·3ⁿ mod 256)/256;
// the first digits of 32 bytes come first, then their second digits, then those of the other 16 and of the last 4 bytes.
// w = (digit − 1)·d.
func unpackTQ1_0(dst []float32, src []byte) {
	d := half(src[52:])
	for _, part := range []struct{ bytes, digits int }{{32, 5}, {16, 5}, {4, 4}} {
		power := byte(1)
		for range part.digits {
			for i, b := range src[:part.bytes] {
				dst[i] = float32(int(b*power)*3>>8-1) * d
			}
			power *= 3
			dst = dst[part.bytes:]
		}
		src = src[part.bytes:]
	}
}

// tq2_0: 64 bytes of bit pairs as q2_k, d f16. w = (q − 1)·d.
func unpackTQ2_0(dst []float32, src []byte) {
	d := half(src[64:])
	for i := range dst {
		q := src[i/128*32+i%32] >> (i / 32 % 4 * 2) & 3
		dst[i] = float32(int(q)-1) * d
	}
}

// q1_0: d f16, 128 bits. w = d, or −d for a clear bit.
func unpackQ1_0(dst []float32, src []byte) {
	d := half(src)
	for i := range dst {
		dst[i] = -d
		if src[2+i/8]>>(i%8)&1 != 0 {
			dst[i] = d
		}
	}
}

// q2_0: d f16, 64 bit pairs in order. w = (q − 1)·d.
func unpackQ2_0(dst []float32, src []byte) {
	d := half(src)
	for i := range dst {
		dst[i] = float32(int(src[2+i/4]>>(i%4*2)&3)-1) * d
	}
}

// e2m1Doubled are the values of 4-bit floats (one sign, two exponent and one mantissa bit), doubled.
var e2m1Doubled = [16]float32{0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12}

// mxfp4: exponent e, nibbles as q4_0 that are 4-bit floats (OCP Microscaling Formats 1.0). w = 2^(e − 127)·value.
func unpackMXFP4(dst []float32, src []byte) {
	scale := float32(math.Ldexp(1, int(src[0])-128)) // half of it, for doubled values
	for i, q := range src[1:17] {
		dst[i] = scale * e2m1Doubled[q&15]
		dst[i+16] = scale * e2m1Doubled[q>>4]
	}
}

// nvfp4: four 8-bit float scales, 4 × 8 bytes of nibbles (weights 0–7 low, 8–15 high) that are 4-bit floats. w = scale·value.
func unpackNVFP4(dst []float32, src []byte) {
	for group := range 4 {
		scale := ue4m3(src[group]) * 0.5 // for doubled values
		for i, q := range src[4+group*8:][:8] {
			dst[group*16+i] = scale * e2m1Doubled[q&15]
			dst[group*16+i+8] = scale * e2m1Doubled[q>>4]
		}
	}
}

// ue4m3 reads a float of four exponent and three mantissa bits without a sign; ggml takes NaN for zero and ignores bit 7.
func ue4m3(b byte) float32 {
	exponent, mantissa := int(b>>3&15), float32(b&7)
	switch {
	case b == 0x7f:
		return 0
	case exponent == 0:
		return mantissa * 0x1p-9
	}
	return (1 + mantissa/8) * float32(math.Ldexp(1, exponent-7))
}

// q8_k: d f32, 256 int8, 16 sums that only ggml's integer products use. w = d·q.
func unpackQ8_K(dst []float32, src []byte) {
	d := math.Float32frombits(binary.LittleEndian.Uint32(src))
	for i, q := range src[4:260] {
		dst[i] = d * float32(int8(q))
	}
}

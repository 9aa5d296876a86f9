package compress

import (
	"encoding/binary"
	"math"
)

// The 32-weight formats, bit for bit as ggml's reference and gguf.quants round them: the scale comes from the extremes of
// the block, in float32, and the codes from the unrounded scale. Explicit conversions keep the compiler from fusing
// products into sums, which would change codes on arm64.

// encodeQ4_0: w ≈ d·(q − 8). The weight of largest magnitude, sign kept, takes code 0, so that all 16 codes are used.
func encodeQ4_0(dst []byte, x []float32) {
	d := peak(x) / -8
	binary.LittleEndian.PutUint16(dst, halfBits(d))
	inverse := reciprocal(d)
	packNibbles(dst[2:18], x, func(w float32) byte { return min(15, byte(float32(w*inverse)+8.5)) })
}

// encodeQ4_1: w ≈ d·q + m, from minimum to maximum.
func encodeQ4_1(dst []byte, x []float32) {
	low, high := extremes(x)
	d := (high - low) / 15
	binary.LittleEndian.PutUint16(dst, halfBits(d))
	binary.LittleEndian.PutUint16(dst[2:], halfBits(low))
	inverse := reciprocal(d)
	packNibbles(dst[4:20], x, func(w float32) byte { return min(15, byte(float32((w-low)*inverse)+0.5)) })
}

// encodeQ5_0: q4_0 with 32 codes.
func encodeQ5_0(dst []byte, x []float32) {
	d := peak(x) / -16
	binary.LittleEndian.PutUint16(dst, halfBits(d))
	inverse := reciprocal(d)
	high := packNibbles(dst[6:22], x, func(w float32) byte { return min(31, byte(float32(w*inverse)+16.5)) })
	binary.LittleEndian.PutUint32(dst[2:], high)
}

// encodeQ5_1: q4_1 with 32 codes.
func encodeQ5_1(dst []byte, x []float32) {
	low, high := extremes(x)
	d := (high - low) / 31
	binary.LittleEndian.PutUint16(dst, halfBits(d))
	binary.LittleEndian.PutUint16(dst[2:], halfBits(low))
	inverse := reciprocal(d)
	fifth := packNibbles(dst[8:24], x, func(w float32) byte { return min(31, byte(float32((w-low)*inverse)+0.5)) })
	binary.LittleEndian.PutUint32(dst[4:], fifth)
}

// encodeQ8_0: w ≈ d·q, q in −127…127, halves away from zero.
func encodeQ8_0(dst []byte, x []float32) {
	d := float32(math.Abs(float64(peak(x)))) / 127
	binary.LittleEndian.PutUint16(dst, halfBits(d))
	inverse := reciprocal(d)
	for i, w := range x {
		q := float64(float32(w * inverse)) // the sum with one half is exact in float64
		dst[2+i] = byte(int8(q + math.Copysign(0.5, q)))
	}
}

// packNibbles stores the low four bits of each weight's code, weights 0–15 in low and 16–31 in high nibbles, and returns
// the fifth bits, that of weight i in bit i.
func packNibbles(dst []byte, x []float32, code func(float32) byte) (fifth uint32) {
	for i := range 16 {
		a, b := code(x[i]), code(x[i+16])
		dst[i] = a&15 | b<<4
		fifth |= uint32(a>>4)<<i | uint32(b>>4)<<(i+16)
	}
	return fifth
}

// peak is the first weight of the largest magnitude, with its sign.
func peak(x []float32) float32 {
	var peak, magnitude float32
	for _, w := range x {
		if a := float32(math.Abs(float64(w))); a > magnitude {
			peak, magnitude = w, a
		}
	}
	return peak
}

func extremes(x []float32) (low, high float32) {
	low, high = x[0], x[0]
	for _, w := range x[1:] {
		low, high = min(low, w), max(high, w)
	}
	return low, high
}

// reciprocal is 1/d, and 0 where that is not finite: such a scale is 0 in binary16 too, whatever the codes.
func reciprocal(d float32) float32 {
	inverse := 1 / d
	if math.IsInf(float64(inverse), 0) {
		return 0
	}
	return inverse
}

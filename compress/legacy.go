package compress

import (
	"encoding/binary"
	"math"
)

// The 32-weight formats. Without importance they are bit for bit as ggml's reference and gguf.quants round them: the scale
// comes from the extremes of the block, in float32, and the codes from the unrounded scale. Explicit conversions keep the
// compiler from fusing products into sums, which would change codes on arm64. With importance the scale is searched as those
// of the K-quants are, and the codes come from what a decoder reads.

// encodeQ4_0: w ≈ d·(q − 8).
func encodeQ4_0(dst []byte, x []float32, importance []float64) {
	packNibbles(dst[2:18], x, symmetric(dst, x, 8, importance))
}

// encodeQ4_1: w ≈ d·q + m.
func encodeQ4_1(dst []byte, x []float32, importance []float64) {
	packNibbles(dst[4:20], x, asymmetric(dst, x, 15, importance))
}

// encodeQ5_0: q4_0 with 32 codes.
func encodeQ5_0(dst []byte, x []float32, importance []float64) {
	fifth := packNibbles(dst[6:22], x, symmetric(dst, x, 16, importance))
	binary.LittleEndian.PutUint32(dst[2:], fifth)
}

// encodeQ5_1: q4_1 with 32 codes.
func encodeQ5_1(dst []byte, x []float32, importance []float64) {
	fifth := packNibbles(dst[8:24], x, asymmetric(dst, x, 31, importance))
	binary.LittleEndian.PutUint32(dst[4:], fifth)
}

// symmetric stores the scale of a block with codes from 0 to 2·top − 1 that stand for −top to top − 1, and returns the code
// of each weight. Without importance the weight of largest magnitude, sign kept, takes code 0, so that all codes are used.
func symmetric(dst []byte, x []float32, top float32, importance []float64) func(w float32) byte {
	if importance != nil {
		return fitSymmetric(dst, x, float64(top), importance)
	}
	d := peak(x) / -top
	binary.LittleEndian.PutUint16(dst, halfBits(d))
	inverse := reciprocal(d)
	return func(w float32) byte { return min(byte(2*top-1), byte(float32(w*inverse)+(top+0.5))) }
}

// asymmetric stores the scale and the minimum of a block with codes from 0 to top, and returns the code of each weight.
func asymmetric(dst []byte, x []float32, top float32, importance []float64) func(w float32) byte {
	if importance != nil {
		return fitAsymmetric(dst, x, float64(top), importance)
	}
	low, high := extremes(x)
	d := (high - low) / top
	binary.LittleEndian.PutUint16(dst, halfBits(d))
	binary.LittleEndian.PutUint16(dst[2:], halfBits(low))
	inverse := reciprocal(d)
	return func(w float32) byte { return min(byte(top), byte(float32((w-low)*inverse)+0.5)) }
}

func fitSymmetric(dst []byte, src []float32, top float64, importance []float64) func(w float32) byte {
	var x, weights [32]float64
	widen(x[:], src)
	weigh(weights[:], importance)
	inverse := reciprocal64(putHalf(dst, fitSigned(x[:], weights[:], top, wideSigned(top))))
	return func(w float32) byte { return byte(nearest(float64(float64(w)*inverse)+top, 2*top-1)) }
}

func fitAsymmetric(dst []byte, src []float32, top float64, importance []float64) func(w float32) byte {
	var x, weights [32]float64
	widen(x[:], src)
	weigh(weights[:], importance)
	scale, minimum := fitAffine(x[:], weights[:], top, wideAffine(top))
	inverse, shift := reciprocal64(putHalf(dst, scale)), putHalf(dst[2:], -minimum)
	return func(w float32) byte { return byte(nearest(float64((float64(w)-shift)*inverse), top)) }
}

// encodeQ8_0: w ≈ d·q, q in −127…127, halves away from zero. Importance would change next to nothing, and ggml has none here.
func encodeQ8_0(dst []byte, x []float32, _ []float64) {
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

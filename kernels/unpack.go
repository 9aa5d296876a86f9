package kernels

import (
	"encoding/binary"
	"fmt"
	"math"
)

// This file and its siblings unpack_*.go are the reference that the C unpacking is tested against, and are themselves tested
// against the gguf Python package. They compute what ggml's dequantize_row_* compute, bit for bit: every product is rounded to
// float32 before it is added (the explicit conversions keep the compiler from fusing them on arm64).

// UnpackBlocks expands whole blocks of format f into len(dst) weights. len(dst) must be a multiple of
// f.BlockWeights() and src must hold f.RowBytes(len(dst)) bytes; anything else is a programmer error and panics.
func UnpackBlocks(dst []float32, f Format, src []byte) {
	weights, size := f.BlockWeights(), f.BlockBytes()
	if len(dst)%weights != 0 || len(src) < f.RowBytes(len(dst)) {
		panic(fmt.Sprintf("kernels: %d bytes of %v do not hold %d weights", len(src), f, len(dst)))
	}
	unpack := unpackerOf(f)
	for i := 0; i < len(dst); i += weights {
		unpack(dst[i:i+weights], src[:size])
		src = src[size:]
	}
}

// Unpack expands one row of m into dst [Cols], zeros included where m is sparse.
func Unpack(dst []float32, m *Matrix, row int) {
	if len(dst) != m.Cols || row < 0 || row >= m.Rows {
		panic(fmt.Sprintf("kernels: row %d into %d weights of a %d × %d matrix", row, len(dst), m.Rows, m.Cols))
	}
	if m.Mask == nil {
		stride := m.Format.RowBytes(m.Cols)
		UnpackBlocks(dst, m.Format, m.Data[row*stride:(row+1)*stride])
		return
	}
	weights, size := m.Format.BlockWeights(), m.Format.BlockBytes()
	first, end := int(m.RowStart[row]), int(m.RowStart[row+1])
	packed := make([]float32, (end-first)*weights)
	UnpackBlocks(packed, m.Format, m.Data[first*size:end*size])
	stride := (m.Cols + 7) / 8
	mask := m.Mask[row*stride : (row+1)*stride]
	next := 0
	for i := range dst {
		dst[i] = 0
		if mask[i/8]>>(i%8)&1 != 0 {
			dst[i] = packed[next]
			next++
		}
	}
}

// unpackerOf expands one block of a format; len(dst) is its BlockWeights, len(src) its BlockBytes.
func unpackerOf(f Format) func(dst []float32, src []byte) {
	if g, ok := f.IntGroup(); ok {
		return g.unpack
	}
	return unpackers[f]
}

var unpackers = [firstInt]func(dst []float32, src []byte){
	F32:     unpackF32,
	F16:     unpackF16,
	BF16:    unpackBF16,
	Q4_0:    unpackQ4_0,
	Q4_1:    unpackQ4_1,
	Q5_0:    unpackQ5_0,
	Q5_1:    unpackQ5_1,
	Q8_0:    unpackQ8_0,
	Q2_K:    unpackQ2_K,
	Q3_K:    unpackQ3_K,
	Q4_K:    unpackQ4_K,
	Q5_K:    unpackQ5_K,
	Q6_K:    unpackQ6_K,
	IQ4_NL:  unpackIQ4_NL,
	IQ4_XS:  unpackIQ4_XS,
	IQ3_XXS: unpackIQ3_XXS,
	IQ3_S:   unpackIQ3_S,
	IQ2_XXS: unpackIQ2_XXS,
	IQ2_XS:  unpackIQ2_XS,
	IQ2_S:   unpackIQ2_S,
	IQ1_S:   unpackIQ1_S,
	IQ1_M:   unpackIQ1_M,
	TQ1_0:   unpackTQ1_0,
	TQ2_0:   unpackTQ2_0,
	Q1_0:    unpackQ1_0,
	Q2_0:    unpackQ2_0,
	MXFP4:   unpackMXFP4,
	NVFP4:   unpackNVFP4,
	Q8_K:    unpackQ8_K,
}

func unpackF32(dst []float32, src []byte) {
	dst[0] = math.Float32frombits(binary.LittleEndian.Uint32(src))
}

func unpackF16(dst []float32, src []byte) { dst[0] = half(src) }

func unpackBF16(dst []float32, src []byte) {
	dst[0] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(src)) << 16)
}

// half reads a little-endian IEEE 754 binary16.
func half(src []byte) float32 {
	h := uint32(binary.LittleEndian.Uint16(src))
	sign, exponent, fraction := h>>15<<31, h>>10&0x1f, h&0x3ff
	switch exponent {
	case 0: // zero and subnormals: fraction × 2⁻²⁴, exact in float32
		return math.Float32frombits(sign | math.Float32bits(float32(fraction)*0x1p-24))
	case 0x1f: // infinity and NaN
		return math.Float32frombits(sign | 0x7f800000 | fraction<<13)
	}
	return math.Float32frombits(sign | (exponent+127-15)<<23 | fraction<<13)
}

// q4_0: d f16, 16 bytes of nibbles (weights 0–15 low, 16–31 high). w = d·(q − 8).
func unpackQ4_0(dst []float32, src []byte) {
	d := half(src)
	for i, q := range src[2:18] {
		dst[i] = d * float32(int(q&15)-8)
		dst[i+16] = d * float32(int(q>>4)-8)
	}
}

// q4_1: d f16, m f16, nibbles as q4_0. w = d·q + m.
func unpackQ4_1(dst []float32, src []byte) {
	d, m := half(src), half(src[2:])
	for i, q := range src[4:20] {
		dst[i] = float32(d*float32(q&15)) + m
		dst[i+16] = float32(d*float32(q>>4)) + m
	}
}

// q5_0: d f16, 32 fifth bits, nibbles as q4_0. w = d·(q − 16).
func unpackQ5_0(dst []float32, src []byte) {
	d, high := half(src), binary.LittleEndian.Uint32(src[2:])
	for i, q := range src[6:22] {
		dst[i] = d * float32(int(q&15|byte(high>>i&1<<4))-16)
		dst[i+16] = d * float32(int(q>>4|byte(high>>(i+16)&1<<4))-16)
	}
}

// q5_1: d f16, m f16, 32 fifth bits, nibbles as q4_0. w = d·q + m.
func unpackQ5_1(dst []float32, src []byte) {
	d, m, high := half(src), half(src[2:]), binary.LittleEndian.Uint32(src[4:])
	for i, q := range src[8:24] {
		dst[i] = float32(d*float32(q&15|byte(high>>i&1<<4))) + m
		dst[i+16] = float32(d*float32(q>>4|byte(high>>(i+16)&1<<4))) + m
	}
}

// q8_0: d f16, 32 int8. w = d·q.
func unpackQ8_0(dst []float32, src []byte) {
	d := half(src)
	for i, q := range src[2:34] {
		dst[i] = d * float32(int8(q))
	}
}

// iq4_nl: d f16, nibbles as q4_0 that index a fixed non-linear grid. w = d·grid[q].
func unpackIQ4_NL(dst []float32, src []byte) {
	d := half(src)
	for i, q := range src[2:18] {
		dst[i] = d * iq4Grid[q&15]
		dst[i+16] = d * iq4Grid[q>>4]
	}
}

// iq4Grid is kvalues_iq4nl of ggml-common.h.
var iq4Grid = [16]float32{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}

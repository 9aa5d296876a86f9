package kernels

// The K-quants: super-blocks of 256 weights with quantised scales per 16 or 32 weights. Two-bit and four-bit codes are
// stored so that one byte holds the codes of weights 32 apart: byte l of a run of 32 bytes holds weights l, l+32, ….

// q2_k: 16 × (scale, min) nibbles, 64 bytes of 2-bit codes, d f16, dmin f16. w = (d·scale)·q − dmin·min.
func unpackQ2_K(dst []float32, src []byte) {
	scales, codes := src[:16], src[16:80]
	d, dmin := half(src[80:]), half(src[82:])
	for group, s := range scales {
		scale, minimum := d*float32(s&15), dmin*float32(s>>4)
		run, shift := codes[group/8*32+group%2*16:], group%8/2*2
		for i := range 16 {
			dst[group*16+i] = float32(scale*float32(run[i]>>shift&3)) - minimum
		}
	}
}

// q3_k: 32 bytes of high bits, 64 bytes of 2-bit codes, 16 six-bit scales, d f16. w = (d·(scale − 32))·(q − 4).
// High bit b of byte l belongs to weight 32·b + l.
func unpackQ3_K(dst []float32, src []byte) {
	high, codes, scales, d := src[:32], src[32:96], src[96:108], half(src[108:])
	for group := range 16 {
		low := scales[group%8] >> (group / 8 * 4) & 15
		top := scales[8+group%4] >> (group / 4 * 2) & 3
		scale := d * float32(int(low|top<<4)-32)
		run, shift := codes[group/8*32+group%2*16:], group%8/2*2
		highs, bit := high[group%2*16:], group/2
		for i := range 16 {
			q := int(run[i]>>shift&3|highs[i]>>bit&1<<2) - 4
			dst[group*16+i] = scale * float32(q)
		}
	}
}

// q4_k: d f16, dmin f16, 8 × (scale, min) of six bits, 128 bytes of nibbles. w = (d·scale)·q − dmin·min.
func unpackQ4_K(dst []float32, src []byte) {
	d, dmin := half(src), half(src[2:])
	scales, codes := src[4:16], src[16:144]
	for group := range 8 {
		s, m := scaleMin(scales, group)
		scale, minimum := d*float32(s), dmin*float32(m)
		run, shift := codes[group/2*32:], group%2*4
		for i := range 32 {
			dst[group*32+i] = float32(scale*float32(run[i]>>shift&15)) - minimum
		}
	}
}

// q5_k: q4_k with 32 bytes of fifth bits before the nibbles: bit b of byte l belongs to weight 32·b + l.
func unpackQ5_K(dst []float32, src []byte) {
	d, dmin := half(src), half(src[2:])
	scales, high, codes := src[4:16], src[16:48], src[48:176]
	for group := range 8 {
		s, m := scaleMin(scales, group)
		scale, minimum := d*float32(s), dmin*float32(m)
		run, shift := codes[group/2*32:], group%2*4
		for i := range 32 {
			q := run[i]>>shift&15 | high[i]>>group&1<<4
			dst[group*32+i] = float32(scale*float32(q)) - minimum
		}
	}
}

// scaleMin reads the six-bit scale and minimum of one group of q4_k and q5_k: the first four groups lie in the low six
// bits of bytes 0–3 and 4–7, the last four in the nibbles of bytes 8–11 with their top bits in bytes 0–7.
func scaleMin(scales []byte, group int) (scale, minimum byte) {
	if group < 4 {
		return scales[group] & 63, scales[group+4] & 63
	}
	return scales[group+4]&15 | scales[group-4]>>6<<4, scales[group+4]>>4 | scales[group]>>6<<4
}

// q6_k: 128 bytes of low nibbles, 64 bytes of high bit pairs, 16 int8 scales, d f16. w = (d·scale)·(q − 32).
func unpackQ6_K(dst []float32, src []byte) {
	low, high, scales, d := src[:128], src[128:192], src[192:208], half(src[208:])
	for group, s := range scales {
		scale := d * float32(int8(s))
		side, quarter := group/8, group%8/2 // each side of 128 weights has 64 low and 32 high bytes; a quarter is 32 weights
		offset := group % 2 * 16
		lows, lowShift := low[side*64+quarter%2*32+offset:], quarter/2*4
		highs, highShift := high[side*32+offset:], quarter*2
		for i := range 16 {
			q := int(lows[i]>>lowShift&15|highs[i]>>highShift&3<<4) - 32
			dst[group*16+i] = scale * float32(q)
		}
	}
}

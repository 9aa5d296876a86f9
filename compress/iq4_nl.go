package compress

import "math"

// grid4 is the non-linear grid of iq4_nl (kvalues_iq4nl in ggml-common.h).
var grid4 = [16]float64{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}

// nearest4 is the index of the grid value nearest to v.
func nearest4(v float64) byte { return halves4[int(min(max(2*v+256, 0), 511))] }

// halves4 holds the nearest index for each interval of one half from −128 up: all midpoints of the grid are multiples of
// one half.
var halves4 = func() (table [512]byte) {
	q := byte(0)
	for i := range table {
		if q < 15 && float64(i)/2-128 >= (grid4[q]+grid4[q+1])/2 {
			q++
		}
		table[i] = q
	}
	return table
}()

// encodeIQ4_NL: w ≈ d·grid[q]. As in fitSigned, it tries scales that put the weight of largest magnitude near an end
// of the grid and solves each by least squares, without importance with the weights x².
func encodeIQ4_NL(dst []byte, src []float32, importance []float64) {
	var x, weights [32]float64
	widen(x[:], src)
	weighOr(bySquare, 32, weights[:], x[:], importance)
	widths := search{reach: 7, side: 7}
	if importance != nil {
		widths = wideSigned(-grid4[0])
	}
	d := putHalf(dst, fitGrid4(x[:], weights[:], widths))
	packGrid4(dst[2:18], x[:], d)
}

// packGrid4 stores the codes of 32 weights, those of weights i and i+16 in byte i.
func packGrid4(dst []byte, x []float64, scale float64) {
	inverse := reciprocal64(scale)
	for i := range dst {
		a, b := nearest4(x[i]*inverse), nearest4(x[i+16]*inverse)
		dst[i] = a | b<<4
	}
}

// fitGrid4 finds a scale for small Σ weights·(x − scale·grid[q])².
func fitGrid4(x, weights []float64, s search) (scale float64) {
	var peak float64
	for _, v := range x {
		if math.Abs(v) > math.Abs(peak) {
			peak = v
		}
	}
	if peak == 0 {
		return 0
	}
	var best float64
	try := func(inverse float64) {
		var qx, qq float64
		for i, v := range x {
			q := grid4[nearest4(v*inverse)]
			wq := float64(weights[i] * q)
			qx += float64(wq * v)
			qq += float64(wq * q)
		}
		if gain := float64(qx*qx) / qq; qq > 0 && gain > best {
			scale, best = qx/qq, gain
		}
	}
	long, short := -grid4[0], grid4[15]
	for i := -s.side; i <= s.side; i++ {
		width := s.width(long, i)
		try(-width / peak)
		if s.mirrored {
			try((width - long + short) / peak)
		}
	}
	if scale != 0 {
		try(1 / scale)
	}
	return scale
}

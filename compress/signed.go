package compress

import "math"

// search says which widths of a grid of top steps are tried for a group of weights: 1 + 2·side of them, from (top − reach) to
// (top + reach) steps between its extremes.
type search struct {
	reach    float64
	side     int
	mirrored bool // on a grid with a longer end, the weight of largest magnitude is tried at either
}

// The wide searches are for columns that differ in importance: there the best grid may well clip the largest weights.
func wideSigned(top float64) search { return search{reach: 0.75 * top, side: 16, mirrored: true} }
func wideAffine(top float64) search { return search{reach: 1.5 + top/6, side: 16} }

// width is the i-th one beside that of top steps.
func (s search) width(top float64, i int) float64 {
	return top + s.reach*float64(i)/float64(s.side)
}

// fitSigned finds a scale of either sign such that x ≈ scale·q with codes q in −top…top−1, for small
// Σ weights·(x − scale·q)². The weight of largest magnitude is to take a code near −top, the longer side: it tries the
// widths of s, solves the scale of each by least squares, and gives the best one more round of rounding and least squares.
func fitSigned(x, weights []float64, top float64, s search) (scale float64) {
	var peak float64
	for _, v := range x {
		if math.Abs(v) > math.Abs(peak) {
			peak = v
		}
	}
	if peak == 0 {
		return 0
	}
	// For a given rounding, the error is Σ w·x² − gain, gain = (Σ w·q·x)² / Σ w·q².
	var best float64
	try := func(inverse float64) {
		qx, qq := signedSums(x, weights, inverse, top)
		if gain := float64(qx*qx) / qq; qq > 0 && gain > best {
			scale, best = qx/qq, gain
		}
	}
	for i := -s.side; i <= s.side; i++ {
		try(-s.width(top, i) / peak)
		if s.mirrored {
			try((s.width(top, i) - 1) / peak)
		}
	}
	if scale != 0 {
		try(1 / scale)
	}
	return scale
}

// signedSums takes the codes nearest to x·inverse and returns Σ w·q·x and Σ w·q².
func signedSums(x, weights []float64, inverse, top float64) (qx, qq float64) {
	weights = weights[:len(x)]
	for i, v := range x {
		q := nearest(float64(v*inverse)+top, 2*top-1) - top
		wq := float64(weights[i] * q)
		qx += float64(wq * v)
		qq += float64(wq * q)
	}
	return qx, qq
}

// signedError is Σ weights·(x − scale·q)² with the nearest codes q.
func signedError(x, weights []float64, scale, top float64) (sum float64) {
	inverse := reciprocal64(scale)
	weights = weights[:len(x)]
	for i, v := range x {
		q := nearest(float64(v*inverse)+top, 2*top-1) - top
		e := v - float64(scale*q)
		sum += float64(weights[i] * float64(e*e))
	}
	return sum
}

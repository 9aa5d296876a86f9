package compress

import "math"

// fitSigned finds a scale of either sign such that x ≈ scale·q with codes q in −top…top−1, for small
// Σ weights·(x − scale·q)². The weight of largest magnitude is to take a code near −top, the longer side: it tries
// 1 + 2·side widths of the grid, from (top − reach) to (top + reach) steps, solves the scale of each by least squares, and
// gives the best one more round of rounding and least squares.
// mirrored lets it also try that weight at the shorter end: where columns differ in importance, it may well be clipped.
func fitSigned(x, weights []float64, top, reach float64, side int, mirrored bool) (scale float64) {
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
	for i := -side; i <= side; i++ {
		try(-(top + reach*float64(i)/float64(side)) / peak)
		if mirrored {
			try((top - 1 + float64(reach*float64(i))/float64(side)) / peak)
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

package compress

import "math"

// fitAffine finds scale and minimum, both ≥ 0, such that x ≈ scale·q − minimum with codes q in 0…top, for small
// Σ weights·(x − scale·q + minimum)².
//
// Codes and parameters depend on each other, so it tries the widths of s: each gives codes, the codes give the best
// parameters by weighted least squares, and the best pair starts one more round of rounding and least squares.
func fitAffine(x, weights []float64, top float64, s search) (scale, minimum float64) {
	low, high := 0.0, x[0] // zero must be representable: minimum ≥ 0
	for _, v := range x {
		low, high = min(low, v), max(high, v)
	}
	if high <= low {
		return 0, -low
	}
	var sums affineSums
	for i, v := range x {
		w := weights[i]
		sums.w += w
		sums.x += float64(w * v)
		sums.xx += float64(float64(w*v) * v)
	}

	best := math.Inf(1)
	try := func(inverse, shift float64) {
		sums.round(x, weights, inverse, shift, top)
		if d, m, e := sums.solve(); e < best {
			scale, minimum, best = d, m, e
		}
	}
	for i := -s.side; i <= s.side; i++ {
		try(s.width(top, i)/(high-low), low)
	}
	if scale > 0 {
		try(1/scale, -minimum)
	}
	return scale, minimum
}

// affineSums are the moments of the least squares problem: Σ w, Σ w·x, Σ w·x² and, for given codes, Σ w·q, Σ w·q², Σ w·q·x.
type affineSums struct{ w, x, xx, q, qq, qx float64 }

// round takes the codes nearest to (x − shift)·inverse and adds up their moments.
func (s *affineSums) round(x, weights []float64, inverse, shift, top float64) {
	var sq, sqq, sqx float64
	weights = weights[:len(x)]
	for i, v := range x {
		q := nearest(float64((v-shift)*inverse), top)
		wq := float64(weights[i] * q)
		sq += wq
		sqq += float64(wq * q)
		sqx += float64(wq * v)
	}
	s.q, s.qq, s.qx = sq, sqq, sqx
}

// solve gives the scale and minimum ≥ 0 of least weighted error, and that error; +Inf if the codes determine none.
func (s *affineSums) solve() (scale, minimum, err float64) {
	if determinant := float64(s.w*s.qq) - float64(s.q*s.q); determinant > float64(1e-13*float64(s.w*s.qq)) {
		scale = (float64(s.w*s.qx) - float64(s.q*s.x)) / determinant
		minimum = (float64(s.q*s.qx) - float64(s.qq*s.x)) / determinant
	}
	if scale <= 0 || minimum < 0 {
		scale, minimum = s.qx/s.qq, 0
	}
	if !(scale > 0) {
		return 0, 0, math.Inf(1)
	}
	// Σ w·(x − scale·q + minimum)², expanded; each term is rounded by itself so that no compiler fuses two of them.
	err = s.xx - float64(2*float64(scale*s.qx)) + float64(2*float64(minimum*s.x))
	err += float64(scale*float64(scale*s.qq)) - float64(2*float64(float64(scale*minimum)*s.q))
	err += float64(minimum * float64(minimum*s.w))
	return scale, minimum, err
}

// affineError is Σ weights·(x − scale·q + minimum)² with the nearest codes q.
func affineError(x, weights []float64, scale, minimum, top float64) (sum float64) {
	inverse := reciprocal64(scale)
	weights = weights[:len(x)]
	for i, v := range x {
		v += minimum
		e := v - float64(scale*nearest(float64(v*inverse), top))
		sum += float64(weights[i] * float64(e*e))
	}
	return sum
}

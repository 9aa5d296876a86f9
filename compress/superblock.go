package compress

import (
	"math"
	"slices"
)

// A super-block is 256 weights in groups of 16 or 32 whose scales are themselves quantised. Its encoders first fit each
// group with real scales (fitAffine, fitSigned), then find the integers for them.
const superWeights = 256

// affineGrid is the grid of the K-quants with minima: x ≈ (d·scale)·q − dmin·minimum within each group.
type affineGrid struct {
	group      int                        // weights per group
	top        float64                    // largest code q
	steps      float64                    // largest integer scale and minimum
	reach      float64                    // of the search, without importance
	side       int                        // the same
	importance func(weights, x []float64) // guesses the weight of each error of a group
}

// affineBlock is one super-block on an affineGrid, not yet packed.
type affineBlock struct {
	d, dmin        uint16 // binary16
	scales, minima [16]byte
	codes          [superWeights]byte
}

// round weighs errors by the importance of each column, if it is known.
func (g *affineGrid) round(src []float32, importance []float64) (b affineBlock) {
	var x, weights [superWeights]float64
	var scales, minima [16]float64
	widen(x[:], src)
	weighOr(g.importance, g.group, weights[:], x[:], importance)
	widths := search{reach: g.reach, side: g.side}
	if importance != nil {
		widths = wideAffine(g.top)
	}
	groups := superWeights / g.group
	for i := range groups {
		from, to := i*g.group, (i+1)*g.group
		scales[i], minima[i] = fitAffine(x[from:to], weights[from:to], g.top, widths)
	}
	least := math.Inf(1)
	try := func(d, dmin float64) (better bool) {
		next, err := g.place(x[:], weights[:], scales[:groups], minima[:groups], d, dmin)
		if err < least {
			b, least, better = next, err, true
		}
		return better
	}
	largest, dmin := max(slices.Max(scales[:groups]), 0), max(slices.Max(minima[:groups]), 0)/g.steps
	if importance == nil {
		try(largest/g.steps, dmin)
		return b
	}
	for _, room := range headrooms {
		try(largest/(g.steps-room), dmin)
	}
	for range refits {
		if !try(g.refit(&b, x[:], weights[:])) {
			break
		}
	}
	return b
}

// Where it is known how much errors matter, the step of a block is searched: the largest scale takes the largest integer,
// or one somewhat below, and the step is then solved again for the codes that the block got.
var headrooms = [...]float64{0, 0.5, 1, 2}

const refits = 3

// place rounds a block with the steps d and dmin, given the real scales and minima of its groups, and returns the error.
func (g *affineGrid) place(x, weights, scales, minima []float64, d, dmin float64) (b affineBlock, err float64) {
	b.d, d = halfStep(d)
	b.dmin, dmin = halfStep(dmin)
	for i := range scales {
		from, to := i*g.group, (i+1)*g.group
		near := float64(scales[i] * reciprocal64(d))
		s, m, e := g.integers(x[from:to], weights[from:to], d, dmin, near, float64(minima[i]*reciprocal64(dmin)))
		b.scales[i], b.minima[i] = byte(s), byte(m)
		inverse, shift := reciprocal64(d*s), float64(dmin*m)
		for j := from; j < to; j++ {
			b.codes[j] = byte(nearest(float64((x[j]+shift)*inverse), g.top))
		}
		err += e
	}
	return b, err
}

// refit solves the steps of a block for the codes, scales and minima that it has.
func (g *affineGrid) refit(b *affineBlock, x, weights []float64) (d, dmin float64) {
	// Moments of x ≈ d·q − dmin·m, where m differs by group: the sums of affineSums with m for 1.
	var sums affineSums
	for i, v := range x {
		w, q, m := weights[i], float64(b.scales[i/g.group])*float64(b.codes[i]), float64(b.minima[i/g.group])
		wq, wm := float64(w*q), float64(w*m)
		sums.w += float64(wm * m)
		sums.x += float64(wm * v)
		sums.xx += float64(float64(w*v) * v)
		sums.q += float64(wm * q)
		sums.qq += float64(wq * q)
		sums.qx += float64(wq * v)
	}
	d, dmin, _ = sums.solve()
	return d, dmin
}

// integers finds the best integer scale and minimum within one of the nearest: a scale rounded up wants another minimum.
func (g *affineGrid) integers(x, weights []float64, d, dmin, scale, minimum float64) (bestS, bestM, least float64) {
	s0, m0 := nearest(scale, g.steps), nearest(minimum, g.steps)
	least = math.Inf(1)
	for s := max(s0-1, 0); s <= min(s0+1, g.steps); s++ {
		for m := max(m0-1, 0); m <= min(m0+1, g.steps); m++ {
			if e := affineError(x, weights, d*s, float64(dmin*m), g.top); e < least {
				bestS, bestM, least = s, m, e
			}
		}
	}
	return bestS, bestM, least
}

// halfStep rounds a step to binary16.
func halfStep(d float64) (bits uint16, step float64) {
	bits = halfBits(float32(d))
	return bits, float64(halfValue(bits))
}

// signedGrid is the grid of the K-quants without minima: x ≈ (d·scale)·q in groups of 16, q in −top…top−1.
type signedGrid struct {
	top        float64
	steps      float64                    // integer scales lie in −steps…steps−1
	reach      float64                    // of the search, without importance
	side       int                        // the same
	importance func(weights, x []float64) // guesses the weight of each error of a group
}

// signedBlock is one super-block on a signedGrid, not yet packed; codes are offset by top.
type signedBlock struct {
	d      uint16 // binary16
	scales [16]int8
	codes  [superWeights]byte
}

// round weighs errors by the importance of each column, if it is known.
func (g *signedGrid) round(src []float32, importance []float64) (b signedBlock) {
	var x, weights [superWeights]float64
	var scales [16]float64
	widen(x[:], src)
	weighOr(g.importance, 16, weights[:], x[:], importance)
	widths := search{reach: g.reach, side: g.side}
	if importance != nil {
		widths = wideSigned(g.top)
	}
	largest := 0.0
	for i := range scales {
		from, to := i*16, (i+1)*16
		scales[i] = fitSigned(x[from:to], weights[from:to], g.top, widths)
		if math.Abs(scales[i]) > math.Abs(largest) {
			largest = scales[i]
		}
	}
	least := math.Inf(1)
	try := func(d float64) (better bool) {
		next, err := g.place(x[:], weights[:], scales[:], d)
		if err < least {
			b, least, better = next, err, true
		}
		return better
	}
	// The longer side of the integers is for the largest scale.
	if importance == nil {
		try(-largest / g.steps)
		return b
	}
	for _, room := range headrooms {
		try(-largest / (g.steps - room))
	}
	for range refits {
		if !try(g.refit(&b, x[:], weights[:])) {
			break
		}
	}
	return b
}

// place rounds a block with the step d, given the real scales of its groups, and returns the error.
func (g *signedGrid) place(x, weights, scales []float64, d float64) (b signedBlock, err float64) {
	b.d, d = halfStep(d)
	for i := range scales {
		from, to := i*16, (i+1)*16
		s, e := g.integer(x[from:to], weights[from:to], d, float64(scales[i]*reciprocal64(d)))
		b.scales[i] = int8(s)
		inverse := reciprocal64(d * s)
		for j := from; j < to; j++ {
			b.codes[j] = byte(nearest(float64(x[j]*inverse)+g.top, 2*g.top-1))
		}
		err += e
	}
	return b, err
}

// refit solves the step of a block for the codes and scales that it has.
func (g *signedGrid) refit(b *signedBlock, x, weights []float64) (d float64) {
	var qx, qq float64
	for i, v := range x {
		q := float64(b.scales[i/16]) * (float64(b.codes[i]) - g.top)
		wq := float64(weights[i] * q)
		qx += float64(wq * v)
		qq += float64(wq * q)
	}
	return qx * reciprocal64(qq)
}

// integer finds the best integer scale within one of the nearest.
func (g *signedGrid) integer(x, weights []float64, d, scale float64) (bestS, least float64) {
	s0 := nearest(scale+g.steps, 2*g.steps-1) - g.steps
	least = math.Inf(1)
	for s := max(s0-1, -g.steps); s <= min(s0+1, g.steps-1); s++ {
		if e := signedError(x, weights, d*s, g.top); e < least {
			bestS, least = s, e
		}
	}
	return bestS, least
}

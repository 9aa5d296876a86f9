package compress

import "math"

// A super-block is 256 weights in groups of 16 or 32 whose scales are themselves quantised. Its encoders first fit each
// group with real scales (fitAffine, fitSigned), then find the integers for them.
const superWeights = 256

// affineGrid is the grid of the K-quants with minima: x ≈ (d·scale)·q − dmin·minimum within each group.
type affineGrid struct {
	group      int                        // weights per group
	top        float64                    // largest code q
	steps      float64                    // largest integer scale and minimum
	reach      float64                    // of fitAffine
	side       int                        // of fitAffine
	importance func(weights, x []float64) // sets the weight of each error of a group
}

// affineBlock is one super-block on an affineGrid, not yet packed.
type affineBlock struct {
	d, dmin        uint16 // binary16
	scales, minima [16]byte
	codes          [superWeights]byte
}

func (g *affineGrid) round(src []float32) (b affineBlock) {
	var x, weights [superWeights]float64
	var scales, minima [16]float64
	for i, v := range src[:superWeights] {
		x[i] = float64(v)
	}
	groups := superWeights / g.group
	for i := range groups {
		from, to := i*g.group, (i+1)*g.group
		g.importance(weights[from:to], x[from:to])
		scales[i], minima[i] = fitAffine(x[from:to], weights[from:to], g.top, g.reach, g.side)
	}
	var d, dmin float64
	b.d, d = gridStep(scales[:groups], g.steps)
	b.dmin, dmin = gridStep(minima[:groups], g.steps)
	for i := range groups {
		from, to := i*g.group, (i+1)*g.group
		near := float64(scales[i] * reciprocal64(d))
		s, m := g.integers(x[from:to], weights[from:to], d, dmin, near, float64(minima[i]*reciprocal64(dmin)))
		b.scales[i], b.minima[i] = byte(s), byte(m)
		inverse, shift := reciprocal64(d*s), float64(dmin*m)
		for j := from; j < to; j++ {
			b.codes[j] = byte(nearest(float64((x[j]+shift)*inverse), g.top))
		}
	}
	return b
}

// integers finds the best integer scale and minimum within one of the nearest: a scale rounded up wants another minimum.
func (g *affineGrid) integers(x, weights []float64, d, dmin, scale, minimum float64) (bestS, bestM float64) {
	s0, m0 := nearest(scale, g.steps), nearest(minimum, g.steps)
	best := math.Inf(1)
	for s := max(s0-1, 0); s <= min(s0+1, g.steps); s++ {
		for m := max(m0-1, 0); m <= min(m0+1, g.steps); m++ {
			if e := affineError(x, weights, d*s, float64(dmin*m), g.top); e < best {
				bestS, bestM, best = s, m, e
			}
		}
	}
	return bestS, bestM
}

// gridStep is the binary16 step with which the largest of values, all ≥ 0, takes the integer steps.
func gridStep(values []float64, steps float64) (bits uint16, step float64) {
	largest := 0.0
	for _, v := range values {
		largest = max(largest, v)
	}
	bits = halfBits(float32(largest / steps))
	return bits, float64(halfValue(bits))
}

// signedGrid is the grid of the K-quants without minima: x ≈ (d·scale)·q in groups of 16, q in −top…top−1.
type signedGrid struct {
	top        float64
	steps      float64                    // integer scales lie in −steps…steps−1
	reach      float64                    // of fitSigned
	side       int                        // of fitSigned
	importance func(weights, x []float64) // sets the weight of each error of a group
}

// signedBlock is one super-block on a signedGrid, not yet packed; codes are offset by top.
type signedBlock struct {
	d      uint16 // binary16
	scales [16]int8
	codes  [superWeights]byte
}

func (g *signedGrid) round(src []float32) (b signedBlock) {
	var x, weights [superWeights]float64
	var scales [16]float64
	for i, v := range src[:superWeights] {
		x[i] = float64(v)
	}
	largest := 0.0
	for i := range scales {
		from, to := i*16, (i+1)*16
		g.importance(weights[from:to], x[from:to])
		scales[i] = fitSigned(x[from:to], weights[from:to], g.top, g.reach, g.side)
		if math.Abs(scales[i]) > math.Abs(largest) {
			largest = scales[i]
		}
	}
	b.d = halfBits(float32(-largest / g.steps)) // the longer side of the integers for the largest scale
	d := float64(halfValue(b.d))
	for i := range scales {
		from, to := i*16, (i+1)*16
		s := g.integer(x[from:to], weights[from:to], d, float64(scales[i]*reciprocal64(d)))
		b.scales[i] = int8(s)
		inverse := reciprocal64(d * s)
		for j := from; j < to; j++ {
			b.codes[j] = byte(nearest(float64(x[j]*inverse)+g.top, 2*g.top-1))
		}
	}
	return b
}

// integer finds the best integer scale within one of the nearest.
func (g *signedGrid) integer(x, weights []float64, d, scale float64) (bestS float64) {
	s0 := nearest(scale+g.steps, 2*g.steps-1) - g.steps
	best := math.Inf(1)
	for s := max(s0-1, -g.steps); s <= min(s0+1, g.steps-1); s++ {
		if e := signedError(x, weights, d*s, g.top); e < best {
			bestS, best = s, e
		}
	}
	return bestS
}

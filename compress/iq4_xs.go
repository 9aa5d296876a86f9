package compress

import (
	"encoding/binary"
	"math"
)

// encodeIQ4_XS: the grid of iq4_nl, 6-bit scales of 32 weights. w ≈ d·scale·grid[q], scale in −32…31.
func encodeIQ4_XS(dst []byte, src []float32, importance []float64) {
	var x, weights [superWeights]float64
	widen(x[:], src)
	weigh(weights[:], importance)
	var scales [8]float64
	largest := 0.0
	for i := range scales {
		from, to := i*32, (i+1)*32
		scales[i] = fitGrid4(x[from:to], weights[from:to], wideSigned(-grid4[0]))
		if math.Abs(scales[i]) > math.Abs(largest) {
			largest = scales[i]
		}
	}
	d := putHalf(dst, -largest/32) // the longer side of the integers for the largest scale
	high, low := uint16(0), dst[4:8]
	clear(low)
	for i := range scales {
		from, to := i*32, (i+1)*32
		s := integerGrid4(x[from:to], weights[from:to], d, scales[i])
		packGrid4(dst[8+i*16:][:16], x[from:to], float64(d*s))
		u := uint16(s + 32)
		low[i/2] |= byte(u&15) << (i % 2 * 4)
		high |= u >> 4 << (2 * i)
	}
	binary.LittleEndian.PutUint16(dst[2:], high)
}

// integerGrid4 finds the best integer scale within one of the nearest.
func integerGrid4(x, weights []float64, d, scale float64) (best float64) {
	near := nearest(float64(scale*reciprocal64(d))+32, 63) - 32
	least := math.Inf(1)
	for s := max(near-1, -32); s <= min(near+1, 31); s++ {
		if e := errorGrid4(x, weights, float64(d*s)); e < least {
			best, least = s, e
		}
	}
	return best
}

// errorGrid4 is Σ weights·(x − scale·grid[q])² with the nearest codes q.
func errorGrid4(x, weights []float64, scale float64) (sum float64) {
	inverse := reciprocal64(scale)
	for i, v := range x {
		e := v - float64(scale*grid4[nearest4(float64(v*inverse))])
		sum += float64(weights[i] * float64(e*e))
	}
	return sum
}

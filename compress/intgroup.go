package compress

import (
	"encoding/binary"
	"math"
	"slices"

	"github.com/finch-llm/finch/kernels"
)

// intGrid is the grid of one integer group: w ≈ scale·(q − zero) with whole q in 0…top.
type intGrid struct {
	scale     float64 // that of bits
	bits      uint16  // binary16
	zero, top float64
}

// fitIntGroup finds the grid of a group for small Σ weights·(x − ŵ)². The smallest and the largest weight (or the one of largest
// magnitude, at the longer end of a symmetric grid) mark its ends; narrower grids clip them for the sake of the others.
// The codes of the best grid then give it the scale of least squares.
func fitIntGroup(x, weights []float64, g kernels.IntGroup) intGrid {
	low, high := 0.0, 0.0 // zero must be representable
	for _, v := range x {
		low, high = min(low, v), max(high, v)
	}
	top := float64(int(1)<<g.Bits - 1)
	step, zero := (high-low)/top, 0.0
	side := 1.0 // how far the zero point may lie from the nearest
	switch half := (top + 1) / 2; {
	case g.Symmetric && high > -low:
		step, zero, side = -high/half, half, 0
	case g.Symmetric:
		step, zero, side = -low/half, half, 0
	default:
		zero = nearest(float64(-low*reciprocal64(step)), top)
	}

	var best intGrid
	least := math.Inf(1)
	try := func(scale, zero float64) {
		grid := intGrid{bits: halfBits(float32(scale)), zero: zero, top: top}
		grid.scale = float64(halfValue(grid.bits))
		if e := grid.error(x, weights); e < least {
			best, least = grid, e
		}
	}
	const narrowest, widths = 0.55, 9
	for i := range widths + 1 {
		share := 1 - float64((1-narrowest)*float64(i))/widths
		for z := max(zero-side, 0); z <= min(zero+side, top); z++ {
			try(float64(step*share), z)
		}
	}
	try(best.leastSquares(x, weights), best.zero)
	return best
}

// code is the code of the nearest point of the grid; inverse is 1/scale.
func (g *intGrid) code(v, inverse float64) float64 { return nearest(float64(v*inverse)+g.zero, g.top) }

func (g *intGrid) error(x, weights []float64) (sum float64) {
	inverse := reciprocal64(g.scale)
	weights = weights[:len(x)]
	for i, v := range x {
		e := v - float64(g.scale*(g.code(v, inverse)-g.zero))
		sum += float64(weights[i] * float64(e*e))
	}
	return sum
}

// leastSquares is the best scale for the codes that the grid gives.
func (g *intGrid) leastSquares(x, weights []float64) float64 {
	inverse := reciprocal64(g.scale)
	weights = weights[:len(x)]
	var qx, qq float64
	for i, v := range x {
		q := g.code(v, inverse) - g.zero
		wq := float64(weights[i] * q)
		qx += float64(wq * v)
		qq += float64(wq * q)
	}
	return qx * reciprocal64(qq)
}

func encodeIntGroup(g kernels.IntGroup) encoder {
	layout := intLayout(g)
	equal := slices.Repeat([]float64{1}, g.Group)
	return func(dst []byte, src []float32, importance []float64) {
		x := make([]float64, len(src))
		widen(x, src)
		if importance == nil {
			importance = equal
		}
		grid := fitIntGroup(x, importance, g)
		binary.LittleEndian.PutUint16(dst, grid.bits)
		if !g.Symmetric {
			dst[2] = byte(grid.zero)
		}
		codes := make([]byte, len(x))
		inverse := reciprocal64(grid.scale)
		for i, v := range x {
			codes[i] = byte(grid.code(v, inverse))
		}
		layout.put(dst, codes)
	}
}

package compress

import (
	"encoding/binary"
	"math"

	"github.com/finch-llm/finch/kernels"
)

// intGrid is the grid of one integer group: w ≈ scale·(q − zero) with whole q in 0…top.
type intGrid struct {
	scale     float64 // that of bits
	bits      uint16  // binary16
	zero, top float64
}

// fitIntGroup finds the grid of a group for small Σ (x − ŵ)². The smallest and the largest weight (or the one of largest
// magnitude, at the longer end of a symmetric grid) mark its ends; narrower grids clip them for the sake of the others.
// The codes of the best grid then give it the scale of least squares.
func fitIntGroup(x []float64, g kernels.IntGroup) intGrid {
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
		if e := grid.error(x); e < least {
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
	try(best.leastSquares(x), best.zero)
	return best
}

// code is the code of the nearest point of the grid; inverse is 1/scale.
func (g *intGrid) code(v, inverse float64) float64 { return nearest(float64(v*inverse)+g.zero, g.top) }

func (g *intGrid) error(x []float64) (sum float64) {
	inverse := reciprocal64(g.scale)
	for _, v := range x {
		e := v - float64(g.scale*(g.code(v, inverse)-g.zero))
		sum += float64(e * e)
	}
	return sum
}

// leastSquares is the best scale for the codes that the grid gives.
func (g *intGrid) leastSquares(x []float64) float64 {
	inverse := reciprocal64(g.scale)
	var qx, qq float64
	for _, v := range x {
		q := g.code(v, inverse) - g.zero
		qx += float64(q * v)
		qq += float64(q * q)
	}
	return qx * reciprocal64(qq)
}

func encodeIntGroup(g kernels.IntGroup) encoder {
	return func(dst []byte, src []float32, _ []float64) {
		x := make([]float64, len(src))
		widen(x, src)
		grid := fitIntGroup(x, g)
		binary.LittleEndian.PutUint16(dst, grid.bits)
		if !g.Symmetric {
			dst[2] = byte(grid.zero)
		}
		codes := make([]byte, len(x))
		inverse := reciprocal64(grid.scale)
		for i, v := range x {
			codes[i] = byte(grid.code(v, inverse))
		}
		packPlanes(dst[g.HeaderBytes():], codes, g)
	}
}

// packPlanes cuts codes into the planes that kernels.IntGroup describes.
func packPlanes(dst, codes []byte, g kernels.IntGroup) {
	clear(dst)
	below := g.Bits // bits that are not stored yet
	for _, width := range g.Planes() {
		below -= width
		size := g.Group * width / 8
		for run := range 8 / width {
			for i, q := range codes[run*size : (run+1)*size] {
				dst[i] |= q >> below & byte(1<<width-1) << (run * width)
			}
		}
		dst = dst[size:]
	}
}

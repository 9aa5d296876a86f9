package compress

import (
	"math"
	"math/bits"
)

// iqGrid is the grid of the IQ formats with code books: w ≈ d·unit·(2·scale + 1)·±value within each group, the values of
// eight or four weights together being an entry of the book.
type iqGrid struct {
	book  *codeBook
	unit  float64
	group int  // weights that share a scale
	even  bool // of each eight weights, an even number is negative
	// Scales are tried for which the largest magnitude of a group is from narrow to wide times the largest value.
	narrow, wide float64
}

const (
	iqSteps = 15 // the largest integer scale
	iqTries = 8  // of real ones; each leads to nearby ones, so that more find little more
)

// iqBlock is a super-block on an iqGrid, not yet packed.
type iqBlock struct {
	d       uint16 // binary16
	scales  [16]byte
	entries [64]int  // of the book
	signs   [32]byte // of eight weights each, bit i set where weight i is negative
}

// iqGroup are the weights of one group on their way to the grid.
type iqGroup struct {
	w, wa  [32]float64 // how much each counts, and that times its magnitude a
	signs  [4]byte
	peak   float64 // the largest magnitude
	energy float64 // Σ w·a²
	scale  float64 // the best real one
}

// iqEncoder has the room for a search.
type iqEncoder struct {
	*iqGrid
	halves [2]halfErrors
}

// iqCodes are codes of one group.
type iqCodes struct {
	entries [8]int
	signs   [4]byte
	err     float64 // with the scale that they were looked up for
	qx, qq  float64 // Σ w·x·q and Σ w·q² for x ≈ scale·q
}

// round finds the block with small Σ weights·(x − ŵ)², each weight counting by the importance of its column.
//
// A scale, the entries and the signs depend on each other: each group tries several scales, takes the nearest entries for
// each, and solves the scale by least squares. Then the scales become integers, and the step of the block is solved likewise.
func (grid *iqGrid) round(src []float32, importance []float64) (b iqBlock) {
	var x, weights [superWeights]float64
	widen(x[:], src)
	weigh(weights[:], importance)
	g := iqEncoder{iqGrid: grid}
	var groups [16]iqGroup
	var codes, next [16]iqCodes
	n := superWeights / g.group
	largest := 0.0
	for i := range groups[:n] {
		from, to := i*g.group, (i+1)*g.group
		groups[i].set(x[from:to], weights[from:to])
		g.fit(&groups[i], &codes[i])
		largest = max(largest, groups[i].scale)
	}
	var scales [16]byte
	least := math.Inf(1)
	step := largest / (2*iqSteps + 1)
	for range refits {
		half, d := halfStep(float64(step / g.unit))
		next = codes
		err := g.integers(groups[:n], next[:n], &scales, float64(d*g.unit))
		if err >= least {
			break
		}
		least, codes = err, next
		b.d, b.scales = half, scales
		var qx, qq float64
		for i, c := range codes[:n] {
			s := float64(2*int(scales[i]) + 1)
			qx += float64(s * c.qx)
			qq += float64(float64(s*s) * c.qq)
		}
		step = qx * reciprocal64(qq)
	}
	vectors := g.group / g.book.width
	for i, c := range codes[:n] {
		copy(b.entries[i*vectors:], c.entries[:vectors])
		copy(b.signs[i*g.group/8:], c.signs[:g.group/8])
	}
	return b
}

func (group *iqGroup) set(x, weights []float64) {
	for i, v := range x {
		a := math.Abs(v)
		group.w[i], group.wa[i] = weights[i], float64(weights[i]*a)
		group.peak = max(group.peak, a)
		group.energy += float64(group.wa[i] * a)
		if v < 0 {
			group.signs[i/8] |= 1 << (i % 8)
		}
	}
}

// fit finds the real scale of a group, and codes for it.
func (g *iqEncoder) fit(group *iqGroup, codes *iqCodes) {
	values := g.book.values
	largest := group.peak / values[len(values)-1]
	var best float64
	try := func(scale float64) (better bool) {
		next := *codes
		g.lookUp(group, &next, scale)
		// The error is that of zeros, less gain.
		gain := float64(next.qx*next.qx) / next.qq
		if next.qx > 0 && gain > best {
			best, group.scale, *codes, better = gain, next.qx/next.qq, next, true
		}
		return better
	}
	for i := range iqTries {
		try(largest / (g.narrow + float64((g.wide-g.narrow)*float64(i))/(iqTries-1)))
	}
	for range 2 {
		if !try(group.scale) {
			break
		}
	}
}

// integers takes the best integer scale within one of the nearest for each group, and its codes. It returns the error of
// the block.
func (g *iqEncoder) integers(groups []iqGroup, codes []iqCodes, scales *[16]byte, step float64) (sum float64) {
	for i := range groups {
		near := nearest(float64((float64(groups[i].scale*reciprocal64(step))-1)*0.5), iqSteps)
		best := codes[i]
		best.err = math.Inf(1)
		for s := max(near-1, 0); s <= min(near+1, iqSteps); s++ {
			next := best
			g.lookUp(&groups[i], &next, float64(step*(2*s+1)))
			if next.err < best.err {
				best, scales[i] = next, byte(s)
			}
		}
		codes[i] = best
		sum += best.err
	}
	return sum
}

// lookUp takes the nearest codes for a scale; those that are in codes already should be near.
func (g *iqEncoder) lookUp(group *iqGroup, codes *iqCodes, scale float64) {
	codes.err, codes.qx, codes.qq = group.energy, 0, 0
	for i := range g.group / 8 {
		codes.signs[i] = group.signs[i]
		wrong := 0
		if g.even {
			wrong = bits.OnesCount8(group.signs[i]) % 2
		}
		w, wa := group.w[i*8:i*8+8], group.wa[i*8:i*8+8]
		entries := codes.entries[i*8/g.book.width:][:8/g.book.width]
		codes.err += g.eight(entries, wa, w, scale, wrong)
		flip, least := 0, math.Inf(1)
		for j := range w {
			q := g.book.entries[entries[j/g.book.width]][j%g.book.width]
			p := float64(wa[j] * q)
			codes.qx += p
			codes.qq += float64(float64(w[j]*q) * q)
			if p < least {
				flip, least = j, p
			}
		}
		if wrong != 0 {
			codes.signs[i] ^= 1 << flip
			codes.qx -= 2 * least
		}
	}
}

// eight finds the nearest entries, two for a book of four weights, for eight weights of which one must get the wrong sign if
// wrong is 1. It returns the error less that of zeros.
func (g *iqEncoder) eight(entries []int, wa, w []float64, scale float64, wrong int) (err float64) {
	b, t := g.book, &g.halves
	half := b.width / 2
	if b.width == 8 {
		for i := range t {
			b.tabulate(&t[i], wa[i*half:(i+1)*half], w[i*half:(i+1)*half], scale, wrong != 0)
		}
		entries[0], err = b.nearest(&t[0], &t[1], wrong, entries[0])
		return err
	}
	var found [2][2]int // of each four: the entry without and with a wrong sign
	var errs [2][2]float64
	for v := range found {
		for i := range t {
			from := v*b.width + i*half
			b.tabulate(&t[i], wa[from:from+half], w[from:from+half], scale, wrong != 0)
		}
		for s := range wrong + 1 {
			found[v][s], errs[v][s] = b.nearest(&t[0], &t[1], s, entries[v])
		}
	}
	first, second := 0, wrong
	if wrong != 0 && errs[0][1]+errs[1][0] < errs[0][0]+errs[1][1] {
		first, second = 1, 0
	}
	entries[0], entries[1] = found[0][first], found[1][second]
	return errs[0][first] + errs[1][second]
}

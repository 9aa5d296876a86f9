package search

import (
	"math"

	"gonum.org/v1/gonum/mat"
)

const (
	// pairVariance is the prior variance of the entries of A: disturbances of two sites may well have a correlation of 0.3.
	pairVariance = 0.1
	// memory is how many comparisons are learnt from, the latest; to fit a few hundred takes less time than to score one candidate.
	memory = 512
	// modelError is how far, in relation to it, a large difference may be from any quadratic form.
	modelError = 0.1
	// maxLearnt sites can have pair terms, a square matrix of which is kept.
	maxLearnt = 2048
)

// surrogate predicts fitness. A compressed site disturbs the logits, disturbances add up, and to second order KL is a
// quadratic form of their sum. With the measured damage dᵢ of each level of each site by itself, what a genome g loses is
//
//	m(g) = Σᵢ dᵢ(gᵢ) + xᵀAx,   xᵢ = √dᵢ(gᵢ)
//
// where A, symmetric, holds how much the disturbances of two sites have in common, and on its diagonal what a site does otherwise than
// when all others are at their dearest. A is learnt from differences between candidates scored on one slice, by Gaussian process
// regression (Rasmussen and Williams, 2006, chapter 2) with the kernel pairVariance·(x·x')².
type surrogate struct {
	o *Operators
	d damages
	x [][]float64 // √d [sites][levels]

	seen   []comparison // the latest, at most memory of them
	kernel [][]float64  // prior covariances of the comparisons, [i][j ≤ i]
	a      []float64    // A [sites, sites]; nil: nothing learnt
}

// comparison is how much worse a candidate scored than its parent on the same tokens.
type comparison struct {
	child, parent []float64 // amplitudes [sites]
	excess        float64   // beyond the difference in damages
	variance      float64   // of excess
}

func newSurrogate(o *Operators, d damages) *surrogate {
	s := &surrogate{o: o, d: d, x: make([][]float64, len(d))}
	for i := range d {
		s.x[i] = make([]float64, len(d[i]))
		for l, damage := range d[i] {
			s.x[i][l] = math.Sqrt(max(damage, 0))
		}
	}
	return s
}

// at is the damage and amplitude of site i in g: none for a layer of a dropped sublayer.
func (s *surrogate) at(g Genome, i int) (damage, amplitude float64) {
	if !s.o.space.active(g, i) {
		return 0, 0
	}
	return s.d[i][g[i]], s.x[i][g[i]]
}

// amplitudes of all sites, and the sum of their damages.
func (s *surrogate) amplitudes(g Genome) (x []float64, sum float64) {
	x = make([]float64, len(g))
	for i := range g {
		damage, amplitude := s.at(g, i)
		x[i] = amplitude
		sum += damage
	}
	return x, sum
}

// learn takes note that a child scored so much more than its parent, with this variance.
func (s *surrogate) learn(child, parent Genome, difference, variance float64) {
	c, childSum := s.amplitudes(child)
	p, parentSum := s.amplitudes(parent)
	model := modelError * difference
	n := comparison{c, p, difference - (childSum - parentSum), variance + model*model}
	if len(s.seen) == memory {
		s.seen, s.kernel = s.seen[1:], s.kernel[1:]
		for i := range s.kernel {
			s.kernel[i] = s.kernel[i][1:]
		}
	}
	s.seen = append(s.seen, n)
	row := make([]float64, len(s.seen))
	for j := range s.seen {
		row[j] = n.covariance(&s.seen[j])
	}
	s.kernel = append(s.kernel, row)
}

func (n *comparison) covariance(o *comparison) float64 {
	return pairVariance * (square(dot(n.child, o.child)) - square(dot(n.child, o.parent)) -
		square(dot(n.parent, o.child)) + square(dot(n.parent, o.parent)))
}

// fit finds the mean of A given all comparisons.
func (s *surrogate) fit() {
	n, sites := len(s.seen), len(s.d)
	if n == 0 || sites > maxLearnt {
		return
	}
	k := mat.NewSymDense(n, nil)
	excess := mat.NewVecDense(n, nil)
	for i := range n {
		for j := range i + 1 {
			k.SetSym(i, j, s.kernel[i][j])
		}
		k.SetSym(i, i, k.At(i, i)+s.seen[i].variance)
		excess.SetVec(i, s.seen[i].excess)
	}
	var factors mat.Cholesky
	var weights mat.VecDense
	if !factors.Factorize(k) || factors.SolveVecTo(&weights, excess) != nil {
		return // what was learnt before remains
	}
	s.a = make([]float64, sites*sites)
	for i := range n {
		w := pairVariance * weights.AtVec(i)
		addOuter(s.a, s.seen[i].child, w)
		addOuter(s.a, s.seen[i].parent, -w)
	}
}

// addOuter adds w·x·xᵀ to a square matrix.
func addOuter(a, x []float64, w float64) {
	for i, xi := range x {
		if xi == 0 {
			continue
		}
		row := a[i*len(x) : (i+1)*len(x)]
		for j, xj := range x {
			row[j] += w * xi * xj
		}
	}
}

func square(x float64) float64 { return x * x }

func dot(a, b []float64) float64 {
	sum := 0.0
	for i, v := range a {
		sum += v * b[i]
	}
	return sum
}

// predict gives the fitness of a genome beyond that of all sites at their dearest.
func (s *surrogate) predict(g Genome) float64 { return s.climber(s.o.individual(g)).value }

package search

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"
)

const (
	// pairVariance is the prior variance of the entries of A: disturbances of two sites may well have a correlation of 0.3.
	pairVariance = 0.1
	// levelVariance is the prior variance of what the damage of a level is off by, in relation to it: most are interpolated.
	levelVariance = 0.1
	// memory is how many comparisons are learnt from, the latest; to fit a few hundred takes less time than to score one candidate.
	memory = 512
	// modelError is how far, in relation to it, a large difference may be from any quadratic form.
	modelError = 0.1
	// maxLearnt sites can have pair terms, a square matrix of which is kept.
	maxLearnt = 2048
)

// surrogate predicts fitness. A compressed site disturbs the logits, disturbances add up, and to second order KL is a
// quadratic form of their sum. With the damage dᵢ of each level of each site by itself, measured or interpolated, what a genome g loses is
//
//	m(g) = Σᵢ (1 + eᵢ(gᵢ))·dᵢ(gᵢ) + xᵀAx,   xᵢ = √dᵢ(gᵢ)
//
// where e is what single damages are off by and A, symmetric, holds how much the disturbances of two sites have in common, and on its
// diagonal what a site does otherwise than when all others are at their dearest. Both are learnt from differences between candidates
// scored on one slice, by Gaussian process regression (Rasmussen and Williams, 2006, chapter 2) with the kernel
//
//	levelVariance·Σᵢ [gᵢ = g'ᵢ]·dᵢ(gᵢ)² + pairVariance·(x·x')²
type surrogate struct {
	o        *Operators
	measured damages
	d        damages     // with what was learnt
	x        [][]float64 // √measured [sites][levels]

	seen   []comparison // the latest, at most memory of them
	kernel [][]float64  // prior covariances of the comparisons, [i][j ≤ i]
	a      []float64    // A [sites, sites]; nil: nothing learnt
}

// comparison is how much worse a candidate scored than its parent on the same tokens.
type comparison struct {
	child, parent []float64 // amplitudes [sites]
	moves         []move    // in order of sites
	excess        float64   // beyond the difference in damages
	variance      float64   // of excess
}

// move is a site at another level in the child than in the parent, and the damages of both levels: none in a dropped sublayer.
type move struct {
	site     int
	from, to uint8
	was, is  float64
}

func newSurrogate(o *Operators, d damages) *surrogate {
	s := &surrogate{o: o, measured: d, d: d, x: make([][]float64, len(d))}
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

// amplitudes of all sites, and the sum of their measured damages.
func (s *surrogate) amplitudes(g Genome) (x []float64, sum float64) {
	x = make([]float64, len(g))
	for i := range g {
		if s.o.space.active(g, i) {
			x[i] = s.x[i][g[i]]
			sum += s.measured[i][g[i]]
		}
	}
	return x, sum
}

// learn takes note that a child scored so much more than its parent, with this variance.
func (s *surrogate) learn(child, parent Genome, difference, variance float64) {
	if !s.learns() {
		return
	}
	c, childSum := s.amplitudes(child)
	p, parentSum := s.amplitudes(parent)
	model := modelError * difference
	n := comparison{child: c, parent: p, excess: difference - (childSum - parentSum), variance: variance + model*model}
	for i := range child {
		if child[i] != parent[i] {
			n.moves = append(n.moves, move{i, parent[i], child[i], square(p[i]), square(c[i])})
		}
	}
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
	levels := 0.0
	for i, j := 0, 0; i < len(n.moves) && j < len(o.moves); {
		a, b := &n.moves[i], &o.moves[j]
		if a.site == b.site {
			levels += a.covariance(b)
		}
		if a.site <= b.site {
			i++
		}
		if a.site >= b.site {
			j++
		}
	}
	pairs := square(dot(n.child, o.child)) - square(dot(n.child, o.parent)) -
		square(dot(n.parent, o.child)) + square(dot(n.parent, o.parent))
	return levelVariance*levels + pairVariance*pairs
}

// covariance of two moves of a site, in units of levelVariance: a level has only itself in common.
func (m *move) covariance(o *move) float64 {
	sum := 0.0
	if m.to == o.to {
		sum += m.is * o.is
	}
	if m.to == o.from {
		sum -= m.is * o.was
	}
	if m.from == o.to {
		sum -= m.was * o.is
	}
	if m.from == o.from {
		sum += m.was * o.was
	}
	return sum
}

// learns says whether there are few enough sites for pair terms.
func (s *surrogate) learns() bool { return len(s.d) <= maxLearnt }

// fit finds the means of e and A given all comparisons.
func (s *surrogate) fit() {
	n, sites := len(s.seen), len(s.d)
	if n == 0 {
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
	s.d = make(damages, sites)
	for i, d := range s.measured {
		s.d[i] = slices.Clone(d)
	}
	for i := range n {
		w := levelVariance * weights.AtVec(i)
		for _, m := range s.seen[i].moves {
			s.d[m.site][m.to] += w * square(m.is)
			s.d[m.site][m.from] -= w * square(m.was)
		}
	}
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

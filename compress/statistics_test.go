package compress

import "math"

// testStatistics are the second moments of inputs that share a few factors and differ in size, as those of a transformer do:
// x = size·(F z + e) with F [n, 8] and normal z and e. tools/golden/gptq.py has them too.
func testStatistics(n int) *Statistics {
	const factors = 8
	loadings, sizes := gaussian(21, n*factors), gaussian(22, n)
	for i, g := range sizes {
		sizes[i] = math.Exp(g / 2)
	}
	s := &Statistics{Tokens: 4 * n, Squares: make([]float64, n), Hessian: make([]float64, n*n)}
	for i := range n {
		for j := range i + 1 {
			h := 0.0
			for k := range factors {
				h += loadings[i*factors+k] * loadings[j*factors+k] / 4
			}
			if i == j {
				h++
			}
			h *= sizes[i] * sizes[j]
			s.Hessian[i*n+j], s.Hessian[j*n+i] = h, h
		}
		s.Squares[i] = s.Hessian[i*n+i]
	}
	return s
}

package compress

import (
	"errors"
	"math"
	"math/bits"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/lapack/lapack64"

	"github.com/finch-llm/finch/kernels"
)

// lanes is the number of rows of W that are worked on side by side.
const lanes = kernels.Lanes

// sheet is a matrix [rows, cols] in float64, transposed within slabs of lanes rows [slab][col]. The rows beyond the last
// one are zeros.
type sheet struct {
	rows, cols int
	slabs      [][]kernels.Column
}

// newSheet copies weights [rows, cols]; its column i is column order[i] of the weights.
func newSheet(weights []float32, rows, cols int, order []int) *sheet {
	s := &sheet{rows: rows, cols: cols, slabs: make([][]kernels.Column, (rows+lanes-1)/lanes)}
	for i := range s.slabs {
		slab := make([]kernels.Column, cols)
		for lane := range s.lanesOf(i) {
			row := weights[(i*lanes+lane)*cols:][:cols]
			for j, c := range order {
				slab[j][lane] = float64(row[c])
			}
		}
		s.slabs[i] = slab
	}
	return s
}

// lanesOf is the number of rows in a slab.
func (s *sheet) lanesOf(slab int) int { return min(lanes, s.rows-slab*lanes) }

// quadratic is tr(S A Sᵀ) for a symmetric A [cols, cols]: the sum of s A sᵀ over the rows s.
func (s *sheet) quadratic(a []float64) (sum float64) {
	below := make([]kernels.Column, 1) // −Σ A[j][k]·s[k] over k < j
	for _, slab := range s.slabs {
		for j := range slab {
			row := a[j*s.cols : (j+1)*s.cols]
			below[0] = kernels.Column{}
			kernels.SubtractProducts(below, slab[:j], row, s.cols)
			for i, v := range slab[j] {
				sum += float64(v * (float64(row[j]*v) - float64(2*below[0][i])))
			}
		}
	}
	return sum
}

// factor is what it takes to fix the weights of a layer one by one, each time moving those that are still free to where
// they make up for the error best (Optimal Brain Surgeon). Fixing weight j of a row with an error e leaves weights k > j
// best at w_k − e·U[j][k] / U[j][j], with H⁻¹ = UᵀU and U upper triangular (GPTQ, arXiv 2210.17323, section 3.3); the
// outputs' error grows by (e/U[j][j])².
type factor struct {
	order []int     // the inputs in the order of their fixing
	dead  []bool    // inputs that are always zero, by place in the order: their weights do not matter
	lower []float64 // Uᵀ [n, n]: row k has what the fixing of each j < k does to weight k

	// importance is what an error in each column of W adds to that of the outputs, 1/U[j][j]²: what scales are chosen by.
	importance []float64
}

const (
	damping     = 0.01 // of the mean square of an input, added to each of them
	maxDampings = 12   // times that it may be raised tenfold
)

var errMoments = errors.New("the second moments of its inputs are not those of any finite inputs: compute the statistics again")

// newFactor factors the second moments H [n, n] of a layer's inputs, to be fixed in an order. Inputs that depend on each
// other leave H singular; damping makes up for it, and is raised until H is positive definite in float64 too.
func newFactor(hessian []float64, order []int) (*factor, error) {
	n := len(order)
	f := &factor{order: order, dead: make([]bool, n)}
	mean, living := 0.0, 0
	for i, c := range order {
		square := hessian[c*n+c]
		if f.dead[i] = square == 0; !f.dead[i] {
			mean += square
			living++
		}
	}
	mean /= float64(max(living, 1))
	if living == 0 {
		mean = 1
	}
	if !(mean > 0) || math.IsInf(mean, 1) {
		return nil, errMoments
	}
	for attempt := range maxDampings {
		if f.decompose(hessian, mean, damping*math.Pow10(attempt)*mean) {
			return f, nil
		}
	}
	return nil, errMoments
}

// decompose computes f.lower from H + damp·I and says whether it could. H has mean squares for dead inputs.
//
// With rows and columns in reverse, Cholesky's lower triangle C gives H = VVᵀ with V upper triangular, and U = V⁻¹: one
// triangle to invert, where the way over H⁻¹ takes two decompositions and loses digits to both.
func (f *factor) decompose(hessian []float64, mean, damp float64) bool {
	n := len(f.order)
	a := make([]float64, n*n)
	for i, row := range f.order {
		for j, col := range f.order[:i+1] { // the lower triangle of the reverse is the upper one, and H symmetric
			a[(n-1-j)*n+n-1-i] = hessian[row*n+col]
		}
		diagonal := &a[(n-1-i)*n+n-1-i]
		if f.dead[i] {
			*diagonal = mean
		}
		*diagonal += damp
	}
	c, ok := lapack64.Potrf(blas64.Symmetric{N: n, Stride: n, Data: a, Uplo: blas.Lower})
	if !ok {
		return false
	}
	c.Diag = blas.NonUnit
	if !lapack64.Trtri(c) {
		return false
	}
	f.lower = make([]float64, n*n)
	for k := range n {
		for j := range k + 1 {
			f.lower[k*n+j] = a[(n-1-j)*n+n-1-k]
		}
	}
	f.importance = make([]float64, n)
	for j, c := range f.order {
		f.importance[c] = 1 / (f.diagonal(j) * f.diagonal(j))
	}
	return true
}

// diagonal is U[j][j].
func (f *factor) diagonal(j int) float64 { return f.lower[j*len(f.order)+j] }

// sheet copies the weights [rows, cols] of a layer in the order of f, those of dead inputs as zeros.
func (f *factor) sheet(layer Layer) *sheet {
	s := newSheet(layer.Weights, layer.Rows, layer.Cols, f.order)
	for _, slab := range s.slabs {
		for j, dead := range f.dead {
			if dead {
				slab[j] = kernels.Column{}
			}
		}
	}
	return s
}

// fixer fixes the weights of a sheet.
type fixer interface {
	// begin is told of every block of columns before the first of them is fixed: they have made up for all errors so far.
	begin(from, to int)
	// fix chooses the final weights of column j and leaves their errors, over U[j][j], in its place.
	fix(j int)
}

// sweep fixes all columns of s in order, with blocks of at most so many columns that begin at multiples of it, a power of
// two. Errors reach later columns as late as they can: those of the first half of a range reach the second half
// together, so that most of the work is on sums long enough for the processor.
func (f *factor) sweep(s *sheet, block int, by fixer) {
	var halves func(from, to int, begun bool)
	halves = func(from, to int, begun bool) {
		if !begun && to-from <= block {
			by.begin(from, to)
			begun = true
		}
		if to-from == 1 {
			by.fix(from)
			return
		}
		middle := from + 1<<(bits.Len(uint(to-from-1))-1) // the largest power of two below the length
		halves(from, middle, begun)
		f.propagate(s, from, middle, to)
		halves(middle, to, begun)
	}
	halves(0, s.cols, false)
}

// propagate moves columns middle to to for the errors of columns from to middle.
func (f *factor) propagate(s *sheet, from, middle, to int) {
	for _, slab := range s.slabs {
		kernels.SubtractProducts(slab[middle:to], slab[from:middle], f.lower[middle*s.cols+from:], s.cols)
	}
}

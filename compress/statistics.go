package compress

import (
	"cmp"
	"slices"
	"sync"
)

// Statistics say what a layer's inputs x look like on calibration text, so that errors can be weighed by what they do to its
// outputs: the expected square of (w − ŵ)·x is (w − ŵ) H (w − ŵ)ᵀ with H the mean of xᵀx. Layers with the same inputs may
// share them, and their levels share what is computed from them.
type Statistics struct {
	Tokens  int       // that the means are over
	Squares []float64 // the diagonal of H: mean x² of each input [Cols]
	Hessian []float64 // H, symmetric [Cols, Cols]; nil if only the diagonal is known

	inOrder, byActivation lazyFactor
}

// lazyFactor is computed when it is first needed.
type lazyFactor struct {
	once   sync.Once
	factor *factor
	err    error
}

func (l *lazyFactor) get(hessian []float64, order func() []int) (*factor, error) {
	l.once.Do(func() { l.factor, l.err = newFactor(hessian, order()) })
	return l.factor, l.err
}

// factorInOrder is the factor of H with the inputs as they come.
func (s *Statistics) factorInOrder() (*factor, error) {
	return s.inOrder.get(s.Hessian, func() []int { return identity(len(s.Squares)) })
}

// factorByActivation is the factor of H with the inputs of largest mean square first.
func (s *Statistics) factorByActivation() (*factor, error) {
	return s.byActivation.get(s.Hessian, func() []int {
		order := identity(len(s.Squares))
		slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(s.Squares[b], s.Squares[a]) })
		return order
	})
}

// only leaves out what a level does not need.
func (s *Statistics) only(needs Needs) *Statistics {
	switch {
	case needs == NeedsNothing || s == nil:
		return nil
	case needs == NeedsSquares:
		return &Statistics{Tokens: s.Tokens, Squares: s.Squares}
	}
	return s
}

func identity(n int) []int {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	return order
}

// Needs is what a level has to know of a layer's inputs.
type Needs int

const (
	NeedsNothing Needs = iota
	NeedsSquares       // Statistics.Squares
	NeedsHessian       // all of Statistics
)

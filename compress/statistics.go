package compress

// Statistics say what a layer's inputs x look like on calibration text, so that errors can be weighed by what they do to its
// outputs: the expected square of (w − ŵ)·x is (w − ŵ) H (w − ŵ)ᵀ with H the mean of xᵀx.
type Statistics struct {
	Tokens  int       // that the means are over
	Squares []float64 // the diagonal of H: mean x² of each input [Cols]
	Hessian []float64 // H, symmetric [Cols, Cols]; nil if only the diagonal is known
}

// Needs is what a level has to know of a layer's inputs.
type Needs int

const (
	NeedsNothing Needs = iota
	NeedsSquares       // Statistics.Squares
	NeedsHessian       // all of Statistics
)

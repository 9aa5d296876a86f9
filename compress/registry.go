package compress

import (
	"fmt"
	"math"

	"github.com/finch-llm/finch/kernels"
)

// Layer is the weight matrix W [Rows outputs, Cols inputs] of one linear map, dense, row after row, and what is known of its
// inputs.
type Layer struct {
	Name       string
	Rows, Cols int
	Weights    []float32   // [Rows, Cols]
	Statistics *Statistics // nil: nothing
}

// Compressor makes the stored representation of a layer at one of its levels.
type Compressor interface {
	// Name identifies the compressor in level files.
	Name() string
	// Version changes whenever the bytes that it makes for the same layer and level do; old level files are then not used.
	Version() int
	// Levels lists the names that Parse takes, capitals standing for a number or a format.
	Levels() []string
	// Parse reads the name of a level. It returns false for a name of another form, and an error for one of its own form
	// that means nothing.
	Parse(name string) (Level, bool, error)
	// Needs says what Compress has to know of the layer's inputs for a level.
	Needs(level Level) Needs
	// Compress stores layer, which Compress (the function) has checked, at a level that Parse returned.
	Compress(layer Layer, level Level) (*kernels.Matrix, error)
}

var registry = []Compressor{
	roundToNearest{},
	importanceMatrix{},
	gptq{},
	magnitude{},
	wanda{},
	sparseGPT{},
}

// compressorOf is the registered compressor of a level, or nil for keep and drop.
func compressorOf(level Level) Compressor {
	for _, c := range registry {
		if c.Name() == level.compressor {
			return c
		}
	}
	return nil
}

// Compress stores a layer at a level. It refuses weights that are not finite, or too large for the level's format.
func Compress(layer Layer, level Level) (*kernels.Matrix, error) {
	c := compressorOf(level)
	if c == nil {
		return nil, fmt.Errorf("compress %s: level %q stores nothing: it belongs to the gate of a sublayer", layer.Name, level)
	}
	if err := check(layer, level.Format(layer.Cols)); err != nil {
		return nil, fmt.Errorf("compress %s to %s: %w", layer.Name, level, err)
	}
	if err := layer.has(c.Needs(level)); err != nil {
		return nil, fmt.Errorf("compress %s to %s: %w", layer.Name, level, err)
	}
	m, err := c.Compress(layer, level)
	if err != nil {
		return nil, fmt.Errorf("compress %s to %s: %w", layer.Name, level, err)
	}
	return m, nil
}

// has refuses a layer without the statistics that a level needs.
func (l Layer) has(needs Needs) error {
	s := l.Statistics
	switch {
	case needs == NeedsNothing:
		return nil
	case s == nil || len(s.Squares) != l.Cols:
		return fmt.Errorf("the level needs statistics of the %d inputs on calibration text, and there are none", l.Cols)
	case needs == NeedsHessian && len(s.Hessian) != l.Cols*l.Cols:
		return fmt.Errorf("the level needs the second moments of the %d inputs, and only their squares are known: an importance matrix is not enough", l.Cols)
	}
	return nil
}

func check(layer Layer, f kernels.Format) error {
	if layer.Rows < 1 || layer.Cols < 1 || len(layer.Weights)/layer.Cols != layer.Rows || len(layer.Weights)%layer.Cols != 0 {
		return fmt.Errorf("%d weights are not a matrix of %d × %d", len(layer.Weights), layer.Rows, layer.Cols)
	}
	limit := float64(MaxMagnitude(f))
	for i, w := range layer.Weights {
		if !(math.Abs(float64(w)) <= limit) { // NaN compares as false
			row, col := i/layer.Cols, i%layer.Cols
			if math.IsNaN(float64(w)) || math.IsInf(float64(w), 0) {
				return fmt.Errorf("the weight at row %d, column %d is %v: the model file is damaged, or its training diverged", row, col, w)
			}
			return fmt.Errorf("the weight %g at row %d, column %d is too large for %v, which holds up to %g: store this layer as f32 or bf16", w, row, col, f, limit)
		}
	}
	return nil
}

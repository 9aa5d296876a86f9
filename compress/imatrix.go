package compress

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/finch-llm/finch/kernels"
)

// importanceMatrix rounds like roundToNearest, but weighs the error in each column by the mean square of its input on
// calibration text, as llama.cpp does with its importance matrix (llama.cpp #4861): the larger an input, the more of an
// error in its weights is seen in the outputs. Its levels are the formats whose scales are searched, "imatrix-q4_k".
type importanceMatrix struct{}

const imatrixPrefix = "imatrix-"

func (importanceMatrix) Name() string { return "imatrix" }
func (importanceMatrix) Version() int { return 1 }

func (importanceMatrix) Needs(Level) Needs { return NeedsSquares }

func (importanceMatrix) Levels() []string {
	var names []string
	for _, f := range kernels.Formats() {
		if weighsColumns(f) {
			names = append(names, imatrixPrefix+f.String())
		}
	}
	return names
}

// weighsColumns says that the encoder of a format takes notice of importance.
func weighsColumns(f kernels.Format) bool {
	switch f {
	case kernels.F32, kernels.F16, kernels.BF16, kernels.Q8_0:
		return false
	}
	_, integers := f.IntGroup()
	return Encodes(f) && !integers
}

func (c importanceMatrix) Parse(name string) (Level, bool, error) {
	format, ok := strings.CutPrefix(name, imatrixPrefix)
	if !ok {
		return Level{}, false, nil
	}
	f, err := kernels.ParseFormat(format)
	if err != nil {
		return Level{}, true, err
	}
	if !weighsColumns(f) {
		return Level{}, true, fmt.Errorf("rounding to %v takes no notice of an importance matrix: write one of %s", f, strings.Join(c.Levels(), ", "))
	}
	return Level{name: name, compressor: c.Name(), format: f}, true, nil
}

func (importanceMatrix) Compress(layer Layer, level Level) (*kernels.Matrix, error) {
	importance, err := columnImportance(layer.Statistics.Squares)
	if err != nil {
		return nil, err
	}
	return encodeDense(layer, level.Format(layer.Cols), importance), nil
}

// columnImportance is the importance of each column relative to the mean. A thousandth of the mean is added: an input that
// is zero on the calibration text need not be on others, and no block is without any importance.
func columnImportance(squares []float64) ([]float64, error) {
	sum := 0.0
	for i, s := range squares {
		if !(s >= 0 && s <= math.MaxFloat32) { // NaN compares as false
			return nil, fmt.Errorf("the mean square of input %d is %g: the statistics are damaged", i, s)
		}
		sum += s
	}
	mean := sum / float64(len(squares))
	if mean == 0 {
		return slices.Repeat([]float64{1}, len(squares)), nil
	}
	importance := make([]float64, len(squares))
	for i, s := range squares {
		importance[i] = s/mean + 0.001
	}
	return importance, nil
}

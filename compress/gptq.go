package compress

import (
	"fmt"
	"strings"

	"github.com/finch-llm/finch/kernels"
)

// gptq rounds weights to the same formats as roundToNearest, one input after the other, and moves the weights that are not
// rounded yet to where they make up for the errors best (Frantar et al., arXiv 2210.17323). Its levels are named like the
// formats: "gptq-int3-g64", "gptq-q4_k". The scales of a block are chosen when its first weight is up, for the weights as they
// have become by then. With "-act" they are chosen for the original weights, and the inputs of largest mean square go first.
// Either way the error of each weight counts by what it will add to that of the outputs.
type gptq struct{}

func (gptq) Name() string { return "gptq" }
func (gptq) Version() int { return 1 }

func (gptq) Needs(Level) Needs { return NeedsHessian }

func (gptq) Levels() []string { return []string{"gptq-FORMAT", "gptq-FORMAT-act"} }

func (c gptq) Parse(name string) (Level, bool, error) {
	format, ok := strings.CutPrefix(name, "gptq-")
	if !ok {
		return Level{}, false, nil
	}
	format, byActivation := strings.CutSuffix(format, "-act")
	f, err := kernels.ParseFormat(format)
	if err != nil {
		return Level{}, true, err
	}
	if _, ok := codeLayoutOf(f); !ok || !Encodes(f) {
		return Level{}, true, fmt.Errorf("GPTQ cannot choose the codes of %v: write gptq-q4_k or gptq-int3-g64, for example", f)
	}
	return Level{name: name, compressor: c.Name(), format: f, byActivation: byActivation}, true, nil
}

func (gptq) Compress(layer Layer, level Level) (*kernels.Matrix, error) {
	layout, ok := codeLayoutOf(level.Format(layer.Cols))
	if !ok { // the fallback for odd rows, too fine for its errors to matter
		return roundToNearest{}.Compress(layer, level)
	}
	m := newDense(layer, layout.format)
	if level.byActivation {
		f, err := layer.Statistics.factorByActivation()
		if err != nil {
			return nil, err
		}
		EncodeBlocks(m.Data, m.Format, layer.Weights, f.importance)
		r := newRounding(f, layer, layout)
		layout.grid(r.low, r.step, m.Data)
		f.sweep(r.sheet, 1, r)
		r.store(m, nil)
		return m, nil
	}
	f, err := layer.Statistics.factorInOrder()
	if err != nil {
		return nil, err
	}
	r := &blockRounding{newRounding(f, layer, layout), m}
	f.sweep(r.sheet, m.Format.BlockWeights(), r)
	r.store(m, nil)
	return m, nil
}

// rounding fixes each weight at the nearest point of its grid.
type rounding struct {
	factor    *factor
	sheet     *sheet
	layout    codeLayout
	low, step []float32 // the grids [Rows, Cols]; 0 and 0 leave nothing but zero
	codes     []byte    // [Rows, Cols]
}

func newRounding(f *factor, layer Layer, layout codeLayout) *rounding {
	n := len(layer.Weights)
	return &rounding{factor: f, sheet: f.sheet(layer), layout: layout,
		low: make([]float32, n), step: make([]float32, n), codes: make([]byte, n)}
}

func (r *rounding) begin(from, to int) {}

func (r *rounding) fix(j int) {
	inverse := 1 / r.factor.diagonal(j)
	for i, slab := range r.sheet.slabs {
		for lane := range r.sheet.lanesOf(i) {
			at := (i*lanes+lane)*r.sheet.cols + r.factor.order[j]
			v := &slab[j][lane]
			code, w := r.layout.nearest(*v, float64(r.low[at]), float64(r.step[at]))
			r.codes[at] = code
			*v = float64((*v - w) * inverse)
		}
	}
}

// store writes the codes of the weights that m stores into its blocks.
func (r *rounding) store(m *kernels.Matrix, pruned []bool) {
	weights, size := m.Format.BlockWeights(), m.Format.BlockBytes()
	data := m.Data
	block, kept := make([]byte, weights), make([]byte, 0, m.Cols)
	for row := range m.Rows {
		kept = kept[:0]
		for i := row * m.Cols; i < (row+1)*m.Cols; i++ {
			if pruned == nil || !pruned[i] {
				kept = append(kept, r.codes[i])
			}
		}
		for codes := kept; len(codes) > 0; data = data[size:] {
			r.layout.get(block, data) // what fills up the last block of a row stays
			codes = codes[copy(block, codes):]
			r.layout.put(data, block)
		}
	}
}

// blockRounding is a rounding whose grids follow the weights: those of a block are chosen when its turn comes.
type blockRounding struct {
	*rounding
	matrix *kernels.Matrix
}

// begin chooses the scales of one block of each row.
func (r *blockRounding) begin(from, to int) {
	f := r.matrix.Format
	limit := float64(MaxMagnitude(f))
	weights := make([]float32, to-from)
	stride := f.RowBytes(r.sheet.cols)
	for row := range r.sheet.rows {
		slab, lane := r.sheet.slabs[row/lanes], row%lanes
		for i := range weights {
			// What a weight has to make up for may take it beyond what scales of 16 bits hold.
			weights[i] = float32(min(max(slab[from+i][lane], -limit), limit))
		}
		block := r.matrix.Data[row*stride+f.RowBytes(from):][:f.BlockBytes()]
		EncodeBlocks(block, f, weights, r.factor.importance[from:to])
		at := row * r.sheet.cols
		r.layout.grid(r.low[at+from:at+to], r.step[at+from:at+to], block)
	}
}

// spreadGrid reads the grids of a sparse matrix; a weight that is pruned has nothing but zero on its own.
func (r *rounding) spreadGrid(m *kernels.Matrix, pruned []bool) {
	weights := int(m.RowStart[m.Rows]) * m.Format.BlockWeights()
	low, step := make([]float32, weights), make([]float32, weights)
	r.layout.grid(low, step, m.Data)
	for row := range m.Rows {
		next := int(m.RowStart[row]) * m.Format.BlockWeights()
		for i := row * m.Cols; i < (row+1)*m.Cols; i++ {
			if !pruned[i] {
				r.low[i], r.step[i] = low[next], step[next]
				next++
			}
		}
	}
}

package compress

import "github.com/finch-llm/finch/kernels"

// sparseGPT prunes one input after the other, and moves the weights that come later to where they make up for the errors best
// (Frantar and Alistarh, arXiv 2301.00774). What it prunes of each block of 128 inputs is chosen when their turn comes: the
// weights, as they have become by then, whose pruning adds least to the outputs' error. Its levels are named as those of
// magnitude: "sparsegpt-0.60", "sparsegpt-2:4".
//
// In "sparsegpt-0.50+q4_0" the errors of rounding are made up for as well. Where the blocks of kept weights lie, and so their
// scales, depends on all that is pruned: it prunes without rounding first, fits the scales to what remains, and goes over the original
// weights once more, pruning and rounding together.
type sparseGPT struct{}

// sparseGPTBlock is the number of inputs whose weights compete for being kept.
const sparseGPTBlock = 128

func (sparseGPT) Name() string { return "sparsegpt" }
func (sparseGPT) Version() int { return 1 }

func (sparseGPT) Needs(Level) Needs { return NeedsHessian }

func (sparseGPT) Levels() []string { return prunedLevels("sparsegpt") }

func (c sparseGPT) Parse(name string) (Level, bool, error) {
	return parsePruned(c, "sparsegpt", name)
}

func (sparseGPT) Compress(layer Layer, level Level) (*kernels.Matrix, error) {
	s, err := newSelection(layer, level)
	if err != nil {
		return nil, err
	}
	f, err := layer.Statistics.factorInOrder()
	if err != nil {
		return nil, err
	}
	format := level.Format(layer.Cols)
	p := &pruner{selection: s, factor: f, sheet: f.sheet(layer), limit: float64(MaxMagnitude(format)), kept: make([]float32, len(layer.Weights))}
	block := sparseGPTBlock
	if s.of > 0 {
		block = s.of
	}
	f.sweep(p.sheet, block, p)
	m := s.matrix(format, p.kept, f.importance)
	layout, ok := codeLayoutOf(format)
	if !ok { // f32, f16, bf16: too fine for their errors to matter
		return m, nil
	}
	r := newRounding(f, layer, layout)
	r.spreadGrid(m, s.pruned)
	f.sweep(r.sheet, 1, r)
	r.store(m, s.pruned)
	return m, nil
}

// pruner fixes the weights that it prunes at zero and the others where they are.
type pruner struct {
	*selection
	factor *factor
	sheet  *sheet
	limit  float64   // largest |weight| of the format
	kept   []float32 // what the weights have become [rows, cols]
}

// begin chooses what to prune of a block.
func (p *pruner) begin(from, to int) {
	width := to - from
	scores, pruned := make([]float32, p.rows*width), make([]bool, p.rows*width)
	for i := range scores {
		row, j := i/width, from+i%width
		scores[i] = float32(p.sheet.slabs[row/lanes][j][row%lanes] / p.factor.diagonal(j))
	}
	if p.of > 0 {
		prunePattern(pruned, scores, p.keep, p.of)
	} else {
		pruneSmallest(pruned, scores, p.share(from, to, p.cols))
	}
	for row := range p.rows {
		copy(p.pruned[row*p.cols+from:], pruned[row*width:(row+1)*width])
	}
}

func (p *pruner) fix(j int) {
	inverse := 1 / p.factor.diagonal(j)
	for i, slab := range p.sheet.slabs {
		for lane := range p.sheet.lanesOf(i) {
			at := (i*lanes+lane)*p.cols + j
			v := &slab[j][lane]
			if p.pruned[at] {
				*v = float64(*v * inverse)
			} else {
				p.kept[at] = float32(min(max(*v, -p.limit), p.limit))
				*v = 0
			}
		}
	}
}

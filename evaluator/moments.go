package evaluator

import (
	"fmt"
	"math"

	"github.com/finch-llm/finch/compress"
	"github.com/finch-llm/finch/kernels"
	"github.com/finch-llm/finch/model"
)

// moments are those of the inputs of one block: nil where nothing is wanted, or where another kind has the same input.
type moments [model.NumKinds]*moment

// moment sums the products of the columns of one input with each other, over the units of one wave after the other.
type moment struct {
	cols     int
	rows     int       // inputs that were seen: one for each token, or more where each uses several experts
	squares  []float64 // [cols]
	products []float64 // [cols, cols], of which each strip has its rows up to the diagonal; nil: squares are enough
	wave     []part    // one for each unit
}

// part is what a unit adds.
type part struct {
	tokens  int
	columns []float32 // [cols, tokens]
	squares []float64 // [cols]
}

// newMoments makes room for what is wanted of a block.
func (g *gathering) newMoments(block int) *moments {
	var all moments
	for _, k := range g.engine.model.Kinds() {
		needs := g.Needs(block, k)
		if needs == compress.NeedsNothing {
			continue
		}
		in := k.Input()
		if all[in] == nil {
			_, cols := g.engine.model.Shape(k)
			all[in] = &moment{cols: cols, squares: make([]float64, cols)}
		}
		if m := all[in]; needs == compress.NeedsHessian && m.products == nil {
			m.products = make([]float64, m.cols*m.cols)
		}
	}
	return &all
}

// begin makes room for a wave of so many units, no more than the first wave.
func (all *moments) begin(units int) {
	for _, m := range all {
		if m == nil {
			continue
		}
		if m.wave == nil {
			m.wave = make([]part, units)
		}
		m.wave = m.wave[:units]
	}
}

// see takes the inputs [tokens, cols] of a unit of the wave.
func (all *moments) see(unit int, k model.Kind, inputs []float32) {
	m := all[k]
	if m == nil {
		return
	}
	p := &m.wave[unit]
	p.tokens = len(inputs) / m.cols
	p.squares = make([]float64, m.cols)
	for t := range p.tokens {
		for c, x := range inputs[t*m.cols : (t+1)*m.cols] {
			p.squares[c] += float64(float64(x) * float64(x))
		}
	}
	if m.products == nil {
		return
	}
	if cap(p.columns) < len(inputs) {
		p.columns = make([]float32, len(inputs))
	}
	p.columns = p.columns[:len(inputs)]
	transpose(p.columns, inputs, p.tokens, m.cols)
}

// transpose makes dst [cols, rows] of src [rows, cols], a square at a time, which stays in the first-level cache.
func transpose(dst, src []float32, rows, cols int) {
	const side = 16
	for r := 0; r < rows; r += side {
		for c := 0; c < cols; c += side {
			for i := r; i < min(r+side, rows); i++ {
				for j := c; j < min(c+side, cols); j++ {
					dst[j*rows+i] = src[i*cols+j]
				}
			}
		}
	}
}

// stripColumns is enough to pay for packing the other columns, and few enough that all workers have some.
const stripColumns = 192

// strip is some columns of a moment, to be multiplied with those before them and themselves.
type strip struct {
	*moment
	first, end int
}

// strips adds the squares of a wave and lists what is left to be added, the longest first.
func (all *moments) strips() []strip {
	var list []strip
	for _, m := range all {
		if m == nil {
			continue
		}
		for i := range m.wave {
			m.rows += m.wave[i].tokens
			for c, v := range m.wave[i].squares {
				m.squares[c] += v
			}
		}
		if m.products == nil {
			continue
		}
		for first := (m.cols - 1) / stripColumns * stripColumns; first >= 0; first -= stripColumns {
			list = append(list, strip{m, first, min(first+stripColumns, m.cols)})
		}
	}
	return list
}

// add adds the products of a wave, unit by unit.
func (s strip) add(w *kernels.Worker, b *pool) {
	rows := s.end - s.first
	sums := b.get(rows * s.end)
	defer b.put(sums)
	for i := range s.wave {
		p := &s.wave[i]
		before := &kernels.Matrix{Format: kernels.F32, Rows: s.end, Cols: p.tokens, Data: bytesOf(p.columns[:s.end*p.tokens])}
		w.MatMul(sums, p.columns[s.first*p.tokens:s.end*p.tokens], rows, before)
		for r := range rows {
			into := s.products[(s.first+r)*s.cols:]
			for c, v := range sums[r*s.end : (r+1)*s.end] {
				into[c] += float64(v)
			}
		}
	}
}

// statistics are the means over all inputs, for each layer of the block of which something is to be known.
func (g *gathering) statistics(block int, all *moments) (*[model.NumKinds]*compress.Statistics, error) {
	var means, of [model.NumKinds]*compress.Statistics
	for _, k := range g.engine.model.Kinds() {
		if g.Needs(block, k) == compress.NeedsNothing {
			continue
		}
		in := k.Input()
		if means[in] == nil {
			var err error
			if means[in], err = all[in].mean(); err != nil {
				return nil, fmt.Errorf("statistics of %s: %w", model.LayerName(block, k), err)
			}
		}
		of[k] = means[in]
	}
	return &of, nil
}

// mean divides by the number of inputs. The moment is used up.
func (m *moment) mean() (*compress.Statistics, error) {
	n := float64(m.rows)
	for c := range m.squares {
		m.squares[c] /= n
		if math.IsNaN(m.squares[c]) || math.IsInf(m.squares[c], 0) {
			return nil, fmt.Errorf("input %d is not finite on the calibration text: the model file is damaged, or a level before it is too coarse", c)
		}
	}
	s := &compress.Statistics{Tokens: m.rows, Squares: m.squares, Hessian: m.products}
	if s.Hessian == nil {
		return s, nil
	}
	for r := range m.cols {
		s.Hessian[r*m.cols+r] = s.Squares[r] // the same to all levels, and more exact
		for c := range r {
			v := s.Hessian[r*m.cols+c] / n
			s.Hessian[r*m.cols+c], s.Hessian[c*m.cols+r] = v, v
		}
	}
	return s, nil
}

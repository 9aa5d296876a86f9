package evaluator

import (
	"context"
	"math"
)

// Influence is how much each block changes the residual stream, 1 − cos(h_in, h_out) averaged over the tokens of a slice:
// ShortGPT's block influence (arXiv 2403.03853, equation 1).
func (e *Engine) Influence(ctx context.Context, slice Slice) ([]float64, error) {
	return e.perBlock(ctx, slice, func(before, after []float32) float64 { return 1 - cosine(before, after) })
}

// Change is ‖h_out − h_in‖ / ‖h_out‖ of each block, averaged over the tokens of a slice: how weight subcloning ranks blocks
// (arXiv 2312.09299).
func (e *Engine) Change(ctx context.Context, slice Slice) ([]float64, error) {
	return e.perBlock(ctx, slice, func(before, after []float32) float64 {
		var difference, squares float64
		for i := range after {
			d, x := float64(after[i])-float64(before[i]), float64(after[i])
			difference += d * d
			squares += x * x
		}
		return math.Sqrt(difference / squares)
	})
}

// Distances are the angles between the residual stream at the boundaries of blocks, arccos(cos(h_a, h_b))/π at the last token,
// averaged over the sequences of a slice [blocks+1, blocks+1]; boundary b is the way into block b (arXiv 2403.17887).
func (e *Engine) Distances(ctx context.Context, slice Slice) ([][]float64, error) {
	blocks, width := e.model.Blocks, e.model.Hidden
	last := make([][][]float32, len(slice.Sequences)) // [sequences, boundaries, width]
	err := e.through(ctx, slice, func(i, b int, before, after []float32) {
		if b == 0 {
			last[i] = append(last[i], append([]float32(nil), before[len(before)-width:]...))
		}
		last[i] = append(last[i], append([]float32(nil), after[len(after)-width:]...))
	})
	if err != nil {
		return nil, err
	}
	distances := make([][]float64, blocks+1)
	for a := range distances {
		distances[a] = make([]float64, blocks+1)
		for b := range distances[a] {
			for i := range last {
				distances[a][b] += math.Acos(max(-1, min(1, cosine(last[i][a], last[i][b])))) / math.Pi
			}
			distances[a][b] /= float64(len(last))
		}
	}
	return distances, nil
}

// perBlock averages what a block does to a token, of which it is given the residual stream before and after.
func (e *Engine) perBlock(ctx context.Context, slice Slice, of func(before, after []float32) float64) ([]float64, error) {
	blocks, width := e.model.Blocks, e.model.Hidden
	sums := make([][]float64, len(slice.Sequences)) // [sequences, blocks]
	for i := range sums {
		sums[i] = make([]float64, blocks)
	}
	err := e.through(ctx, slice, func(i, b int, before, after []float32) {
		for t := 0; t < len(after); t += width {
			sums[i][b] += of(before[t:t+width], after[t:t+width])
		}
	})
	if err != nil {
		return nil, err
	}
	mean := make([]float64, blocks)
	for b := range mean {
		for i := range sums {
			mean[b] += sums[i][b]
		}
		mean[b] /= float64(len(slice.Sequences) * slice.Corpus.Sequence)
	}
	return mean, nil
}

// through runs the sequences of a slice through the dense model and shows visit the residual stream before and after each block
// [tokens, hidden], in order within a sequence and several sequences at once.
func (e *Engine) through(ctx context.Context, slice Slice, visit func(sequence, block int, before, after []float32)) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	width := e.model.Hidden
	return e.each(ctx, "influence", len(slice.Sequences), func(w *worker, i int) error {
		ids := slice.Corpus.ids(slice.Sequences[i])
		x := make([]float32, len(ids)*width)
		if err := w.runner.Embed(x, ids, len(ids)); err != nil {
			return err
		}
		before := make([]float32, len(x))
		for b := range e.model.Network.Blocks {
			copy(before, x)
			w.runner.Block(x, &e.model.Network.Blocks[b], len(ids))
			visit(i, b, before, x)
		}
		return nil
	})
}

func cosine(a, b []float32) float64 {
	var ab, aa, bb float64
	for i := range a {
		x, y := float64(a[i]), float64(b[i])
		ab += x * y
		aa += x * x
		bb += y * y
	}
	return ab / math.Sqrt(aa*bb)
}

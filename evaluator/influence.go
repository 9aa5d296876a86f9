package evaluator

import (
	"context"
	"math"
)

// Influence is how much each block changes the residual stream, 1 − cos(h_in, h_out) averaged over the tokens of a slice:
// ShortGPT's block influence (arXiv 2403.03853, equation 1).
func (e *Engine) Influence(ctx context.Context, slice Slice) ([]float64, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	blocks, width := e.model.Blocks, e.model.Hidden
	sums := make([][]float64, len(slice.Sequences)) // [sequences, blocks]
	err := e.each(ctx, "influence", len(slice.Sequences), func(w *worker, i int) error {
		ids := slice.Corpus.ids(slice.Sequences[i])
		sums[i] = make([]float64, blocks)
		x := make([]float32, len(ids)*width)
		if err := w.runner.Embed(x, ids, len(ids)); err != nil {
			return err
		}
		before := make([]float32, len(x))
		for b := range e.model.Network.Blocks {
			copy(before, x)
			w.runner.Block(x, &e.model.Network.Blocks[b], len(ids))
			for t := 0; t < len(x); t += width {
				sums[i][b] += 1 - cosine(before[t:t+width], x[t:t+width])
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	influence := make([]float64, blocks)
	for b := range influence {
		for i := range sums {
			influence[b] += sums[i][b]
		}
		influence[b] /= float64(len(slice.Sequences) * slice.Corpus.Sequence)
	}
	return influence, nil
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

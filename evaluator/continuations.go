package evaluator

import (
	"cmp"
	"context"
	"slices"

	"github.com/finch-llm/finch/kernels"
	"github.com/finch-llm/finch/model"
)

// Continuation is a text whose end is predicted: Tokens[From:] from what comes before, 0 < From < len(Tokens).
type Continuation struct {
	Tokens []int32
	From   int
}

// Likelihood is what a network finds of a continuation.
type Likelihood struct {
	Log    float64 // Σ log p of its tokens, in nats
	Greedy bool    // each of its tokens is the likeliest one
}

// Continuations scores each text's end. Texts of similar length are run together, the shorter ones filled up at their end, which
// no token before it sees.
func (e *Engine) Continuations(ctx context.Context, network *model.Network, list []Continuation) ([]Likelihood, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	found := make([]Likelihood, len(list))
	if len(list) == 0 {
		return found, nil
	}
	order, tokens := make([]int, len(list)), 0
	for i := range order {
		order[i] = i
		tokens += len(list[i].Tokens)
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(len(list[b].Tokens), len(list[a].Tokens)) })
	p := &pass{
		engine: e, runner: func(w *worker) *model.Runner { return w.runner }, hidden: e.model.Hidden,
		tree: newTree([]*model.Network{network}, true), group: 1,
		text: func(i int) []int32 { return list[i].Tokens[:len(list[i].Tokens)-1] }, // nothing follows the last token
	}
	limit := e.unitTokens(p, tokens)
	for first := 0; first < len(order); {
		length := len(list[order[first]].Tokens) - 1
		n := min(max(1, limit/length), len(order)-first)
		p.units = append(p.units, unit{order[first : first+n], first, length})
		first += n
	}
	p.finish = func(w *worker, u *unit, done []arrival) error {
		e.ends(w, u, done[0].x, list, found)
		return nil
	}
	return found, e.execute(ctx, p)
}

// ends scores the continuations of a unit from its residual streams x [sequences, length, hidden].
func (e *Engine) ends(w *worker, u *unit, x []float32, list []Continuation, found []Likelihood) {
	width, positions := e.model.Hidden, 0
	w.next = w.next[:0]
	for i, s := range u.sequences {
		c := &list[s]
		at := (i*u.length + c.From - 1) * width // the state that predicts the first token
		n := len(c.Tokens) - c.From
		copy(x[positions*width:], x[at:at+n*width]) // what is scored moves to the front
		w.next = append(w.next, c.Tokens[c.From:]...)
		positions += n
	}
	w.runner.Norm(x[:positions*width])
	if len(w.scores[0]) < positions {
		w.scores[0] = make([]kernels.TokenScore, positions)
	}
	scores := w.scores[0][:positions]
	in := e.scoreInput(w.next)
	in.Hidden = [][]float32{x[:positions*width]}
	w.runner.Worker().Score([][]kernels.TokenScore{scores}, in)
	for _, s := range u.sequences {
		c := &list[s]
		found[s].Greedy = true
		for _, target := range c.Tokens[c.From:] {
			found[s].Log -= scores[0].NLL
			found[s].Greedy = found[s].Greedy && scores[0].Top == target
			scores = scores[1:]
		}
	}
}

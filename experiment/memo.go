package experiment

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"runtime"

	"github.com/finch-llm/finch/evaluator"
	"github.com/finch-llm/finch/model"
	"github.com/finch-llm/finch/search"
	"github.com/finch-llm/finch/store"
)

// scoreKey is the hash of all that decides a score: how it is computed, the model, the slice, and of every layer the level
// it is stored at. Layers that are as the model has them have no key of their own, and dropped ones count by being dropped.
func (r *run) scoreKey(n *model.Network, slice string) string {
	h := sha256.New()
	fmt.Fprintf(h, "%d %s %s %s %d %s %s\n",
		evaluator.Version, runtime.GOARCH, r.engine.Path(), r.Config.Search.Fitness, r.topK(), r.Model.Hash, slice)
	if r.Model.Scaling.Stretches(max(r.Calibration.Sequence, r.Evaluation.Sequence)) {
		fmt.Fprintln(h, "stretched")
	}
	for b := range n.Blocks {
		block := &n.Blocks[b]
		for _, k := range r.Model.Kinds() {
			if block.Drops(k) {
				fmt.Fprintln(h, "dropped")
			} else {
				fmt.Fprintln(h, r.keys[block.Layers[k]])
			}
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// score scores the feasible candidates of a batch. What the memo knows is not computed, nor is one network twice.
func (r *run) score(ctx context.Context, b *search.Batch, slice evaluator.Slice) ([]store.Score, error) {
	var ids []int64
	var keys []string
	var networks []*model.Network
	hash := slice.Hash()
	for _, c := range b.Candidates {
		if r.infeasible[c.ID] {
			continue
		}
		n := r.Network(c.Genome)
		ids, keys, networks = append(ids, int64(c.ID+1)), append(keys, r.scoreKey(n, hash)), append(networks, n)
	}
	known := map[string]store.Score{}
	if !r.NoMemo {
		var err error
		if known, err = r.DB.Memo(ctx, keys); err != nil {
			return nil, err
		}
	}
	var missing []int // places in ids, keys and networks
	asked := map[string]bool{}
	for i, key := range keys {
		if _, ok := known[key]; r.NoMemo || !ok && !asked[key] {
			asked[key] = true
			missing = append(missing, i)
		}
	}
	computed, err := r.compute(ctx, b, networks, missing, slice)
	if err != nil {
		return nil, err
	}
	scores := make([]store.Score, len(ids))
	for k, i := range missing {
		scores[i] = computed[k]
		scores[i].Key = keys[i]
		again := scores[i]
		again.Seconds, again.Memo = 0, true
		known[keys[i]] = again
	}
	for i, key := range keys {
		if scores[i].Key == "" {
			scores[i] = known[key]
		}
		scores[i].Candidate = ids[i]
		if scores[i].Fault != "" {
			scores[i].Key = "" // another run may have better luck
		}
	}
	return scores, nil
}

// compute runs some of the networks of a batch over its slice.
func (r *run) compute(ctx context.Context, b *search.Batch, networks []*model.Network, which []int, slice evaluator.Slice) ([]store.Score, error) {
	if len(which) == 0 {
		return nil, nil // the engine would compute the dense model's side of it
	}
	chosen := make([]*model.Network, len(which))
	for k, i := range which {
		chosen[k] = networks[i]
	}
	computed, err := r.outcomes(ctx, b, chosen, slice)
	if err != nil {
		return nil, err
	}
	scores := make([]store.Score, len(computed))
	for k := range computed {
		s := &computed[k]
		scores[k] = store.Score{
			Fitness: r.fitness(&s.Score), KL: s.MeanKL(), PPL: s.Perplexity(),
			Tokens: int64(slice.Tokens), Seconds: s.Time.Seconds(), KernelPath: r.engine.Path(), Fault: s.fault,
		}
	}
	return scores, nil
}

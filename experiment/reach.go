package experiment

import (
	"context"
	"fmt"
	"slices"

	"github.com/finch-llm/finch/store"
)

// Reach is the first generation of a run after which its best candidate had at most this KL on held-out text; false if none had. Only
// what it needs is scored: the candidates in the order in which they became the best.
func (s *Session) Reach(ctx context.Context, r *store.Run, kl float64) (generation int64, ok bool, err error) {
	all, err := s.archive(ctx, r.ID)
	if err != nil {
		return 0, false, err
	}
	t, err := s.restore(r)
	if err != nil {
		return 0, false, err
	}
	course, err := s.DB.Query(ctx, "SELECT generation, best_candidate FROM generations WHERE run_id = :run ORDER BY generation", map[string]any{"run": r.ID})
	if err != nil {
		return 0, false, err
	}
	last := int64(0)
	for _, row := range course.Rows {
		generation, id := row[0].(int64), row[1].(int64)
		if id == last {
			continue
		}
		last = id
		at := slices.IndexFunc(all, func(c scored) bool { return c.ID == id })
		if at < 0 {
			return 0, false, fmt.Errorf("run %d: its best candidate %d has no score: finch check says what is wrong with the database", r.ID, id)
		}
		candidates, err := s.heldOut(ctx, t, r, all[at:at+1])
		if err != nil {
			return 0, false, err
		}
		if candidates[0].score.MeanKL() <= kl {
			return generation, true, nil
		}
	}
	return 0, false, nil
}

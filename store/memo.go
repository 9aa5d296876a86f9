package store

import (
	"context"
	"database/sql"
	"encoding/json"
)

// Memo finds scores by their keys among all that were ever computed here: those of runs that go on, failed or were set
// aside, and those that failed, since they would fail again. Keys that are not in the map have no score yet.
func (db *DB) Memo(ctx context.Context, keys []string) (map[string]Score, error) {
	list, err := json.Marshal(keys)
	if err != nil {
		return nil, err
	}
	known := map[string]Score{}
	err = db.snapshot(ctx, "look up scores", func(tx *sql.Tx) error {
		return each(ctx, tx, func(row *sql.Rows) error {
			s := Score{Memo: true}
			err := row.Scan(&s.Key, float{&s.Fitness}, float{&s.KL}, float{&s.PPL}, &s.Tokens, &s.KernelPath)
			known[s.Key] = s
			return err
		}, memoQuery, string(list))
	})
	return known, err
}

// memoQuery looks each key up in the index: ?1 is a JSON list of them.
const memoQuery = `SELECT s.key, s.fitness, s.kl, s.ppl, s.tokens, s.kernel_path
	FROM json_each(?1) wanted CROSS JOIN scores s ON s.key = wanted.value AND s.memo = 0
	ORDER BY s.run_id, s.slice, s.candidate`

package store

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/finch-llm/finch/internal/failpoint"
)

// Attempt notes that a process begins to score a batch, and returns how many began it before and ended in no order, as those do
// that the system kills when memory is short. A run that stops in order forgets about them.
func (db *DB) Attempt(ctx context.Context, run int64, generation, stage int) (killed int, err error) {
	what := fmt.Sprintf("begin run %d generation %d stage %d", run, generation, stage)
	err = db.update(ctx, failpoint.Attempt, what, func(tx *sql.Tx) error {
		if err := requireRunning(ctx, tx, run); err != nil {
			return err
		}
		return tx.QueryRowContext(ctx, `
			INSERT INTO attempts VALUES (?, ?, ?, 1)
			ON CONFLICT DO UPDATE SET generation = excluded.generation, stage = excluded.stage,
			    times = CASE WHEN generation = excluded.generation AND stage = excluded.stage THEN times + 1 ELSE 1 END
			RETURNING times - 1`, run, generation, stage).Scan(&killed)
	})
	return killed, err
}

package store

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/finch-llm/finch/internal/failpoint"
)

// ExtendRun takes up a run, finished or not, under settings that ask for more of the same search. Its batches and
// generations stay, and their chain is made anew from the new settings, as it would be had the run been begun with them.
// Its held-out results go, because they are those of an earlier winner: an event keeps what they said.
func (db *DB) ExtendRun(ctx context.Context, run int64, config, configHash string) error {
	return db.update(ctx, failpoint.Extend, fmt.Sprintf("extend run %d", run), func(tx *sql.Tx) error {
		// What was changed behind finch's back must not get a sound chain.
		broken, err := checkChain(ctx, tx, run)
		if err != nil {
			return err
		}
		if len(broken) > 0 {
			return fmt.Errorf("%w: %v", ErrDamaged, broken[0])
		}
		if _, err := tx.ExecContext(ctx, `
			INSERT INTO events (run_id, at, kind, message)
			SELECT r.id, ?2, 'extended', 'was ' || r.status || ' with settings ' || r.config_hash || coalesce(
			    (SELECT '; candidate ' || candidate || ' had won with a KL of ' || kl || ' and a perplexity of ' || ppl
			     FROM results WHERE run_id = r.id AND role = 'winner'), '')
			FROM runs r WHERE r.id = ?1`, run, db.now()); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM results WHERE run_id = ?", run); err != nil {
			return err
		}
		err = updateRun(ctx, tx, run, `
			UPDATE runs SET config = ?, config_hash = ?, status = 'running', error = '', finished_at = NULL, seal = ''
			WHERE id = ? AND superseded = 0`, config, configHash, run)
		if err != nil {
			return err
		}
		return chainAnew(ctx, tx, run)
	})
}

// chainAnew hashes every closed generation again.
func chainAnew(ctx context.Context, tx *sql.Tx, run int64) error {
	closed, err := readGenerations(ctx, tx, run)
	if err != nil {
		return err
	}
	previous, err := chainRoot(ctx, tx, run)
	if err != nil {
		return err
	}
	for _, g := range closed {
		if previous, err = chainLink(ctx, tx, run, g.Generation, previous); err != nil {
			return err
		}
		if err := putChain(ctx, tx, run, g.Generation, previous); err != nil {
			return err
		}
	}
	return nil
}

func putChain(ctx context.Context, tx *sql.Tx, run int64, generation int, chain string) error {
	_, err := tx.ExecContext(ctx, "UPDATE generations SET chain = ? WHERE run_id = ? AND generation = ?", chain, run, generation)
	return err
}

package store

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/finch-llm/finch/internal/failpoint"
)

// CloseGeneration closes the generation that follows the last closed one (the first is 0), and returns it with its counts
// and its chain. No batch can be added to it afterwards. Closing it again the same way changes nothing; with another best
// candidate or fitness it is ErrConflict.
func (db *DB) CloseGeneration(ctx context.Context, run int64, g Generation) (Generation, error) {
	err := db.update(ctx, failpoint.Generation, fmt.Sprintf("close run %d generation %d", run, g.Generation), func(tx *sql.Tx) error {
		closed, err := readGenerations(ctx, tx, run)
		if err != nil {
			return err
		}
		if g.Generation >= 0 && g.Generation < len(closed) {
			was := closed[g.Generation]
			if was.BestCandidate != g.BestCandidate || !sameFloat(was.BestFitness, g.BestFitness) {
				return fmt.Errorf("%w: best candidate %d with fitness %v was recorded, now %d with %v; start anew with --fresh",
					ErrConflict, was.BestCandidate, was.BestFitness, g.BestCandidate, g.BestFitness)
			}
			g = was
			return nil
		}
		if g.Generation != len(closed) {
			return fmt.Errorf("%w: generation %d comes next", ErrInvalid, len(closed))
		}
		if err := requireRunning(ctx, tx, run); err != nil {
			return err
		}
		return insertGeneration(ctx, tx, run, &g, closed)
	})
	return g, err
}

func insertGeneration(ctx context.Context, tx *sql.Tx, run int64, g *Generation, closed []Generation) error {
	err := tx.QueryRowContext(ctx, `
		SELECT (SELECT count(*) FROM candidates WHERE run_id = ?1 AND generation = ?2), count(*), coalesce(sum(s.tokens), 0)
		FROM slices l JOIN scores s ON s.run_id = l.run_id AND s.slice = l.id
		WHERE l.run_id = ?1 AND l.generation = ?2`, run, g.Generation).Scan(&g.Candidates, &g.Evaluations, &g.Tokens)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, "INSERT INTO generations VALUES (?, ?, ?, ?, ?, ?, ?, '', ?)", run, g.Generation,
		g.Candidates, g.Evaluations, ref(g.BestCandidate), number(g.BestFitness), g.Tokens, g.Seconds)
	if err != nil {
		return err
	}
	var previous string
	if len(closed) > 0 {
		previous = closed[len(closed)-1].Chain
	} else if previous, err = chainRoot(ctx, tx, run); err != nil {
		return err
	}
	// Hashed from the rows just written, as Check will read them.
	if g.Chain, err = chainLink(ctx, tx, run, g.Generation, previous); err != nil {
		return err
	}
	return putChain(ctx, tx, run, g.Generation, g.Chain)
}

// Generations lists the closed generations of a run.
func (db *DB) Generations(ctx context.Context, run int64) (closed []Generation, err error) {
	err = db.snapshot(ctx, fmt.Sprintf("read the generations of run %d", run), func(tx *sql.Tx) error {
		closed, err = readGenerations(ctx, tx, run)
		return err
	})
	return closed, err
}

func readGenerations(ctx context.Context, tx *sql.Tx, run int64) (closed []Generation, err error) {
	err = each(ctx, tx, func(row *sql.Rows) error {
		var g Generation
		var best sql.NullInt64
		err := row.Scan(&g.Generation, &g.Candidates, &g.Evaluations, &best, float{&g.BestFitness}, &g.Tokens, &g.Chain,
			&g.Seconds)
		g.BestCandidate = best.Int64
		closed = append(closed, g)
		return err
	}, `SELECT generation, candidates, evaluations, best_candidate, best_fitness, tokens, chain, seconds
		FROM generations WHERE run_id = ? ORDER BY generation`, run)
	return closed, err
}

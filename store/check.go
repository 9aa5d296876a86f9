package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// Problem is something in the database that should not be so.
type Problem struct {
	Check   string // the rule that is broken
	Run     int64  // 0: the whole file
	Message string
}

func (p Problem) String() string {
	if p.Run == 0 {
		return fmt.Sprintf("%s: %s", p.Check, p.Message)
	}
	return fmt.Sprintf("run %d: %s: %s", p.Run, p.Check, p.Message)
}

// invariants are queries for what must not exist: a run id and a message per violation. CHECK constraints and foreign keys
// keep finch from writing most of these; other tools can switch them off.
var invariants = []struct{ name, query string }{
	{"status", `
		SELECT id, 'status is ' || status FROM runs WHERE status NOT IN ('running', 'interrupted', 'finished', 'failed')
		UNION ALL
		SELECT run_id, 'candidate ' || id || ' has status ' || status FROM candidates
		WHERE status NOT IN ('scored', 'failed', 'infeasible')`},
	{"winner", `
		SELECT id, 'finished with ' || (SELECT count(*) FROM results WHERE run_id = r.id AND role = 'winner') || ' winners'
		FROM runs r
		WHERE status = 'finished' AND (SELECT count(*) FROM results WHERE run_id = r.id AND role = 'winner') <> 1`},
	{"candidate ids", `
		SELECT run_id, count(*) || ' candidates, numbered ' || min(id) || ' to ' || max(id) FROM candidates
		GROUP BY run_id HAVING min(id) <> 1 OR max(id) <> count(*)`},
	{"parent", `
		SELECT c.run_id, 'candidate ' || c.id || ' has parent ' || c.parent || CASE
		    WHEN p.id IS NULL THEN ', which does not exist' ELSE ', which comes later' END
		FROM candidates c LEFT JOIN candidates p ON p.run_id = c.run_id AND p.id = c.parent
		WHERE c.parent IS NOT NULL AND (p.id IS NULL OR p.id >= c.id OR p.generation > c.generation)`},
	{"genome", `
		SELECT c.run_id, 'candidate ' || c.id || ' has ' || length(c.genome) || ' digits for ' || s.sites || ' sites'
		FROM (SELECT run_id, count(*) AS sites FROM sites GROUP BY run_id) s JOIN candidates c ON c.run_id = s.run_id
		WHERE length(c.genome) <> 2 * s.sites`},
	{"score", `
		SELECT s.run_id, 'candidate ' || s.candidate || ' has a score without a slice (' || s.slice || ')'
		FROM scores s LEFT JOIN slices l ON l.run_id = s.run_id AND l.id = s.slice WHERE l.id IS NULL
		UNION ALL
		SELECT s.run_id, 'slice ' || s.slice || ' has a score without a candidate (' || s.candidate || ')'
		FROM scores s LEFT JOIN candidates c ON c.run_id = s.run_id AND c.id = s.candidate WHERE c.id IS NULL`},
	{"infeasible", `
		SELECT DISTINCT c.run_id, 'candidate ' || c.id || ' is infeasible and was scored'
		FROM scores s CROSS JOIN candidates c ON c.run_id = s.run_id AND c.id = s.candidate
		WHERE c.status = 'infeasible'`},
	{"budget", `
		SELECT g.run_id, 'candidate ' || c.id || ', the best of generation ' || g.generation || ', takes ' || c.file_bytes || ' bytes of ' || r.limit_bytes
		FROM runs r JOIN generations g ON g.run_id = r.id JOIN candidates c ON c.run_id = g.run_id AND c.id = g.best_candidate
		WHERE c.file_bytes > r.limit_bytes -- others may be measurements of single levels
		UNION ALL
		SELECT t.run_id, 'the ' || t.role || ' takes ' || t.file_bytes || ' bytes of ' || r.limit_bytes
		FROM runs r JOIN results t ON t.run_id = r.id
		WHERE t.file_bytes > r.limit_bytes AND t.role <> 'dense'`},
	{"kernel path", `
		SELECT s.run_id, count(*) || ' scores were computed with ' || s.kernel_path || ', the run states ' || r.kernel_path
		FROM runs r JOIN scores s ON s.run_id = r.id
		WHERE s.kernel_path <> r.kernel_path GROUP BY s.run_id, s.kernel_path`},
	{"memo", memoRule},
	// Sums of floats depend on their order and are left out.
	{"sums", `
		WITH counted AS (
		    SELECT l.run_id, l.generation, count(*) AS evaluations, sum(s.memo) AS memo_hits, sum(s.tokens) AS tokens, sum((1 - s.memo) * s.tokens) AS computed_tokens
		    FROM slices l CROSS JOIN scores s ON s.run_id = l.run_id AND s.slice = l.id GROUP BY l.run_id, l.generation
		),
		kept AS (SELECT run_id, generation, evaluations, memo_hits, tokens, computed_tokens FROM generation_costs)
		SELECT run_id, 'the sums kept of generation ' || generation || ' are not those of its scores'
		FROM (SELECT * FROM (SELECT * FROM counted EXCEPT SELECT * FROM kept) UNION SELECT * FROM (SELECT * FROM kept EXCEPT SELECT * FROM counted))
		GROUP BY run_id, generation`},
	{"sums", `
		WITH made AS (
		    SELECT run_id, operator, changes, count(*) AS candidates, count(*) FILTER (WHERE status = 'failed') AS failed,
		           count(*) FILTER (WHERE EXISTS (SELECT 1 FROM generations g WHERE g.run_id = m.run_id AND g.generation = m.generation AND g.best_candidate = m.candidate)) AS became_best
		    FROM mutations m GROUP BY run_id, operator, changes
		),
		compared AS (
		    SELECT run_id, operator, changes, count(*) AS comparisons, count(*) FILTER (WHERE change < 0) AS improved
		    FROM comparisons GROUP BY run_id, operator, changes
		),
		counted AS (
		    SELECT run_id, operator, changes, candidates, failed, became_best, coalesce(comparisons, 0) AS comparisons, coalesce(improved, 0) AS improved
		    FROM made LEFT JOIN compared USING (run_id, operator, changes)
		),
		kept AS (SELECT run_id, operator, changes, candidates, failed, became_best, comparisons, improved FROM operator_counts)
		SELECT run_id, 'the counts kept of ' || operator || ' at ' || changes || ' sites are not those of its candidates'
		FROM (SELECT * FROM (SELECT * FROM counted EXCEPT SELECT * FROM kept) UNION SELECT * FROM (SELECT * FROM kept EXCEPT SELECT * FROM counted))
		GROUP BY run_id, operator, changes`},
}

// memoRule finds scores that differ from another of the same key. Not those from the memo without the one that they were taken
// from: that one may have gone with its run.
const memoRule = `
		SELECT s.run_id, 'candidate ' || s.candidate || ' has another score on slice ' || s.slice || ' than candidate ' ||
		    o.candidate || ' of run ' || o.run_id || ' on its slice ' || o.slice || ', which has the same key'
		FROM scores s CROSS JOIN scores o ON o.key = s.key AND o.memo = 0
		WHERE s.fitness IS NOT o.fitness OR s.kl IS NOT o.kl OR s.ppl IS NOT o.ppl OR s.tokens <> o.tokens`

// Check looks for damage and broken rules: SQLite's own integrity and foreign keys, the invariants of the record, the chain
// of every run and the seal of every finished one. What it finds are problems, an error means that it could not look. It
// repairs nothing.
func (db *DB) Check(ctx context.Context) ([]Problem, error) {
	var problems []Problem
	steps := []struct {
		name string
		look func(context.Context, *sql.Tx) ([]Problem, error)
	}{
		{"integrity", checkIntegrity},
		{"foreign keys", checkForeignKeys},
		{"invariants", checkInvariants},
		{"chain", checkChains},
	}
	for _, step := range steps {
		err := db.snapshot(ctx, "check "+step.name, func(tx *sql.Tx) error {
			found, err := step.look(ctx, tx)
			problems = append(problems, found...)
			return err
		})
		if errors.Is(err, ErrDamaged) && ctx.Err() == nil {
			problems = append(problems, Problem{Check: step.name, Message: err.Error()})
			continue // the other steps may still tell more
		}
		if err != nil {
			return problems, err
		}
	}
	return problems, nil
}

func checkIntegrity(ctx context.Context, tx *sql.Tx) (found []Problem, err error) {
	err = each(ctx, tx, func(row *sql.Rows) error {
		var message string
		if err := row.Scan(&message); err != nil || message == "ok" {
			return err
		}
		found = append(found, Problem{Check: "integrity", Message: message})
		return nil
	}, "PRAGMA integrity_check")
	return found, err
}

func checkForeignKeys(ctx context.Context, tx *sql.Tx) (found []Problem, err error) {
	err = each(ctx, tx, func(row *sql.Rows) error {
		var table, parent string
		var rowid sql.NullInt64 // NULL: the table has none
		var key int
		if err := row.Scan(&table, &rowid, &parent, &key); err != nil {
			return err
		}
		found = append(found, Problem{Check: "foreign keys", Message: fmt.Sprintf("%s refers to a missing row of %s", table, parent)})
		return nil
	}, "PRAGMA foreign_key_check")
	return found, err
}

func checkInvariants(ctx context.Context, tx *sql.Tx) (found []Problem, err error) {
	for _, rule := range invariants {
		err := each(ctx, tx, func(row *sql.Rows) error {
			p := Problem{Check: rule.name}
			err := row.Scan(&p.Run, &p.Message)
			found = append(found, p)
			return err
		}, rule.query)
		if err != nil {
			return found, err
		}
	}
	return found, nil
}

func checkChains(ctx context.Context, tx *sql.Tx) (found []Problem, err error) {
	runs, err := runIDs(ctx, tx, "SELECT id FROM runs ORDER BY id")
	if err != nil {
		return nil, err
	}
	for _, run := range runs {
		broken, err := checkSealed(ctx, tx, run)
		found = append(found, broken...)
		if err != nil {
			return found, err
		}
	}
	return found, nil
}

// checkSealed checks the chain of a run and, if it is finished, its seal.
func checkSealed(ctx context.Context, tx *sql.Tx, run int64) (found []Problem, err error) {
	var status Status
	var seal string
	if err := tx.QueryRowContext(ctx, "SELECT status, seal FROM runs WHERE id = ?", run).Scan(&status, &seal); err != nil {
		return nil, err
	}
	found, err = checkChain(ctx, tx, run)
	if err != nil || status != Finished {
		return found, err
	}
	is, err := sealOf(ctx, tx, run)
	if err == nil && is != seal {
		found = append(found, Problem{"seal", run, "the results or the last generations have changed since the run finished"})
	}
	return found, err
}

// checkChain follows the stored links: each broken generation is reported by itself, not with all that come after it.
func checkChain(ctx context.Context, tx *sql.Tx, run int64) (found []Problem, err error) {
	closed, err := readGenerations(ctx, tx, run)
	if err != nil || len(closed) == 0 {
		return nil, err
	}
	previous, err := chainRoot(ctx, tx, run)
	if err != nil {
		return nil, err
	}
	for i, g := range closed {
		if g.Generation != i {
			return append(found, Problem{"chain", run, fmt.Sprintf("generation %d is missing", i)}), nil
		}
		link, err := chainLink(ctx, tx, run, g.Generation, previous)
		if err != nil {
			return found, err
		}
		if link != g.Chain {
			message := fmt.Sprintf("the rows of generation %d have changed since it was closed", g.Generation)
			if i == 0 {
				message += " (or those of the run, its sites or its levels)"
			}
			found = append(found, Problem{"chain", run, message})
		}
		previous = g.Chain
	}
	return found, nil
}

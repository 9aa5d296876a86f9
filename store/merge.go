package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"github.com/finch-llm/finch/internal/failpoint"
)

// runTables hold the rows of a run, each after those that it refers to. Sums over them are kept by triggers, and attempts are
// those of processes on this database.
var runTables = []string{"sites", "levels", "candidates", "slices", "scores", "faults", "generations", "results", "events", "artifacts"}

// Merge copies a run of another database, as it was last committed there, in one transaction, and returns its id here. A run
// that is here already, live or set aside, is left alone: new is false, and id is that run's. A live run takes the place of
// its experiment and seed: if another run has it, the error is ErrConflict with the first difference of the two.
//
// Nobody runs here what is running there: its copy is interrupted.
func (db *DB) Merge(ctx context.Context, from *DB, run int64) (id int64, new bool, err error) {
	err = from.snapshot(ctx, fmt.Sprintf("merge run %d of %s", run, from.path), func(source *sql.Tx) error {
		found, err := readRuns(ctx, source, "id = ?", run)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return fmt.Errorf("%w: `finch status` lists the runs", ErrNotFound)
		}
		return db.update(ctx, failpoint.Merge, "into "+db.path, func(tx *sql.Tx) error {
			if id, err = recognise(ctx, tx, source, &found[0]); err != nil || id > 0 {
				return err
			}
			new = true
			id, err = copyRun(ctx, tx, source, run)
			return err
		})
	})
	return id, new, err
}

// recognise finds a run of another database among those here; 0: it is none of them, and its place is free.
func recognise(ctx context.Context, tx, source *sql.Tx, r *Run) (int64, error) {
	same, err := readRuns(ctx, tx, "experiment = ? AND seed = ?", r.Experiment, r.Seed)
	if err != nil {
		return 0, err
	}
	var conflict error
	for _, here := range same {
		c, err := differ(ctx, tx, here.ID, source, r.ID)
		if err != nil {
			return 0, err
		}
		if c.First == nil {
			return here.ID, nil
		}
		if !here.Superseded && !r.Superseded {
			conflict = fmt.Errorf("%w: run %d is of the same experiment and seed; from it to the other: %v", ErrConflict, here.ID, c.First)
		}
	}
	return 0, conflict
}

// copyRun copies all rows of a run.
func copyRun(ctx context.Context, tx, source *sql.Tx, run int64) (int64, error) {
	id, err := copyRows(ctx, tx, source, "runs", "id", run)
	if err != nil {
		return 0, err
	}
	for _, table := range runTables {
		if _, err := copyRows(ctx, tx, source, table, "run_id", run, id); err != nil {
			return 0, fmt.Errorf("%s: %w", table, err)
		}
	}
	if _, err := tx.ExecContext(ctx, "UPDATE runs SET status = 'interrupted' WHERE id = ? AND status = 'running'", id); err != nil {
		return 0, err
	}
	return id, checkCopy(ctx, tx, id)
}

// copyRows copies the rows of a table in which the column key is a run, and returns the id of the last. What the caller gives
// for key, if anything, is put in its place. Ids of rows that have them from their database are not copied. The first columns are
// keys, so that rows come in the order in which they were recorded.
func copyRows(ctx context.Context, tx, source *sql.Tx, table, key string, run int64, given ...any) (last int64, err error) {
	var columns []string
	err = each(ctx, tx, func(row *sql.Rows) error {
		var name string
		err := row.Scan(&name)
		columns = append(columns, name)
		return err
	}, "SELECT name FROM pragma_table_info(?) WHERE name <> 'run_id' AND NOT (name = 'id' AND pk = 1)", table)
	if err != nil {
		return 0, err
	}
	names := columns
	if len(given) > 0 {
		names = slices.Concat([]string{key}, columns)
	}
	insert, err := tx.PrepareContext(ctx, fmt.Sprintf("INSERT INTO %s (%s) VALUES (?%s)", table, strings.Join(names, ", "), strings.Repeat(", ?", len(names)-1)))
	if err != nil {
		return 0, err
	}
	defer insert.Close()
	found, err := selectRows(ctx, source, fmt.Sprintf("SELECT %s FROM %s WHERE %s = ? ORDER BY 1, 2", strings.Join(columns, ", "), table, key), run)
	if err != nil {
		return 0, err
	}
	defer found.Close()
	values, err := found.next()
	for ; values != nil && err == nil; values, err = found.next() {
		result, err := insert.ExecContext(ctx, slices.Concat(given, values)...)
		if err != nil {
			return 0, err
		}
		if last, err = result.LastInsertId(); err != nil {
			return 0, err
		}
	}
	return last, err
}

// checkCopy refuses a run that would make the database unsound: that was changed behind finch's back, or whose scores are not
// those that are here under the same keys.
func checkCopy(ctx context.Context, tx *sql.Tx, run int64) error {
	broken, err := checkSealed(ctx, tx, run)
	if err != nil {
		return err
	}
	if len(broken) > 0 {
		return fmt.Errorf("%w: %s: %s", ErrDamaged, broken[0].Check, broken[0].Message)
	}
	return each(ctx, tx, func(row *sql.Rows) error {
		var message string
		if err := row.Scan(&run, &message); err != nil {
			return err
		}
		return fmt.Errorf("%w: %s", ErrConflict, message)
	}, "SELECT * FROM ("+memoRule+") WHERE run_id = ?", run)
}

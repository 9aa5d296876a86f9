package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/finch-llm/finch/internal/failpoint"
)

// timeFormat is ISO 8601 in UTC, which SQLite's date functions read and which sorts as text.
const timeFormat = "2006-01-02T15:04:05.000Z"

func (db *DB) now() string { return db.clock().UTC().Format(timeFormat) }

// BeginRun records a new run and returns its id. ErrRunExists when the experiment has a live run with this seed: resume
// that one, or supersede it.
func (db *DB) BeginRun(ctx context.Context, r Run) (int64, error) {
	var run int64
	err := db.update(ctx, failpoint.Begin, fmt.Sprintf("begin run %q seed %d", r.Experiment, r.Seed), func(tx *sql.Tx) error {
		var existing int64
		err := tx.QueryRowContext(ctx, "SELECT id FROM runs WHERE experiment = ? AND seed = ? AND superseded = 0",
			r.Experiment, r.Seed).Scan(&existing)
		if err == nil {
			return fmt.Errorf("%w: run %d: resume it, or start anew with --fresh", ErrRunExists, existing)
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		result, err := tx.ExecContext(ctx, `
			INSERT INTO runs (experiment, method, seed, config, config_hash, model, model_hash, calibration_hash,
			    evaluation_hash, target, budget, limit_bytes, kernel_path, engine, architecture, version, status, created_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'running', ?)`,
			r.Experiment, r.Method, r.Seed, r.Config, r.ConfigHash, r.Model, r.ModelHash, r.CalibrationHash,
			r.EvaluationHash, r.Target, r.Budget, ref(r.LimitBytes), r.KernelPath, r.Engine, r.Architecture, r.Version, db.now())
		if err != nil {
			return err
		}
		run, err = result.LastInsertId()
		return err
	})
	return run, err
}

// FindRun returns the live run of an experiment and seed; ErrNotFound when there is none.
func (db *DB) FindRun(ctx context.Context, experiment string, seed int64) (Run, error) {
	return db.oneRun(ctx, fmt.Sprintf("find run %q seed %d", experiment, seed),
		"experiment = ? AND seed = ? AND superseded = 0", experiment, seed)
}

// Run returns a run by id, superseded or not; ErrNotFound when there is none.
func (db *DB) Run(ctx context.Context, run int64) (Run, error) {
	return db.oneRun(ctx, fmt.Sprintf("read run %d", run), "id = ?", run)
}

// Runs lists the live runs, in the order they were begun.
func (db *DB) Runs(ctx context.Context) ([]Run, error) {
	return db.selectRuns(ctx, "list runs", "superseded = 0")
}

// AllRuns lists also those that were set aside.
func (db *DB) AllRuns(ctx context.Context) ([]Run, error) {
	return db.selectRuns(ctx, "list runs", "true")
}

func (db *DB) oneRun(ctx context.Context, what, where string, args ...any) (Run, error) {
	found, err := db.selectRuns(ctx, what, where, args...)
	if err != nil {
		return Run{}, err
	}
	if len(found) == 0 {
		return Run{}, fmt.Errorf("%s: %w: `finch status` lists the runs", what, ErrNotFound)
	}
	return found[0], nil
}

func (db *DB) selectRuns(ctx context.Context, what, where string, args ...any) (runs []Run, err error) {
	err = db.snapshot(ctx, what, func(tx *sql.Tx) error {
		runs, err = readRuns(ctx, tx, where, args...)
		return err
	})
	return runs, err
}

func readRuns(ctx context.Context, tx *sql.Tx, where string, args ...any) (runs []Run, err error) {
	err = each(ctx, tx, func(row *sql.Rows) error {
		var r Run
		var limit sql.NullInt64
		var created string
		var finished sql.NullString
		err := row.Scan(&r.ID, &r.Experiment, &r.Method, &r.Seed, &r.Config, &r.ConfigHash, &r.Model, &r.ModelHash,
			&r.CalibrationHash, &r.EvaluationHash, &r.Target, &r.Budget, &limit, &r.KernelPath, &r.Engine, &r.Architecture, &r.Version,
			&r.Status, &r.Error, &created, &finished, &r.Seconds, &r.Superseded)
		if err != nil {
			return err
		}
		r.LimitBytes = limit.Int64
		if r.CreatedAt, err = time.Parse(timeFormat, created); err != nil {
			return fmt.Errorf("%w: run %d: created_at: %w", ErrDamaged, r.ID, err)
		}
		if finished.Valid {
			if r.FinishedAt, err = time.Parse(timeFormat, finished.String); err != nil {
				return fmt.Errorf("%w: run %d: finished_at: %w", ErrDamaged, r.ID, err)
			}
		}
		runs = append(runs, r)
		return nil
	}, `SELECT id, experiment, method, seed, config, config_hash, model, model_hash, calibration_hash, evaluation_hash,
		target, budget, limit_bytes, kernel_path, engine, architecture, version, status, error, created_at, finished_at, seconds, superseded
		FROM runs WHERE `+where+` ORDER BY id`, args...)
	return runs, err
}

// ResumeRun takes up an unfinished run: one that was interrupted, failed, or whose process died ("running"; the caller
// holds the lock that proves it dead).
func (db *DB) ResumeRun(ctx context.Context, run int64) error {
	return db.changeStatus(ctx, failpoint.Resume, "resume", run, Running, 0, "", "'running', 'interrupted', 'failed'", nil)
}

// InterruptRun marks a run as stopped in order, to be resumed. seconds is the length of this session. Give it a context
// of its own: the one that stopped the run is done.
func (db *DB) InterruptRun(ctx context.Context, run int64, seconds float64) error {
	return db.changeStatus(ctx, failpoint.Stop, "interrupt", run, Interrupted, seconds, "", "'running'", nil)
}

// FailRun marks a run as stopped by an error. It can be resumed.
func (db *DB) FailRun(ctx context.Context, run int64, seconds float64, cause error) error {
	return db.changeStatus(ctx, failpoint.Stop, "fail", run, Failed, seconds, cause.Error(), "'running'", nil)
}

// FinishRun seals a run, which must have a winner: a hash over its last generation and its results lets Check see later
// changes.
func (db *DB) FinishRun(ctx context.Context, run int64, seconds float64) error {
	return db.changeStatus(ctx, failpoint.Finish, "finish", run, Finished, seconds, "", "'running'", func(tx *sql.Tx) error {
		var winners int
		err := tx.QueryRowContext(ctx, "SELECT count(*) FROM results WHERE run_id = ? AND role = 'winner'", run).Scan(&winners)
		if err != nil {
			return err
		}
		if winners != 1 {
			return fmt.Errorf("%w: run %d has no winner yet", ErrRunState, run)
		}
		seal, err := sealOf(ctx, tx, run)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "UPDATE runs SET seal = ?, finished_at = ? WHERE id = ?", seal, db.now(), run)
		return err
	})
}

// changeStatus moves a run to a status from one of those in the SQL list from; last runs in the same transaction.
func (db *DB) changeStatus(ctx context.Context, step failpoint.Step, verb string, run int64, to Status, seconds float64, message, from string,
	last func(*sql.Tx) error) error {
	return db.update(ctx, step, fmt.Sprintf("%s run %d", verb, run), func(tx *sql.Tx) error {
		err := updateRun(ctx, tx, run, `
			UPDATE runs SET status = ?, error = ?, seconds = seconds + ?
			WHERE id = ? AND superseded = 0 AND status IN (`+from+`)`, to, message, seconds, run)
		if err == nil && to != Running {
			_, err = tx.ExecContext(ctx, "DELETE FROM attempts WHERE run_id = ?", run)
		}
		if err != nil || last == nil {
			return err
		}
		return last(tx)
	})
}

// SupersedeRuns sets runs aside, all or none of them: their rows stay, views and fingerprints leave them out, and their
// experiments and seeds are free for new runs.
func (db *DB) SupersedeRuns(ctx context.Context, runs ...int64) error {
	return db.update(ctx, failpoint.Supersede, fmt.Sprintf("supersede runs %v", runs), func(tx *sql.Tx) error {
		for _, run := range runs {
			err := updateRun(ctx, tx, run, `
				UPDATE runs SET superseded = 1, status = CASE status WHEN 'running' THEN 'interrupted' ELSE status END
				WHERE id = ?`, run)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// updateRun executes a statement that changes the row of a run, which is in another state than it should be if none changes.
func updateRun(ctx context.Context, tx *sql.Tx, run int64, statement string, args ...any) error {
	result, err := tx.ExecContext(ctx, statement, args...)
	if err != nil {
		return err
	}
	if changed, err := result.RowsAffected(); err != nil {
		return err
	} else if changed == 0 {
		return wrongState(ctx, tx, run)
	}
	return nil
}

// requireRunning guards the rows that a seal covers.
func requireRunning(ctx context.Context, tx *sql.Tx, run int64) error {
	var running bool
	err := tx.QueryRowContext(ctx, "SELECT count(*) FROM runs WHERE id = ? AND status = 'running'", run).Scan(&running)
	if err != nil {
		return err
	}
	if !running {
		return wrongState(ctx, tx, run)
	}
	return nil
}

func wrongState(ctx context.Context, tx *sql.Tx, run int64) error {
	var status string
	var superseded bool
	err := tx.QueryRowContext(ctx, "SELECT status, superseded FROM runs WHERE id = ?", run).Scan(&status, &superseded)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return fmt.Errorf("run %d: %w: `finch status` lists the runs", run, ErrNotFound)
	case err != nil:
		return err
	case superseded:
		return fmt.Errorf("%w: run %d was superseded", ErrRunState, run)
	}
	return fmt.Errorf("%w: run %d is %s", ErrRunState, run, status)
}

// runIDs lists runs.
func runIDs(ctx context.Context, tx *sql.Tx, query string, args ...any) (runs []int64, err error) {
	err = each(ctx, tx, func(row *sql.Rows) error {
		var run int64
		err := row.Scan(&run)
		runs = append(runs, run)
		return err
	}, query, args...)
	return runs, err
}

// each calls f on every row of a query.
func each(ctx context.Context, tx *sql.Tx, f func(*sql.Rows) error, query string, args ...any) (err error) {
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := f(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

package store

import (
	"context"
	"database/sql"
	"fmt"
	"math"

	"github.com/finch-llm/finch/internal/failpoint"
)

// PutResult records a held-out evaluation of a running run. Recording the same again changes nothing; a different value
// is ErrConflict.
func (db *DB) PutResult(ctx context.Context, run int64, r Result) error {
	if r.Role != Winner {
		r.PairedDifference, r.PairedError = math.NaN(), math.NaN()
	}
	return db.update(ctx, failpoint.Result, fmt.Sprintf("record the %s of run %d", r.Role, run), func(tx *sql.Tx) error {
		recorded, err := readResults(ctx, tx, run)
		if err != nil {
			return err
		}
		for _, was := range recorded {
			if was.Role != r.Role {
				continue
			}
			if !sameResult(was, r) {
				return fmt.Errorf("%w: %+v was recorded and is now %+v; start anew with --fresh", ErrConflict, was, r)
			}
			return nil
		}
		if err := requireRunning(ctx, tx, run); err != nil {
			return err
		}
		var sites int64
		if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM sites WHERE run_id = ?", run).Scan(&sites); err != nil {
			return err
		}
		if r.Role != Dense {
			if err := checkGenome(r.Genome, sites); err != nil {
				return err
			}
		}
		_, err = tx.ExecContext(ctx, "INSERT INTO results VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
			run, r.Role, ref(r.Candidate), r.Genome, r.Method, r.FileBytes, r.BitsPerWeight, r.Nonzeros, number(r.KL),
			number(r.KLError), number(r.PPL), number(r.PPLError), r.Tokens, number(r.PairedDifference), number(r.PairedError))
		return err
	})
}

// Results lists the held-out results of a run, by role.
func (db *DB) Results(ctx context.Context, run int64) (results []Result, err error) {
	err = db.snapshot(ctx, fmt.Sprintf("read the results of run %d", run), func(tx *sql.Tx) error {
		results, err = readResults(ctx, tx, run)
		return err
	})
	return results, err
}

// Result returns one held-out result of a run; ErrNotFound when it has none of that role.
func (db *DB) Result(ctx context.Context, run int64, role Role) (Result, error) {
	results, err := db.Results(ctx, run)
	if err != nil {
		return Result{}, err
	}
	for _, r := range results {
		if r.Role == role {
			return r, nil
		}
	}
	return Result{}, fmt.Errorf("run %d has no %s yet: %w: `finch status` says how far it is", run, role, ErrNotFound)
}

func readResults(ctx context.Context, tx *sql.Tx, run int64) (results []Result, err error) {
	err = each(ctx, tx, func(row *sql.Rows) error {
		var r Result
		var candidate sql.NullInt64
		err := row.Scan(&r.Role, &candidate, &r.Genome, &r.Method, &r.FileBytes, &r.BitsPerWeight, &r.Nonzeros, float{&r.KL},
			float{&r.KLError}, float{&r.PPL}, float{&r.PPLError}, &r.Tokens, float{&r.PairedDifference}, float{&r.PairedError})
		r.Candidate = candidate.Int64
		results = append(results, r)
		return err
	}, `SELECT role, candidate, genome, method, file_bytes, bits_per_weight, nonzeros, kl, kl_error, ppl, ppl_error, tokens,
		paired_difference, paired_error FROM results WHERE run_id = ? ORDER BY role`, run)
	return results, err
}

func sameResult(a, b Result) bool {
	floats := func(r *Result) []*float64 {
		return []*float64{&r.KL, &r.KLError, &r.PPL, &r.PPLError, &r.PairedDifference, &r.PairedError}
	}
	of, with := floats(&a), floats(&b)
	for i := range of {
		if !sameFloat(*of[i], *with[i]) {
			return false
		}
		*of[i], *with[i] = 0, 0
	}
	return a == b
}

// Event notes something that happened to a run.
func (db *DB) Event(ctx context.Context, run int64, kind, message string) error {
	return db.update(ctx, failpoint.Note, fmt.Sprintf("note %s of run %d", kind, run), func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO events (run_id, at, kind, message) VALUES (?, ?, ?, ?)",
			run, db.now(), kind, message)
		return err
	})
}

// PutArtifact notes a file that a run wrote; its last note about a path counts.
func (db *DB) PutArtifact(ctx context.Context, a Artifact) error {
	return db.update(ctx, failpoint.Note, fmt.Sprintf("note %s of run %d", a.Path, a.Run), func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO artifacts VALUES (?, ?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET kind = excluded.kind, sha256 = excluded.sha256, bytes = excluded.bytes`,
			a.Run, a.Path, a.Kind, a.SHA256, a.Bytes)
		return err
	})
}

// Artifacts lists the files that runs wrote, by run and path.
func (db *DB) Artifacts(ctx context.Context) (artifacts []Artifact, err error) {
	err = db.snapshot(ctx, "read the artifacts", func(tx *sql.Tx) error {
		return each(ctx, tx, func(row *sql.Rows) error {
			var a Artifact
			err := row.Scan(&a.Run, &a.Path, &a.Kind, &a.SHA256, &a.Bytes)
			artifacts = append(artifacts, a)
			return err
		}, "SELECT run_id, path, kind, sha256, bytes FROM artifacts ORDER BY run_id, path")
	})
	return artifacts, err
}

package store

import (
	"context"
	"database/sql"
	"fmt"
	"math"
)

// FingerprintRun is the SHA-256 over one run's identity, status, space, candidates, slices, scores, generations and results
// in a fixed order, with ids of the database, timings and the memo flag left out: equal for a run that was killed and
// resumed and for one that was never stopped, whatever else the database holds.
func (db *DB) FingerprintRun(ctx context.Context, run int64) (string, error) {
	d := newDigest()
	err := db.snapshot(ctx, fmt.Sprintf("fingerprint run %d", run), func(tx *sql.Tx) error {
		var known bool
		if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM runs WHERE id = ?", run).Scan(&known); err != nil {
			return err
		}
		if !known {
			return fmt.Errorf("%w: `finch status` lists the runs", ErrNotFound)
		}
		return fingerprint(ctx, tx, d, run)
	})
	if err != nil {
		return "", err
	}
	return d.hex(), nil
}

// Fingerprint is that of all live runs, in the order of experiment and seed.
func (db *DB) Fingerprint(ctx context.Context) (string, error) {
	d := newDigest()
	err := db.snapshot(ctx, "fingerprint the database", func(tx *sql.Tx) error {
		var runs []int64
		err := each(ctx, tx, func(row *sql.Rows) error {
			var run int64
			err := row.Scan(&run)
			runs = append(runs, run)
			return err
		}, "SELECT id FROM runs WHERE superseded = 0 ORDER BY experiment, seed")
		if err != nil {
			return err
		}
		for _, run := range runs {
			if err := fingerprint(ctx, tx, d, run); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	return d.hex(), nil
}

func fingerprint(ctx context.Context, tx *sql.Tx, d digest, run int64) error {
	for _, query := range []string{hashedRun, "SELECT status FROM runs WHERE id = ?1", hashedSites, hashedLevels, hashedResults} {
		if err := d.rows(ctx, tx, query, run); err != nil {
			return err
		}
	}
	for _, query := range []string{hashedCandidates, hashedSlices, hashedScores, hashedGenerations} {
		if err := d.rows(ctx, tx, query, run, math.MinInt32, math.MaxInt32); err != nil {
			return err
		}
	}
	return nil
}

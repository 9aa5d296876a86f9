package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"

	"github.com/finch-llm/finch/internal/failpoint"
)

// PutSpace records the sites and levels of a run, in genome order. Recording the same again changes nothing; a different
// space is ErrConflict.
func (db *DB) PutSpace(ctx context.Context, run int64, sites []Site, levels []Level) error {
	return db.update(ctx, failpoint.Space, fmt.Sprintf("record the search space of run %d", run), func(tx *sql.Tx) error {
		oldSites, oldLevels, err := readSpace(ctx, tx, run)
		if err != nil {
			return err
		}
		if len(oldSites) > 0 {
			if slices.Equal(oldSites, sites) && slices.EqualFunc(oldLevels, levels, sameLevel) {
				return nil
			}
			return fmt.Errorf("%w: the sites or levels of run %d have changed; start anew with --fresh", ErrConflict, run)
		}
		if err := requireRunning(ctx, tx, run); err != nil {
			return err
		}
		for i, s := range sites {
			if s.Position != i {
				return fmt.Errorf("%w: site %s has position %d, want %d", ErrInvalid, s.Name, s.Position, i)
			}
		}
		insertSite, err := tx.PrepareContext(ctx, "INSERT INTO sites VALUES (?, ?, ?, ?, ?, ?)")
		if err != nil {
			return err
		}
		defer insertSite.Close()
		for _, s := range sites {
			if _, err := insertSite.ExecContext(ctx, run, s.Position, s.Name, s.Kind, s.Block, s.Weights); err != nil {
				return fmt.Errorf("site %s: %w", s.Name, err)
			}
		}
		insertLevel, err := tx.PrepareContext(ctx, "INSERT INTO levels VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)")
		if err != nil {
			return err
		}
		defer insertLevel.Close()
		for _, l := range levels {
			if _, err := insertLevel.ExecContext(ctx, run, l.Site, l.Index, l.Name, l.Format, l.Bytes, l.BitsPerWeight,
				l.Nonzeros, number(l.RelativeError)); err != nil {
				return fmt.Errorf("level %s of site %d: %w", l.Name, l.Site, err)
			}
		}
		return nil
	})
}

// Space returns the sites and levels of a run, by position and index; empty when none were recorded.
func (db *DB) Space(ctx context.Context, run int64) (sites []Site, levels []Level, err error) {
	err = db.snapshot(ctx, fmt.Sprintf("read the search space of run %d", run), func(tx *sql.Tx) error {
		sites, levels, err = readSpace(ctx, tx, run)
		return err
	})
	return sites, levels, err
}

func readSpace(ctx context.Context, tx *sql.Tx, run int64) (sites []Site, levels []Level, err error) {
	err = each(ctx, tx, func(row *sql.Rows) error {
		var s Site
		err := row.Scan(&s.Position, &s.Name, &s.Kind, &s.Block, &s.Weights)
		sites = append(sites, s)
		return err
	}, "SELECT position, name, kind, block, weights FROM sites WHERE run_id = ? ORDER BY position", run)
	if err != nil {
		return nil, nil, err
	}
	err = each(ctx, tx, func(row *sql.Rows) error {
		var l Level
		err := row.Scan(&l.Site, &l.Index, &l.Name, &l.Format, &l.Bytes, &l.BitsPerWeight, &l.Nonzeros,
			float{&l.RelativeError})
		levels = append(levels, l)
		return err
	}, `SELECT site, idx, name, format, bytes, bits_per_weight, nonzeros, relative_error
		FROM levels WHERE run_id = ? ORDER BY site, idx`, run)
	return sites, levels, err
}

func sameLevel(a, b Level) bool {
	sameError := sameFloat(a.RelativeError, b.RelativeError)
	a.RelativeError, b.RelativeError = 0, 0
	return a == b && sameError
}

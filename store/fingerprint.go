package store

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"strings"
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
		runs, err := runIDs(ctx, tx, "SELECT id FROM runs WHERE superseded = 0 ORDER BY experiment, seed")
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
	for i := range parts {
		if err := d.query(ctx, tx, parts[i].query, parts[i].args(run)...); err != nil {
			return err
		}
	}
	return nil
}

// part is one table of what a fingerprint covers.
type part struct {
	name, query string
	keys        []string // columns that tell its rows apart
	rank        int      // of differences in it
}

// Ranks of differences, causes before effects.
const (
	rankRun = iota
	rankSites
	rankLevels
	rankSlices
	rankCandidates
	rankScores
	rankGenerations
	rankResults
	rankStatus
)

// parts are in the order in which they are hashed.
var parts = []part{
	{"run", hashedRun, nil, rankRun},
	{"status", hashedStatus, nil, rankStatus},
	{"sites", hashedSites, []string{"position"}, rankSites},
	{"levels", hashedLevels, []string{"site", "idx"}, rankLevels},
	{"results", hashedResults, []string{"role"}, rankResults},
	{"candidates", hashedCandidates, []string{"generation", "id"}, rankCandidates},
	{"slices", hashedSlices, []string{"generation", "stage"}, rankSlices},
	{"scores", hashedScores, []string{"generation", "stage", "candidate"}, rankScores},
	{"generations", hashedGenerations, []string{"generation"}, rankGenerations},
}

// args are those of the part's query for a run, over all generations.
func (p *part) args(run int64) []any {
	if strings.Contains(p.query, "?3") {
		return []any{run, math.MinInt32, math.MaxInt32}
	}
	return []any{run}
}

// columns are those of the part's query.
func (p *part) columns() []string {
	list, _, _ := strings.Cut(strings.TrimPrefix(p.query, "SELECT "), "FROM ")
	var names []string
	for name := range strings.SplitSeq(list, ",") {
		name = strings.TrimSpace(name)
		names = append(names, name[strings.IndexByte(name, '.')+1:])
	}
	return names
}

package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"math"
)

// What hashes cover. Run ids and slice ids stand for nothing outside their database, seconds and memo say how a score was
// come by, and its key says again what the other columns say: all five are left out, so that a resumed run has the hashes
// of an uninterrupted one, and a score from the memo those of a computed one. ?1 is the run.
const (
	hashedRun = `SELECT experiment, method, seed, config_hash, model_hash, calibration_hash, evaluation_hash, target, budget,
		limit_bytes, kernel_path FROM runs WHERE id = ?1`
	hashedSites = `SELECT position, name, kind, block, weights FROM sites WHERE run_id = ?1 ORDER BY position`

	hashedLevels = `SELECT site, idx, name, format, bytes, bits_per_weight, nonzeros, relative_error
		FROM levels WHERE run_id = ?1 ORDER BY site, idx`

	// ?2 and ?3 are the first and last generation.
	hashedCandidates = `SELECT id, generation, stage, slot, genome, parent, operator, file_bytes, bits_per_weight, nonzeros, status
		FROM candidates WHERE run_id = ?1 AND generation BETWEEN ?2 AND ?3 ORDER BY id`
	hashedSlices = `SELECT generation, stage, tokens, hash
		FROM slices WHERE run_id = ?1 AND generation BETWEEN ?2 AND ?3 ORDER BY generation, stage`
	hashedScores = `SELECT l.generation, l.stage, s.candidate, s.stage, s.fitness, s.kl, s.ppl, s.tokens, s.kernel_path
		FROM slices l CROSS JOIN scores s ON s.run_id = l.run_id AND s.slice = l.id
		WHERE l.run_id = ?1 AND l.generation BETWEEN ?2 AND ?3 ORDER BY l.generation, l.stage, s.candidate`
	hashedGenerations = `SELECT generation, candidates, evaluations, best_candidate, best_fitness, tokens
		FROM generations WHERE run_id = ?1 AND generation BETWEEN ?2 AND ?3 ORDER BY generation`

	hashedStatus  = `SELECT status FROM runs WHERE id = ?1`
	hashedResults = `SELECT role, candidate, genome, method, file_bytes, bits_per_weight, nonzeros, kl, kl_error, ppl, ppl_error,
		tokens, paired_difference, paired_error FROM results WHERE run_id = ?1 ORDER BY role`
)

// chainRoot is the hash that the first generation is chained to: what was asked, over which sites and levels.
func chainRoot(ctx context.Context, tx *sql.Tx, run int64) (string, error) {
	d := newDigest()
	for _, query := range []string{hashedRun, hashedSites, hashedLevels} {
		if err := d.query(ctx, tx, query, run); err != nil {
			return "", err
		}
	}
	return d.hex(), nil
}

// chainLink is the hash of one generation's rows and the chain before it.
func chainLink(ctx context.Context, tx *sql.Tx, run int64, generation int, previous string) (string, error) {
	d := newDigest()
	d.text(previous)
	for _, query := range []string{hashedCandidates, hashedSlices, hashedScores, hashedGenerations} {
		if err := d.query(ctx, tx, query, run, generation, generation); err != nil {
			return "", err
		}
	}
	return d.hex(), nil
}

// sealOf is the hash of a run's results and the last link of its chain (its root, without generations).
func sealOf(ctx context.Context, tx *sql.Tx, run int64) (string, error) {
	closed, err := readGenerations(ctx, tx, run)
	if err != nil {
		return "", err
	}
	d := newDigest()
	if len(closed) > 0 {
		d.text(closed[len(closed)-1].Chain)
	} else {
		root, err := chainRoot(ctx, tx, run)
		if err != nil {
			return "", err
		}
		d.text(root)
	}
	if err := d.query(ctx, tx, hashedResults, run); err != nil {
		return "", err
	}
	return d.hex(), nil
}

// digest is SHA-256 over typed values. Every value begins with its type, every text with its length, every row and every
// result set with a mark, so that no two different results give the same bytes.
type digest struct{ hash.Hash }

func newDigest() digest { return digest{sha256.New()} }

func (d digest) hex() string { return hex.EncodeToString(d.Sum(nil)) }

func (d digest) word(tag byte, bits uint64) {
	var b [9]byte
	b[0] = tag
	binary.BigEndian.PutUint64(b[1:], bits)
	d.Write(b[:])
}

func (d digest) text(s string) {
	d.word('t', uint64(len(s)))
	io.WriteString(d, s)
}

// query adds the rows of a query.
func (d digest) query(ctx context.Context, tx *sql.Tx, query string, args ...any) error {
	found, err := selectRows(ctx, tx, query, args...)
	if err != nil {
		return err
	}
	defer found.Close()
	return d.rows(found)
}

func (d digest) rows(r rows) error {
	values, err := r.next()
	for ; values != nil && err == nil; values, err = r.next() {
		d.word('r', uint64(len(values)))
		for _, v := range values {
			switch v := v.(type) {
			case nil:
				d.word('n', 0)
			case int64:
				d.word('i', uint64(v))
			case float64:
				d.word('f', math.Float64bits(v))
			case string:
				d.text(v)
			default:
				return fmt.Errorf("%w: a %T where a number or a text should be", ErrDamaged, v)
			}
		}
	}
	d.word('e', 0)
	return err
}

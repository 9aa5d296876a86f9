package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/finch-llm/finch/internal/failpoint"
)

// RecordBatch records one stage of one generation in one transaction. A batch that is there already is left as it is; if
// its slice, candidates or scores differ from what is recorded, the error is ErrConflict and names the first difference.
func (db *DB) RecordBatch(ctx context.Context, run int64, b BatchRecord) error {
	b = b.canonical()
	what := fmt.Sprintf("record run %d generation %d stage %d", run, b.Generation, b.Stage)
	return db.update(ctx, failpoint.Batch, what, func(tx *sql.Tx) error {
		recorded, ok, err := readBatch(ctx, tx, run, b.Generation, b.Stage)
		if err != nil {
			return err
		}
		if ok {
			return conflict(recorded, b)
		}
		if err := requireRunning(ctx, tx, run); err != nil {
			return err
		}
		if err := requireOpen(ctx, tx, run, b.Generation); err != nil {
			return err
		}
		return insertBatch(ctx, tx, run, b)
	})
}

// Batch returns a recorded batch, with candidates and scores in id order; false when it is not recorded.
func (db *DB) Batch(ctx context.Context, run int64, generation, stage int) (b BatchRecord, ok bool, err error) {
	what := fmt.Sprintf("read run %d generation %d stage %d", run, generation, stage)
	err = db.snapshot(ctx, what, func(tx *sql.Tx) error {
		b, ok, err = readBatch(ctx, tx, run, generation, stage)
		return err
	})
	return b, ok, err
}

// Batches returns all recorded batches of a run, in the order of scoring.
func (db *DB) Batches(ctx context.Context, run int64) (batches []BatchRecord, err error) {
	err = db.snapshot(ctx, fmt.Sprintf("read the batches of run %d", run), func(tx *sql.Tx) error {
		var at [][2]int
		err := each(ctx, tx, func(row *sql.Rows) error {
			var generation, stage int
			err := row.Scan(&generation, &stage)
			at = append(at, [2]int{generation, stage})
			return err
		}, "SELECT generation, stage FROM slices WHERE run_id = ? ORDER BY id", run)
		for _, place := range at {
			if err != nil {
				break
			}
			var b BatchRecord
			b, _, err = readBatch(ctx, tx, run, place[0], place[1])
			batches = append(batches, b)
		}
		return err
	})
	return batches, err
}

// canonical is the batch as the database gives it back: scores in candidate order, every status spelled out.
func (b BatchRecord) canonical() BatchRecord {
	b.Candidates = slices.Clone(b.Candidates)
	for i := range b.Candidates {
		if b.Candidates[i].Status == "" {
			b.Candidates[i].Status = CandidateScored
		}
	}
	b.Scores = slices.SortedFunc(slices.Values(b.Scores), func(x, y Score) int { return cmp.Compare(x.Candidate, y.Candidate) })
	return b
}

func requireOpen(ctx context.Context, tx *sql.Tx, run int64, generation int) error {
	var closed sql.NullInt64
	err := tx.QueryRowContext(ctx, "SELECT max(generation) FROM generations WHERE run_id = ?", run).Scan(&closed)
	if err != nil {
		return err
	}
	if closed.Valid && int64(generation) <= closed.Int64 {
		return fmt.Errorf("%w: generation %d is closed", ErrConflict, generation)
	}
	return nil
}

func insertBatch(ctx context.Context, tx *sql.Tx, run int64, b BatchRecord) error {
	var slice, last, sites int64
	err := tx.QueryRowContext(ctx, `
		SELECT (SELECT coalesce(max(id), 0) + 1 FROM slices WHERE run_id = ?1),
		       (SELECT coalesce(max(id), 0) FROM candidates WHERE run_id = ?1),
		       (SELECT count(*) FROM sites WHERE run_id = ?1)`, run).Scan(&slice, &last, &sites)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "INSERT INTO slices VALUES (?, ?, ?, ?, ?, ?)",
		run, slice, b.Generation, b.Stage, b.Slice.Tokens, b.Slice.Hash); err != nil {
		return err
	}
	insertCandidate, err := tx.PrepareContext(ctx, "INSERT INTO candidates VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
	if err != nil {
		return err
	}
	defer insertCandidate.Close()
	for i, c := range b.Candidates {
		if want := last + 1 + int64(i); c.ID != want {
			return fmt.Errorf("%w: candidate %d where %d comes next", ErrInvalid, c.ID, want)
		}
		if err := checkGenome(c.Genome, sites); err != nil {
			return fmt.Errorf("candidate %d: %w", c.ID, err)
		}
		if _, err := insertCandidate.ExecContext(ctx, run, c.ID, b.Generation, b.Stage, c.Slot, c.Genome, ref(c.Parent),
			c.Operator, c.FileBytes, c.BitsPerWeight, c.Nonzeros, c.Status); err != nil {
			return fmt.Errorf("candidate %d: %w", c.ID, err)
		}
	}
	insertScore, err := tx.PrepareContext(ctx, "INSERT INTO scores VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, nullif(?, ''))")
	if err != nil {
		return err
	}
	defer insertScore.Close()
	for _, s := range b.Scores {
		if _, err := insertScore.ExecContext(ctx, run, slice, s.Candidate, b.Stage, number(s.Fitness), number(s.KL),
			number(s.PPL), s.Tokens, s.Seconds, s.KernelPath, s.Memo, s.Key); err != nil {
			return fmt.Errorf("score of candidate %d: %w", s.Candidate, err)
		}
		if s.Fault == "" {
			continue
		}
		if _, err := tx.ExecContext(ctx, "INSERT INTO faults VALUES (?, ?, ?, ?)", run, slice, s.Candidate, s.Fault); err != nil {
			return fmt.Errorf("fault of candidate %d: %w", s.Candidate, err)
		}
	}
	return nil
}

// checkGenome wants two lower-case hex digits per site. Without recorded sites any length will do.
func checkGenome(genome string, sites int64) error {
	for i := range len(genome) {
		if c := genome[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return fmt.Errorf("%w: genome has %q at %d: lower-case hex digits only", ErrInvalid, c, i)
		}
	}
	if len(genome)%2 != 0 || sites > 0 && int64(len(genome)) != 2*sites {
		return fmt.Errorf("%w: genome of %d digits for %d sites", ErrInvalid, len(genome), sites)
	}
	return nil
}

func readBatch(ctx context.Context, tx *sql.Tx, run int64, generation, stage int) (BatchRecord, bool, error) {
	b := BatchRecord{Generation: generation, Stage: stage}
	var slice int64
	err := tx.QueryRowContext(ctx, "SELECT id, tokens, hash FROM slices WHERE run_id = ? AND generation = ? AND stage = ?",
		run, generation, stage).Scan(&slice, &b.Slice.Tokens, &b.Slice.Hash)
	if errors.Is(err, sql.ErrNoRows) {
		return BatchRecord{}, false, nil
	}
	if err != nil {
		return BatchRecord{}, false, err
	}
	err = each(ctx, tx, func(row *sql.Rows) error {
		var c Candidate
		var parent sql.NullInt64
		err := row.Scan(&c.ID, &c.Slot, &c.Genome, &parent, &c.Operator, &c.FileBytes, &c.BitsPerWeight, &c.Nonzeros,
			&c.Status)
		c.Parent = parent.Int64
		b.Candidates = append(b.Candidates, c)
		return err
	}, `SELECT id, slot, genome, parent, operator, file_bytes, bits_per_weight, nonzeros, status
		FROM candidates WHERE run_id = ? AND generation = ? AND stage = ? ORDER BY id`, run, generation, stage)
	if err != nil {
		return BatchRecord{}, false, err
	}
	err = each(ctx, tx, func(row *sql.Rows) error {
		var s Score
		err := row.Scan(&s.Candidate, float{&s.Fitness}, float{&s.KL}, float{&s.PPL}, &s.Tokens, &s.Seconds,
			&s.KernelPath, &s.Memo, &s.Key, &s.Fault)
		b.Scores = append(b.Scores, s)
		return err
	}, `SELECT candidate, fitness, kl, ppl, tokens, seconds, kernel_path, memo, coalesce(key, ''), coalesce(reason, '')
		FROM scores LEFT JOIN faults USING (run_id, slice, candidate)
		WHERE run_id = ? AND slice = ? ORDER BY candidate`, run, slice)
	if err != nil {
		return BatchRecord{}, false, err
	}
	return b, true, nil
}

// conflict compares two canonical batches in everything that a run must reproduce.
func conflict(recorded, now BatchRecord) error {
	differ := func(what string, was, is any) error {
		return fmt.Errorf("%w: %s was recorded as %v and is now %v: the run does not reproduce; start anew with --fresh",
			ErrConflict, what, was, is)
	}
	if recorded.Slice != now.Slice {
		return differ("the slice", recorded.Slice, now.Slice)
	}
	if len(recorded.Candidates) != len(now.Candidates) {
		return differ("the number of new candidates", len(recorded.Candidates), len(now.Candidates))
	}
	for i, was := range recorded.Candidates {
		if is := now.Candidates[i]; was != is {
			return differ(fmt.Sprintf("candidate %d", was.ID), was, is)
		}
	}
	if len(recorded.Scores) != len(now.Scores) {
		return differ("the number of scores", len(recorded.Scores), len(now.Scores))
	}
	for i, was := range recorded.Scores {
		is := now.Scores[i]
		name := fmt.Sprintf("of candidate %d", was.Candidate)
		switch {
		case was.Candidate != is.Candidate:
			return differ(fmt.Sprintf("score %d", i), fmt.Sprint("candidate ", was.Candidate), fmt.Sprint("candidate ", is.Candidate))
		case was.KernelPath != is.KernelPath:
			return differ("the kernel path "+name, was.KernelPath, is.KernelPath)
		case !sameFloat(was.Fitness, is.Fitness):
			return differ("the fitness "+name, was.Fitness, is.Fitness)
		case !sameFloat(was.KL, is.KL):
			return differ("the KL "+name, was.KL, is.KL)
		case !sameFloat(was.PPL, is.PPL):
			return differ("the perplexity "+name, was.PPL, is.PPL)
		case was.Tokens != is.Tokens:
			return differ("the number of tokens "+name, was.Tokens, is.Tokens)
		}
	}
	return nil
}

package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
)

// Bundle is a run that was exported to be repeated.
type Bundle struct {
	Run         Run // as far as it decides what is computed
	Fingerprint string
	Path        string
}

// OpenBundle reads a bundle to its end, and makes sure that it is whole and that its rows have the fingerprint that it states.
func OpenBundle(path string) (*Bundle, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return parseBundle(file, path)
}

func parseBundle(in io.Reader, path string) (*Bundle, error) {
	d := newDigest()
	var run, status noted
	r := newBundleReader(in, path)
	head, err := r.walk(func(p *part, table rows) error {
		switch p.rank {
		case rankRun:
			run.rows, table = table, &run
		case rankStatus:
			status.rows, table = table, &status
		}
		return d.rows(table)
	})
	if err != nil {
		return nil, err
	}
	b := &Bundle{Fingerprint: d.hex(), Path: path, Run: Run{
		Model: head.Model, Config: head.Config, Engine: head.Engine, Architecture: head.Architecture, Version: head.Version,
	}}
	if b.Fingerprint != head.Fingerprint {
		return nil, fmt.Errorf("%s: the tables have the fingerprint %.12s, and %.12s was written: the file has been changed, copy it again", path, b.Fingerprint, head.Fingerprint)
	}
	if err := run.scan(&parts[0], map[string]any{
		"experiment": &b.Run.Experiment, "method": &b.Run.Method, "seed": &b.Run.Seed, "config_hash": &b.Run.ConfigHash,
		"model_hash": &b.Run.ModelHash, "calibration_hash": &b.Run.CalibrationHash, "evaluation_hash": &b.Run.EvaluationHash,
		"target": &b.Run.Target, "kernel_path": &b.Run.KernelPath,
	}); err != nil {
		return nil, fmt.Errorf("%s: run: %w", path, err)
	}
	if config := sha256.Sum256([]byte(b.Run.Config)); hex.EncodeToString(config[:]) != b.Run.ConfigHash {
		return nil, fmt.Errorf("%s: about: the configuration is not the one that was run: the file has been changed, copy it again", path)
	}
	if status.count != 1 || status.last[0] != string(Finished) {
		return nil, fmt.Errorf("%s: status: the run is not finished: only a finished one can be repeated", path)
	}
	return b, nil
}

// noted keeps the last of the rows that it passes on.
type noted struct {
	rows
	count int
	last  []any
}

func (n *noted) next() ([]any, error) {
	values, err := n.rows.next()
	if values != nil {
		n.count++
		n.last = append(n.last[:0], values...)
	}
	return values, err
}

// scan takes columns of the only row.
func (n *noted) scan(p *part, into map[string]any) error {
	if n.count != 1 {
		return fmt.Errorf("%d rows where there should be one", n.count)
	}
	for i, column := range p.columns() {
		var ok bool
		switch to := into[column].(type) {
		case *string:
			*to, ok = n.last[i].(string)
		case *int64:
			*to, ok = n.last[i].(int64)
		default:
			ok = true // not asked for
		}
		if !ok {
			return fmt.Errorf("%s is %s, of another type than it should be", column, display(n.last[i]))
		}
	}
	return nil
}

// Compare compares the run of the bundle with one in a database, which is to be a repetition of it. With a tolerance, numbers
// may differ relatively by so much, and the kernels may be others.
func (b *Bundle) Compare(ctx context.Context, db *DB, run int64, tolerance float64) (Comparison, error) {
	c := Comparison{tolerance: tolerance}
	file, err := os.Open(b.Path)
	if err != nil {
		return c, err
	}
	defer file.Close()
	err = db.snapshot(ctx, fmt.Sprintf("compare run %d with %s", run, b.Path), func(tx *sql.Tx) error {
		_, err := newBundleReader(file, b.Path).walk(func(p *part, table rows) (err error) {
			is, err := selectRows(ctx, tx, p.query, p.args(run)...)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, is.Close()) }()
			return c.add(p, table, is)
		})
		return err
	})
	return c, err
}

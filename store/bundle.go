package store

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

// A bundle is one finished run as JSON, for whoever wants to repeat it:
//
//	{
//	"finch_bundle": 1,
//	"about": {…},              what was run, by which finch, and the fingerprint
//	"lineage": [[…], …],       the ancestors of the winner, for people
//	"run": [[…], …],           what the fingerprint covers, table by table in its order
//	…
//	}
//
// Every table is a list of rows, the first of which names the columns. Keys are in this order, so that a bundle of any size
// is written and read row by row.

// bundleVersion is raised when what the fingerprint covers changes.
const bundleVersion = 1

// about is the head of a bundle: what its tables do not say.
type about struct {
	Version      string `json:"version"` // of the finch that began the run
	Engine       int    `json:"engine"`
	Architecture string `json:"architecture"`
	Model        string `json:"model"`
	Config       string `json:"config"` // canonical JSON, whose hash is in the run's table
	Fingerprint  string `json:"fingerprint"`
}

// lineage is the table for people.
var lineage = part{name: "lineage", query: `SELECT step, candidate, generation, parent, operator, fitness, file_bytes, bits_per_weight, nonzeros, genome
	FROM lineage WHERE run_id = ?1 ORDER BY step`}

// WriteBundle writes a finished run as a bundle.
func (db *DB) WriteBundle(ctx context.Context, run int64, w io.Writer) error {
	return db.snapshot(ctx, fmt.Sprintf("export run %d", run), func(tx *sql.Tx) error {
		found, err := readRuns(ctx, tx, "id = ?", run)
		switch {
		case err != nil:
			return err
		case len(found) == 0:
			return fmt.Errorf("%w: `finch status` lists the runs", ErrNotFound)
		case found[0].Superseded:
			return fmt.Errorf("%w: it was set aside", ErrRunState)
		case found[0].Status != Finished:
			return fmt.Errorf("%w: it is %s, and only a finished run can be repeated: `finch run` goes on with it", ErrRunState, found[0].Status)
		}
		// What was changed behind finch's back must not get a sound fingerprint.
		broken, err := checkSealed(ctx, tx, run)
		if err != nil {
			return err
		}
		if len(broken) > 0 {
			return fmt.Errorf("%w: %v", ErrDamaged, broken[0])
		}
		d := newDigest()
		if err := fingerprint(ctx, tx, d, run); err != nil {
			return err
		}
		return writeBundle(ctx, tx, &found[0], d.hex(), w)
	})
}

func writeBundle(ctx context.Context, tx *sql.Tx, r *Run, fingerprint string, w io.Writer) error {
	head, err := json.MarshalIndent(about{r.Version, r.Engine, r.Architecture, r.Model, r.Config, fingerprint}, "", "  ")
	if err != nil {
		return err
	}
	out := bufio.NewWriter(w) // keeps the first error until Flush
	fmt.Fprintf(out, "{\n\"finch_bundle\": %d,\n\"about\": %s", bundleVersion, head)
	if err := writeTable(ctx, tx, &lineage, r.ID, out); err != nil {
		return err
	}
	for i := range parts {
		if err := writeTable(ctx, tx, &parts[i], r.ID, out); err != nil {
			return err
		}
	}
	fmt.Fprint(out, "\n}\n")
	return out.Flush()
}

func writeTable(ctx context.Context, tx *sql.Tx, p *part, run int64, out *bufio.Writer) error {
	found, err := selectRows(ctx, tx, p.query, p.args(run)...)
	if err != nil {
		return err
	}
	defer found.Close()
	columns, err := json.Marshal(p.columns())
	if err != nil {
		return err
	}
	fmt.Fprintf(out, ",\n%q: [\n%s", p.name, columns)
	var line []byte
	values, err := found.next()
	for ; values != nil && err == nil; values, err = found.next() {
		if line, err = appendRow(append(line[:0], ",\n"...), values); err != nil {
			return err
		}
		if _, err := out.Write(line); err != nil {
			return err
		}
	}
	fmt.Fprint(out, "\n]")
	return err
}

// appendRow writes values as a JSON list from which readValue makes the same.
func appendRow(line []byte, values []any) ([]byte, error) {
	separator := byte('[')
	for _, v := range values {
		line = append(line, separator)
		separator = ','
		switch v := v.(type) {
		case nil:
			line = append(line, "null"...)
		case int64:
			line = strconv.AppendInt(line, v, 10)
		case float64:
			line = appendFloat(line, v)
		case string:
			text, err := json.Marshal(v)
			if err != nil {
				return nil, err
			}
			line = append(line, text...)
		default:
			return nil, fmt.Errorf("%w: a %T where a number or a text should be", ErrDamaged, v)
		}
	}
	return append(line, ']'), nil
}

// appendFloat writes what no integer looks like. JSON has no infinity: it becomes a number that is too large for a float.
func appendFloat(line []byte, v float64) []byte {
	switch {
	case math.IsInf(v, 1):
		return append(line, "1e999"...)
	case math.IsInf(v, -1):
		return append(line, "-1e999"...)
	}
	start := len(line)
	line = strconv.AppendFloat(line, v, 'g', -1, 64)
	if !strings.ContainsAny(string(line[start:]), ".e") {
		line = append(line, ".0"...)
	}
	return line
}

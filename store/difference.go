package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Difference is the first thing in which a run is not like another: causes before effects, and generation by generation.
type Difference struct {
	Part    string // the table
	Row     string // its row, such as "generation 3, candidate 17"; "" where there is but one
	Message string

	generation, rank int
}

func (d *Difference) String() string {
	where := d.Part
	if d.Row != "" {
		where += ": " + d.Row
	}
	return where + ": " + d.Message
}

// Comparison of two runs in all that a fingerprint covers.
type Comparison struct {
	First   *Difference // nil: none, or none beyond the tolerance
	Largest float64     // relative difference of two numbers that were compared with a tolerance

	tolerance float64
}

// add compares a part of two runs.
func (c *Comparison) add(p *part, was, is rows) error {
	columns := p.columns()
	for {
		old, err := was.next()
		if err != nil {
			return err
		}
		now, err := is.next()
		if err != nil {
			return err
		}
		if old == nil && now == nil {
			return nil
		}
		if d := c.row(p, columns, old, now); d != nil {
			if c.First == nil || d.before(c.First) {
				c.First = d
			}
			return nil // those that follow are no earlier
		}
	}
}

// row compares one row, nil where there is none.
func (c *Comparison) row(p *part, columns []string, was, is []any) *Difference {
	switch {
	case was == nil:
		return p.difference(columns, is, "there was none")
	case is == nil:
		return p.difference(columns, was, "it is missing")
	}
	for _, key := range p.keys {
		if at := slices.Index(columns, key); !identical(was[at], is[at]) {
			return p.difference(columns, was, "in its place is "+p.row(columns, is))
		}
	}
	for i, column := range columns {
		if !c.same(column, was[i], is[i]) {
			return p.difference(columns, was, fmt.Sprintf("%s was %s and is %s", column, display(was[i]), display(is[i])))
		}
	}
	return nil
}

// same compares two values of a column. With a tolerance, numbers that are not whole may differ by it, and the kernels may
// be others.
func (c *Comparison) same(column string, was, is any) bool {
	if identical(was, is) {
		return true
	}
	if c.tolerance == 0 {
		return false
	}
	x, ok := was.(float64)
	y, also := is.(float64)
	if !ok || !also {
		return column == "kernel_path"
	}
	relative := math.Abs(x-y) / max(math.Abs(x), math.Abs(y))
	if !(relative <= c.tolerance) {
		return false
	}
	c.Largest = max(c.Largest, relative)
	return true
}

// identical compares as a hash does: floats by their bits.
func identical(a, b any) bool {
	x, ok := a.(float64)
	y, also := b.(float64)
	if ok && also {
		return math.Float64bits(x) == math.Float64bits(y)
	}
	return a == b
}

func display(v any) string {
	if v == nil {
		return "none"
	}
	return plain(v, -1)
}

func (p *part) difference(columns []string, values []any, message string) *Difference {
	d := &Difference{Part: p.name, Row: p.row(columns, values), Message: message, rank: p.rank}
	if at := slices.Index(columns, "generation"); at >= 0 {
		generation, _ := values[at].(int64)
		d.generation = int(generation)
	}
	return d
}

// row names a row by its keys.
func (p *part) row(columns []string, values []any) string {
	var names []string
	for _, key := range p.keys {
		names = append(names, key+" "+display(values[slices.Index(columns, key)]))
	}
	return strings.Join(names, ", ")
}

// before says that d comes before o. What a search does comes generation by generation, all else by its rank.
func (d *Difference) before(o *Difference) bool {
	searched := func(d *Difference) bool { return d.rank >= rankSlices && d.rank <= rankGenerations }
	if searched(d) && searched(o) && d.generation != o.generation {
		return d.generation < o.generation
	}
	return d.rank < o.rank
}

// differ compares runs of two databases in all but their status.
func differ(ctx context.Context, was *sql.Tx, old int64, is *sql.Tx, now int64) (c Comparison, err error) {
	for i := range parts {
		p := &parts[i]
		if p.rank == rankStatus {
			continue
		}
		if err := c.addSelected(ctx, p, was, old, is, now); err != nil {
			return c, err
		}
	}
	return c, nil
}

func (c *Comparison) addSelected(ctx context.Context, p *part, was *sql.Tx, old int64, is *sql.Tx, now int64) (err error) {
	first, err := selectRows(ctx, was, p.query, p.args(old)...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, first.Close()) }()
	second, err := selectRows(ctx, is, p.query, p.args(now)...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, second.Close()) }()
	return c.add(p, first, second)
}

package store

import (
	"context"
	"database/sql"
)

// rows are read one by one. next returns nil after the last; values are the caller's until it is called again. Each is
// nil, int64, float64 or string.
type rows interface {
	next() (values []any, err error)
}

// selected are the rows of a query.
type selected struct {
	*sql.Rows
	values, targets []any
}

func selectRows(ctx context.Context, tx *sql.Tx, query string, args ...any) (*selected, error) {
	found, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	columns, err := found.Columns()
	if err != nil {
		found.Close()
		return nil, err
	}
	s := &selected{found, make([]any, len(columns)), make([]any, len(columns))}
	for i := range s.values {
		s.targets[i] = &s.values[i]
	}
	return s, nil
}

func (s *selected) next() ([]any, error) {
	if !s.Next() {
		return nil, s.Err()
	}
	return s.values, s.Scan(s.targets...)
}

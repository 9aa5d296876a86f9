package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/mattn/go-sqlite3"
)

// queries/NAME.sql: comment lines first (one that explains, then one ":param = meaning" per parameter), then one SELECT.
//
//go:embed queries/*.sql
var queries embed.FS

// NamedQuery is a query that comes with finch.
type NamedQuery struct {
	Name        string
	Description string
	Params      []Param
	SQL         string
}

// Param is a parameter of a named query; absent, it is NULL.
type Param struct{ Name, Description string }

// Table is the answer to a query. Values are nil, int64, float64, string or []byte.
type Table struct {
	Columns []string
	Rows    [][]any
}

// Queries lists the named queries, by name.
func Queries() []NamedQuery {
	names, err := fs.Glob(queries, "queries/*.sql")
	if err != nil || len(names) == 0 {
		panic("store: no queries are embedded")
	}
	all := make([]NamedQuery, len(names))
	for i, name := range names {
		text, err := queries.ReadFile(name)
		if err != nil {
			panic("store: " + err.Error())
		}
		all[i] = parseQuery(strings.TrimSuffix(path.Base(name), ".sql"), string(text))
	}
	return all
}

func parseQuery(name, text string) NamedQuery {
	q := NamedQuery{Name: name, SQL: text}
	for line := range strings.Lines(text) {
		comment, ok := strings.CutPrefix(strings.TrimSpace(line), "-- ")
		if !ok {
			break
		}
		if param, ok := strings.CutPrefix(comment, ":"); ok {
			name, meaning, _ := strings.Cut(param, " = ")
			q.Params = append(q.Params, Param{name, meaning})
		} else if q.Description == "" {
			q.Description = comment
		}
	}
	return q
}

// Query answers a named query or one SQL statement that reads. Parameters are named as in the SQL, without the colon. The
// context sets the time limit.
func (db *DB) Query(ctx context.Context, query string, params map[string]any) (*Table, error) {
	statement, params, err := resolve(query, params)
	if err != nil {
		return nil, fmt.Errorf("query: %w", err)
	}
	if _, ok := named(query); ok {
		if err := db.requireRuns(ctx, params); err != nil {
			return nil, err
		}
	}
	table, err := db.ask(ctx, statement, params)
	if err != nil {
		var failure sqlite3.Error
		if ctx.Err() == nil && errors.As(err, &failure) && failure.Code == sqlite3.ErrError {
			return nil, fmt.Errorf("query: %w: %w; `sqlite3 %s .schema` shows the tables and views", ErrQuery, err, db.path)
		}
		return nil, explain(ctx, db.path, "query", err)
	}
	return table, nil
}

// resolve finds the statement, and sets the absent parameters of a named query to NULL.
func resolve(query string, given map[string]any) (statement string, params map[string]any, err error) {
	q, ok := named(query)
	if !ok {
		if len(strings.Fields(query)) == 1 && !strings.Contains(query, ";") {
			var names []string
			for _, q := range Queries() {
				names = append(names, q.Name)
			}
			return "", nil, fmt.Errorf("%w: no query is named %q: there are %s, or write SQL", ErrQuery, query, strings.Join(names, ", "))
		}
		statement, err = soleStatement(query)
		for _, name := range slices.Sorted(maps.Keys(given)) {
			if err == nil && !strings.Contains(statement, ":"+name) {
				err = fmt.Errorf("%w: there is no :%s in it", ErrQuery, name) // SQLite would ignore it
			}
		}
		return statement, given, err
	}
	params = map[string]any{}
	for _, p := range q.Params {
		params[p.Name] = nil
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if _, known := params[name]; !known {
			return "", nil, fmt.Errorf("%w: %s has no parameter %q: it has %s", ErrQuery, q.Name, name,
				strings.Join(slices.Sorted(maps.Keys(params)), ", "))
		}
		params[name] = given[name]
	}
	return q.SQL, params, nil
}

// named finds a query that comes with finch.
func named(query string) (q NamedQuery, ok bool) {
	all := Queries()
	at := slices.IndexFunc(all, func(q NamedQuery) bool { return q.Name == strings.TrimSpace(query) })
	if at < 0 {
		return NamedQuery{}, false
	}
	return all[at], true
}

// requireRuns refuses runs and experiments that are not there, about which a named query would say nothing.
func (db *DB) requireRuns(ctx context.Context, params map[string]any) error {
	return db.snapshot(ctx, "query", func(tx *sql.Tx) error {
		for _, name := range []string{"run", "runs", "experiment"} {
			if params[name] == nil {
				continue
			}
			for wanted := range strings.SplitSeq(fmt.Sprint(params[name]), ",") {
				wanted = strings.TrimSpace(wanted)
				var there bool
				err := tx.QueryRowContext(ctx, "SELECT count(*) > 0 FROM runs WHERE superseded = 0 AND (experiment = ?1 OR id = ?1 AND ?2)",
					wanted, name != "experiment").Scan(&there)
				if err != nil {
					return err
				}
				if !there {
					return fmt.Errorf("%s %q: %w, or set aside: `finch status` lists the runs", strings.TrimSuffix(name, "s"), wanted, ErrNotFound)
				}
			}
		}
		return nil
	})
}

// ask runs one statement on a connection that is guarded meanwhile: the file is open read-only anyway, and the guard says
// so clearly, and keeps the connection as it is for its next user.
func (db *DB) ask(ctx context.Context, statement string, params map[string]any) (table *Table, err error) {
	conn, err := db.read.Conn(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	refused := false
	err = conn.Raw(func(c any) error {
		c.(*sqlite3.SQLiteConn).RegisterAuthorizer(func(action int, name, value, _ string) int {
			if reads(action, name, value) {
				return sqlite3.SQLITE_OK
			}
			refused = true
			return sqlite3.SQLITE_DENY
		})
		return nil
	})
	if err != nil {
		return nil, err
	}
	defer func() {
		err = errors.Join(err, conn.Raw(func(c any) error {
			c.(*sqlite3.SQLiteConn).RegisterAuthorizer(nil)
			return nil
		}))
	}()
	table, err = collect(ctx, conn, statement, params)
	if refused {
		return nil, fmt.Errorf("%w: this statement does more; SELECT, WITH, VALUES, EXPLAIN and the PRAGMAs that describe "+
			"tables are allowed, and `sqlite3 %s` is there for the rest", ErrWriting, db.path)
	}
	return table, err
}

// describing are the PRAGMAs that tell and change nothing.
var describing = []string{"application_id", "compile_options", "foreign_key_check", "foreign_key_list", "index_info",
	"index_list", "index_xinfo", "integrity_check", "journal_mode", "page_count", "page_size", "quick_check", "table_info",
	"table_list", "table_xinfo", "user_version"}

// settable are those of them that an argument would change.
var settable = []string{"application_id", "journal_mode", "page_size", "user_version"}

// reads says whether an action that SQLite asks leave for is one of reading.
func reads(action int, name, value string) bool {
	const recursive = 33 // SQLITE_RECURSIVE, which the driver does not name
	switch action {
	case sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, recursive:
		return true
	case sqlite3.SQLITE_PRAGMA:
		name = strings.ToLower(name)
		return slices.Contains(describing, name) && (value == "" || !slices.Contains(settable, name))
	}
	return false
}

func collect(ctx context.Context, conn *sql.Conn, statement string, params map[string]any) (table *Table, err error) {
	var args []any
	for _, name := range slices.Sorted(maps.Keys(params)) {
		args = append(args, sql.Named(name, params[name]))
	}
	// Not prepared first: the driver reads through a null pointer when it runs a prepared text that SQLite takes for empty.
	rows, err := conn.QueryContext(ctx, statement, args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	table = &Table{}
	if table.Columns, err = rows.Columns(); err != nil {
		return nil, err
	}
	targets := make([]any, len(table.Columns))
	for rows.Next() {
		row := make([]any, len(table.Columns))
		for i := range row {
			targets[i] = &row[i]
		}
		if err := rows.Scan(targets...); err != nil {
			return nil, err
		}
		table.Rows = append(table.Rows, row)
	}
	return table, rows.Err()
}

package store

import (
	"bytes"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/mattn/go-sqlite3"

	"github.com/finch-llm/finch/internal/failpoint"
)

// Options of Open. The zero value is ready to use.
type Options struct {
	Clock func() time.Time // default time.Now
}

// DB is an open database, safe for concurrent use.
type DB struct {
	path  string
	clock func() time.Time
	write *sql.DB // one connection, so that writers of this process queue up in Go; nil when opened read-only
	read  *sql.DB
}

const (
	writeOptions = "_journal_mode=WAL&_synchronous=FULL&_busy_timeout=5000&_foreign_keys=1&_txlock=immediate"
	readOptions  = "mode=ro&_query_only=1&_busy_timeout=5000"
	readers      = 4
)

// Open opens the database at path for writing, creating it when absent. An older schema is migrated, after a copy of the
// file was made beside it (path.bak-vN).
func Open(ctx context.Context, path string, options Options) (*DB, error) {
	db, err := locate(path, options)
	if err != nil {
		return nil, err
	}
	for start := time.Now(); ; {
		err := db.openForWriting(ctx)
		if err == nil {
			return db, nil
		}
		if err := db.Close(); err != nil {
			return nil, err
		}
		if time.Since(start) > openPatience || !isBusy(err) || !pause(ctx, openPause) {
			return nil, explain(ctx, path, "open database", err)
		}
	}
}

// While another process puts a new file into WAL mode or takes the last log away, SQLite answers BUSY at once and does
// not wait for _busy_timeout: opening is tried again.
const (
	openPatience = 3 * time.Second
	openPause    = 20 * time.Millisecond
)

func isBusy(err error) bool {
	var failure sqlite3.Error
	return errors.As(err, &failure) && failure.Code == sqlite3.ErrBusy
}

// pause waits, and says whether the context allowed it.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (db *DB) openForWriting(ctx context.Context) error {
	info, err := os.Stat(db.path)
	fresh := errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0
	if !fresh {
		version, err := db.inspect(ctx, readOptions)
		if err != nil {
			return err
		}
		if version > 0 && version < latestSchema() {
			if err := db.backup(ctx, version); err != nil {
				return fmt.Errorf("copy the database before migrating it: %w", err)
			}
		}
	}
	db.write = openPool(db.path, writeOptions, 1)
	if err := db.migrate(ctx, latestSchema()); err != nil {
		return err
	}
	db.read = openPool(db.path, readOptions, readers)
	return db.read.PingContext(ctx)
}

// OpenReadOnly opens the database at path for reading. It works beside a running search, and in a folder that cannot be
// written to when no search is running there.
func OpenReadOnly(ctx context.Context, path string) (*DB, error) {
	db, err := locate(path, Options{})
	if err != nil {
		return nil, err
	}
	if err := db.openForReading(ctx); err != nil {
		return nil, errors.Join(explain(ctx, path, "open database", err), db.Close())
	}
	return db, nil
}

func (db *DB) openForReading(ctx context.Context) error {
	if _, err := os.Stat(db.path); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w: `finch run` creates it; --db names another", db.path, ErrMissing)
	}
	options := readOptions
	version, err := db.inspect(ctx, options)
	if kind := classify(err); (kind == ErrCannotOpen || kind == ErrReadOnly) && !hasLog(db.path) {
		// The index of the write-ahead log cannot be created here. Without a log nobody writes, and the file alone is
		// the database.
		options += "&immutable=1"
		version, err = db.inspect(ctx, options)
	}
	if err != nil {
		return err
	}
	if version < latestSchema() {
		return fmt.Errorf("%s: %w: %d, and this finch reads %d: `finch run` with this --db migrates it and keeps a copy",
			db.path, ErrOlderSchema, version, latestSchema())
	}
	db.read = openPool(db.path, options, readers)
	return nil
}

// Close ends all use of the database. The writer goes last, so that it can fold the log into the file.
func (db *DB) Close() error {
	var first, second error
	if db.read != nil {
		first = db.read.Close()
	}
	if db.write != nil {
		second = db.write.Close()
	}
	return errors.Join(first, second)
}

// Path is where the database lies.
func (db *DB) Path() string { return db.path }

// update runs f in one write transaction.
func (db *DB) update(ctx context.Context, step failpoint.Step, what string, f func(*sql.Tx) error) error {
	if db.write == nil {
		return fmt.Errorf("%s: %s: %w: the database was opened for reading only", what, db.path, ErrReadOnly)
	}
	return explain(ctx, db.path, what, db.commit(ctx, step, f))
}

// commit runs f in one write transaction that passes the points of a step.
func (db *DB) commit(ctx context.Context, step failpoint.Step, f func(*sql.Tx) error) error {
	err := transact(ctx, db.write, func(tx *sql.Tx) error {
		if err := f(tx); err != nil {
			return err
		}
		failpoint.At(step, failpoint.Written)
		return nil
	})
	if err == nil {
		failpoint.At(step, failpoint.Committed)
	}
	return err
}

// snapshot runs f on one consistent state of the database.
func (db *DB) snapshot(ctx context.Context, what string, f func(*sql.Tx) error) error {
	return explain(ctx, db.path, what, transact(ctx, db.read, f))
}

func transact(ctx context.Context, pool *sql.DB, f func(*sql.Tx) error) error {
	tx, err := pool.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := f(tx); err != nil {
		if rollback := tx.Rollback(); rollback != nil && !errors.Is(rollback, sql.ErrTxDone) {
			return errors.Join(err, rollback)
		}
		return err
	}
	return tx.Commit()
}

// locate refuses what is no database before SQLite touches it.
func locate(path string, options Options) (*DB, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	db := &DB{path: absolute, clock: options.Clock}
	if db.clock == nil {
		db.clock = time.Now
	}
	file, err := os.Open(absolute)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return db, nil
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("open database: %w: %s: make it readable, or give another --db", ErrCannotOpen, path)
	case err != nil:
		return nil, fmt.Errorf("open database: %w: %w", ErrCannotOpen, err)
	}
	defer file.Close()
	if info, err := file.Stat(); err == nil && info.IsDir() {
		return nil, fmt.Errorf("open database: %s: %w: give a file inside it, as in --db %s", path, ErrDirectory,
			filepath.Join(path, "finch.db"))
	}
	magic := []byte("SQLite format 3\x00")
	header := make([]byte, len(magic))
	n, err := io.ReadFull(file, header)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, fmt.Errorf("open database: %w: %w", ErrIO, err)
	}
	if n > 0 && !bytes.Equal(header, magic) {
		return nil, fmt.Errorf("open database: %s: %w: it does not begin as a SQLite file; %s", path, ErrNotDatabase,
			fmt.Sprintf(advice[ErrNotDatabase], path))
	}
	return db, nil
}

func hasLog(path string) bool {
	info, err := os.Stat(path + "-wal")
	return err == nil && info.Size() > 0
}

// connector opens connections that know sqrt, which the views use and the driver leaves out.
type connector struct {
	dsn    string
	driver *sqlite3.SQLiteDriver
}

func (c connector) Connect(context.Context) (driver.Conn, error) { return c.driver.Open(c.dsn) }
func (c connector) Driver() driver.Driver                        { return c.driver }

func openPool(path, options string, connections int) *sql.DB {
	pool := sql.OpenDB(connector{
		dsn: "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + options,
		driver: &sqlite3.SQLiteDriver{ConnectHook: func(c *sqlite3.SQLiteConn) error {
			return c.RegisterFunc("sqrt", squareRoot, true)
		}},
	})
	pool.SetMaxOpenConns(connections)
	pool.SetMaxIdleConns(connections)
	return pool
}

// squareRoot is sqrt as SQLite's own math functions have it: NULL for what has no root.
func squareRoot(v any) any {
	switch v := v.(type) {
	case int64:
		return squareRoot(float64(v))
	case float64:
		if v >= 0 {
			return math.Sqrt(v)
		}
	}
	return nil
}

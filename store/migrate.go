package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/finch-llm/finch/internal/failpoint"
)

// migrations/NNNN_name.sql, applied in order; the number is the schema version (PRAGMA user_version) it leads to.
//
//go:embed migrations/*.sql
var migrations embed.FS

// applicationID marks a database as finch's ("finc"); the first migration writes it.
const applicationID = 0x66696e63

func migrationFiles() []string {
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil || len(names) == 0 {
		panic("store: no migrations are embedded")
	}
	for i, name := range names {
		number, _, _ := strings.Cut(filepath.Base(name), "_")
		if version, err := strconv.Atoi(number); err != nil || version != i+1 {
			panic("store: migration out of order: " + name)
		}
	}
	return names
}

func latestSchema() int { return len(migrationFiles()) }

// inspect reads the schema version without changing the file, and refuses databases that are not ours or too new.
// Version 0 is a database without tables.
func (db *DB) inspect(ctx context.Context, options string) (version int, err error) {
	pool := openPool(db.path, options, 1)
	defer func() { err = errors.Join(err, pool.Close()) }()
	err = transact(ctx, pool, func(tx *sql.Tx) error {
		version, err = db.checkSchema(ctx, tx)
		return err
	})
	return version, err
}

func (db *DB) checkSchema(ctx context.Context, tx *sql.Tx) (version int, err error) {
	var application, tables int
	if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&tables); err != nil {
		return 0, err
	}
	if err := tx.QueryRowContext(ctx, "PRAGMA application_id").Scan(&application); err != nil {
		return 0, err
	}
	if err := tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return 0, err
	}
	switch {
	case tables == 0 && version == 0:
		return 0, nil
	case application != applicationID:
		return 0, fmt.Errorf("%s: %w: another program's SQLite database; give another --db", db.path, ErrNotDatabase)
	case version > latestSchema():
		return 0, fmt.Errorf("%s: %w: schema %d, and this finch knows up to %d: use a newer finch, or give another --db",
			db.path, ErrNewerSchema, version, latestSchema())
	case version < 1:
		return 0, fmt.Errorf("%s: %w: its schema version is %d", db.path, ErrDamaged, version)
	}
	return version, nil
}

// migrate brings the schema up to a version, one transaction per step; a new database is made in a single one, so that
// nobody finds it half made and takes it for an old one. The version is read again inside each transaction, because
// another process may be doing the same.
func (db *DB) migrate(ctx context.Context, upTo int) error {
	for done := 0; done < upTo; {
		err := db.commit(ctx, failpoint.Migration, func(tx *sql.Tx) error {
			version, err := db.checkSchema(ctx, tx)
			if err != nil {
				return err
			}
			last := version + 1
			if version == 0 {
				last = upTo
			}
			for done = version; done < min(last, upTo); done++ {
				if err := migrateStep(ctx, tx, done); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// migrateStep takes the schema from a version to the next.
func migrateStep(ctx context.Context, tx *sql.Tx, version int) error {
	name := migrationFiles()[version]
	statements, err := migrations.ReadFile(name)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, string(statements)); err != nil {
		return fmt.Errorf("migration %s: %w", filepath.Base(name), err)
	}
	_, err = tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", version+1))
	return err
}

// backup copies the database to path.bak-vN, or to path.bak-vN.1, … when that exists: no earlier copy is overwritten.
func (db *DB) backup(ctx context.Context, version int) (err error) {
	base := fmt.Sprintf("%s.bak-v%d", db.path, version)
	name := base
	for i := 1; ; i++ {
		if _, err := os.Lstat(name); errors.Is(err, fs.ErrNotExist) {
			break
		} else if err != nil {
			return err
		}
		name = fmt.Sprintf("%s.%d", base, i)
	}
	temporary := name + ".tmp"
	if err := removeIfExists(temporary); err != nil { // what an interrupted copy left
		return err
	}
	pool := openPool(db.path, readOptions, 1)
	defer func() { err = errors.Join(err, pool.Close()) }()
	// query_only refuses VACUUM INTO although it writes only to the copy; mode=ro still guards the source.
	if _, err := pool.ExecContext(ctx, "PRAGMA query_only = 0"); err != nil {
		return err
	}
	if _, err := pool.ExecContext(ctx, "VACUUM INTO ?", temporary); err != nil {
		return errors.Join(err, removeIfExists(temporary))
	}
	if err := syncPath(temporary); err != nil {
		return err
	}
	failpoint.At(failpoint.Backup, failpoint.Written)
	if err := os.Rename(temporary, name); err != nil {
		return err
	}
	failpoint.At(failpoint.Backup, failpoint.Renamed)
	return syncPath(filepath.Dir(name))
}

func removeIfExists(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// syncPath flushes a file or a folder to disk.
func syncPath(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}

package store

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"github.com/mattn/go-sqlite3"
)

// What can go wrong, for errors.Is. The returned errors say where, and what to do next.
var (
	ErrNotDatabase = errors.New("not a finch database")
	ErrDirectory   = errors.New("a directory, not a database file")
	ErrMissing     = errors.New("no such database")
	ErrNewerSchema = errors.New("the database has a newer schema than this finch knows")
	ErrOlderSchema = errors.New("the database has an older schema")
	ErrDamaged     = errors.New("the database file is damaged")
	ErrReadOnly    = errors.New("cannot write here")
	ErrCannotOpen  = errors.New("cannot open the database file")
	ErrFiles       = errors.New("too many open files")
	ErrFull        = errors.New("no space left")
	ErrIO          = errors.New("reading or writing the disk failed")
	ErrBusy        = errors.New("another process has been writing for too long")

	ErrNotFound  = errors.New("not in the database")
	ErrRunExists = errors.New("the experiment already has a live run with this seed")
	ErrRunState  = errors.New("not possible in this state of the run")
	ErrInvalid   = errors.New("invalid record")
	ErrConflict  = errors.New("the record holds a different value")
	ErrQuery     = errors.New("the query failed")
	ErrWriting   = errors.New("queries may only read")
)

// advice is what to do about the errors that come from outside; %s is the path of the database.
var advice = map[error]string{
	ErrNotDatabase: "give another --db, or move %s away",
	ErrDamaged:     "keep %[1]s and its -wal file, run `finch check %[1]s`, and go on from a backup or from `sqlite3 %[1]s .recover`",
	ErrReadOnly:    "make %s and its folder writable, or give another --db",
	ErrCannotOpen:  "see that the folder of %s exists and that it is writable",
	ErrFiles:       "let finch open more files (ulimit -n) and run again on %s: all that was committed is kept",
	ErrFull:        "free space on the disk of %s and run again: all that was committed is kept",
	ErrIO:          "check the disk of %s and run again: all that was committed is kept",
	ErrBusy:        "wait for the process that writes to %s, or stop it",
}

// classify finds the sentinel for an error of SQLite; nil when there is none.
func classify(err error) error {
	var failure sqlite3.Error
	if !errors.As(err, &failure) {
		return nil
	}
	switch failure.Code {
	case sqlite3.ErrNotADB:
		return ErrNotDatabase
	case sqlite3.ErrCorrupt:
		return ErrDamaged
	case sqlite3.ErrReadonly, sqlite3.ErrPerm:
		return ErrReadOnly
	case sqlite3.ErrFull:
		return ErrFull
	case sqlite3.ErrBusy, sqlite3.ErrLocked:
		return ErrBusy
	case sqlite3.ErrCantOpen, sqlite3.ErrIoErr:
		switch failure.SystemErrno {
		case syscall.ENOSPC, syscall.EDQUOT:
			return ErrFull
		case syscall.EROFS, syscall.EACCES, syscall.EPERM:
			return ErrReadOnly
		case syscall.EMFILE, syscall.ENFILE:
			return ErrFiles
		}
		if failure.Code == sqlite3.ErrCantOpen {
			return ErrCannotOpen
		}
		return ErrIO
	case sqlite3.ErrConstraint, sqlite3.ErrMismatch:
		return ErrInvalid
	}
	return nil
}

// explain says what failed where, and what to do next. An error that a stopped context caused reports the context.
func explain(ctx context.Context, path, what string, err error) error {
	if err == nil {
		return nil
	}
	if stopped := ctx.Err(); stopped != nil {
		return fmt.Errorf("%s: %w", what, stopped)
	}
	kind := classify(err)
	if kind == nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if next, ok := advice[kind]; ok {
		return fmt.Errorf("%s: %s: %w: %s (%w)", what, path, kind, fmt.Sprintf(next, path), err)
	}
	return fmt.Errorf("%s: %s: %w (%w)", what, path, kind, err)
}

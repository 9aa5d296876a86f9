// Package filelock holds a file for one process at a time. The operating system lets go of the lock when the process ends,
// however it ends.
package filelock

import (
	"fmt"
	"os"
	"strings"
)

// Lock is a held lock.
type Lock struct{ f *os.File }

// HeldError says that another process holds the lock.
type HeldError struct {
	Path string
	PID  string // of the holder, as it wrote it; empty if it has not yet
}

func (e *HeldError) Error() string {
	if e.PID == "" {
		return fmt.Sprintf("%s is held by another process", e.Path)
	}
	return fmt.Sprintf("%s is held by process %s", e.Path, e.PID)
}

// Acquire locks the file at path, which it creates if it is missing, or returns a *HeldError at once.
func Acquire(path string) (*Lock, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, fmt.Errorf("lock file: %w", err)
	}
	held, err := tryLock(f)
	if held {
		buf := make([]byte, 32)
		n, _ := f.Read(buf)
		f.Close()
		return nil, &HeldError{Path: path, PID: strings.TrimSpace(string(buf[:n]))}
	}
	if err == nil {
		err = f.Truncate(0)
	}
	if err == nil {
		_, err = fmt.Fprintf(f, "%d\n", os.Getpid())
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock file %s: %w", path, err)
	}
	return &Lock{f}, nil
}

// Release lets go. The file stays: removing it could take away a lock that another process has just acquired.
func (l *Lock) Release() error { return l.f.Close() }

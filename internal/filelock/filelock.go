// Package filelock holds a file for one process at a time. The operating system lets go of the lock when the process ends,
// however it ends.
package filelock

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"
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

// Held can only ask by locking, for an instant: so long may a lock be held and still be free.
const (
	instants = 5
	instant  = 10 * time.Millisecond
)

// Acquire locks the file at path, which it creates if it is missing, or returns a *HeldError almost at once.
func Acquire(path string) (*Lock, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, fmt.Errorf("lock file: %w", err)
	}
	held, err := tryLock(f)
	for i := 0; held && i < instants; i++ {
		time.Sleep(instant)
		held, err = tryLock(f)
	}
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

// Held says whether a process holds the lock of the file at path. It creates nothing.
func Held(path string) (bool, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("lock file: %w", err)
	}
	defer f.Close()
	held, err := tryLock(f)
	if held || err == nil {
		return held, nil
	}
	return false, fmt.Errorf("lock file %s: %w", path, err)
}

// Release lets go. The file stays: removing it could take away a lock that another process has just acquired.
func (l *Lock) Release() error { return l.f.Close() }

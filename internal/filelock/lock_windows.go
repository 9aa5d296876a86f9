package filelock

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

func tryLock(f *os.File) (held bool, err error) {
	// The byte that is locked lies beyond the text, so that others can read who holds it.
	overlapped := windows.Overlapped{OffsetHigh: 1}
	err = windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &overlapped)
	return errors.Is(err, windows.ERROR_LOCK_VIOLATION), err
}

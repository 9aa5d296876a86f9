// Package atomicfile writes files that are either there and whole, or not there: after a crash, a full disk or a lost power
// supply the path holds what it held before or all of the new content.
package atomicfile

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"syscall"

	"github.com/finch-llm/finch/internal/failpoint"
)

// Write replaces the file at path by what write produces: written under a temporary name in the same folder, synced,
// renamed, and the folder synced. On an error the old content stays and the temporary file is removed. A link is followed;
// the permissions of an existing file are kept. A path that names something else than a regular file is refused.
func Write(path string, write func(io.Writer) error) error {
	return replace(disk{}, path, write)
}

// tempName is the name of a file that is being written, less its number.
const tempName = ".finch-%s.tmp"

// Clean removes the temporary files that killed processes left in a folder. No other process may be writing there.
func Clean(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("look for what interrupted writes left: %w", err)
	}
	for _, e := range entries {
		if match, _ := filepath.Match(fmt.Sprintf(tempName, "*"), e.Name()); match {
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
				return fmt.Errorf("remove what an interrupted write left: %w", err)
			}
		}
	}
	return nil
}

// file is what replace needs of a file that it writes.
type file interface {
	io.WriteCloser
	Chmod(os.FileMode) error
	Sync() error
}

// system is what can fail below: the real disk, or a failing one in tests.
type system interface {
	create(path string) (file, error)
	rename(from, to string) error
	remove(path string) error
	syncFolder(path string) error
}

// bufferBytes is large enough that a system call per buffer costs nothing.
const bufferBytes = 256 << 10

func replace(sys system, path string, write func(io.Writer) error) (err error) {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	old, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		old = nil
	case err != nil:
		return err
	case !old.Mode().IsRegular():
		return fmt.Errorf("%s exists and is not a regular file: choose another name", path)
	}

	dir := filepath.Dir(path)
	temp := filepath.Join(dir, fmt.Sprintf(tempName, fmt.Sprintf("%016x", rand.Uint64())))
	f, err := sys.create(temp)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	renamed := false
	defer func() {
		if !renamed { // also when write panics
			f.Close()
			sys.remove(temp)
		}
		if err != nil {
			err = fmt.Errorf("write %s: %w", path, err)
		}
	}()

	if old != nil {
		if err = f.Chmod(old.Mode().Perm()); err != nil {
			return err
		}
	}
	buffer := bufio.NewWriterSize(f, bufferBytes)
	if err = write(buffer); err != nil {
		return err
	}
	if err = buffer.Flush(); err != nil {
		return err
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	failpoint.At(failpoint.File, failpoint.Written)
	if err = sys.rename(temp, path); err != nil {
		return err
	}
	renamed = true
	failpoint.At(failpoint.File, failpoint.Renamed)
	// The rename itself is durable only once the folder is.
	return sys.syncFolder(dir)
}

// Rename gives a file that is written and synced its name, in the place of what has it, and syncs the folder.
func Rename(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return disk{}.syncFolder(filepath.Dir(to))
}

type disk struct{}

// create leaves the permissions to the user's umask.
func (disk) create(path string) (file, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
}

func (disk) rename(from, to string) error { return os.Rename(from, to) }
func (disk) remove(path string) error     { return os.Remove(path) }

func (disk) syncFolder(path string) error {
	if runtime.GOOS == "windows" {
		return nil // folders cannot be synced there
	}
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	// Some network and FUSE file systems have no fsync for folders; nothing more can be done there.
	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return nil
}

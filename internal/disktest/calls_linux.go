package disktest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// call is a system call that a thread is about to make.
type call struct {
	process string // its folder in /proc
	folder  string
	args    [6]uint64
}

// decoder says what a call would do to the folder: nothing, most often.
type decoder func(call) ([]Op, error)

// calls are those that change files, as Go's runtime and C's library make them. calls_*.go add what only old machines have.
var calls = map[uintptr]decoder{
	unix.SYS_OPENAT:    func(c call) ([]Op, error) { return c.open(c.dir(0), 1, c.args[2]) },
	unix.SYS_WRITE:     func(c call) ([]Op, error) { return c.write(-1) },
	unix.SYS_PWRITE64:  func(c call) ([]Op, error) { return c.write(int64(c.args[3])) },
	unix.SYS_FTRUNCATE: func(c call) ([]Op, error) { return c.onFile(Op{Kind: Truncate, Offset: int64(c.args[1])}) },
	unix.SYS_FALLOCATE: func(c call) ([]Op, error) { return c.allocate() },
	unix.SYS_FSYNC:     func(c call) ([]Op, error) { return c.onFile(Op{Kind: Sync}) },
	unix.SYS_FDATASYNC: func(c call) ([]Op, error) { return c.onFile(Op{Kind: Sync}) },
	unix.SYS_MKDIRAT:   func(c call) ([]Op, error) { return c.onName(Mkdir, c.dir(0), 1) },
	unix.SYS_UNLINKAT:  func(c call) ([]Op, error) { return c.onName(Remove, c.dir(0), 1) },
	unix.SYS_RENAMEAT:  func(c call) ([]Op, error) { return c.rename(c.dir(0), 1, c.dir(2), 3) },
	unix.SYS_RENAMEAT2: func(c call) ([]Op, error) { return c.rename(c.dir(0), 1, c.dir(2), 3) },
}

// current is the folder that relative names begin at.
func (c call) current() string { return c.process + "/cwd" }

// dir is the folder that the i-th argument stands for.
func (c call) dir(i int) string {
	if int32(c.args[i]) == unix.AT_FDCWD {
		return c.current()
	}
	return c.file(i)
}

// file is the link to the file that the i-th argument stands for.
func (c call) file(i int) string { return fmt.Sprintf("%s/fd/%d", c.process, int32(c.args[i])) }

// memory reads up to n bytes of the process.
func (c call) memory(address uint64, n int) ([]byte, error) {
	f, err := os.Open(c.process + "/mem")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data := make([]byte, n)
	n, err = f.ReadAt(data, int64(address))
	if n > 0 && errors.Is(err, unix.EIO) || errors.Is(err, io.EOF) {
		err = nil // the rest is not mapped
	}
	return data[:n], err
}

// inside makes a path relative to the folder; ok says whether it is in there.
func (c call) inside(path string) (name string, ok bool) {
	name, err := filepath.Rel(c.folder, path)
	return name, err == nil && name != ".." && !strings.HasPrefix(name, "../")
}

// name is the path that the i-th argument points to, below dir.
func (c call) name(dir string, i int) (name string, ok bool, err error) {
	text, err := c.memory(c.args[i], unix.PathMax)
	if err != nil {
		return "", false, err
	}
	text, _, _ = bytes.Cut(text, []byte{0})
	path := string(text)
	if !filepath.IsAbs(path) {
		base, err := os.Readlink(dir)
		if err != nil {
			return "", false, err
		}
		path = filepath.Join(base, path)
	}
	name, ok = c.inside(path)
	return name, ok, nil
}

func (c call) onName(kind Kind, dir string, i int) ([]Op, error) {
	name, ok, err := c.name(dir, i)
	if !ok || err != nil {
		return nil, err
	}
	return []Op{{Kind: kind, Path: name}}, nil
}

func (c call) rename(fromDir string, from int, toDir string, to int) ([]Op, error) {
	old, wasInside, err := c.name(fromDir, from)
	if err != nil {
		return nil, err
	}
	name, isInside, err := c.name(toDir, to)
	if err != nil {
		return nil, err
	}
	if !wasInside && !isInside {
		return nil, nil
	}
	return []Op{{Kind: Rename, Path: old, To: name}}, nil
}

func (c call) open(dir string, i int, flags uint64) ([]Op, error) {
	if flags&(unix.O_WRONLY|unix.O_RDWR|unix.O_CREAT) == 0 {
		return nil, nil
	}
	name, ok, err := c.name(dir, i)
	if !ok || err != nil {
		return nil, err
	}
	_, err = os.Stat(filepath.Join(c.folder, name))
	switch {
	case errors.Is(err, os.ErrNotExist) && flags&unix.O_CREAT != 0:
		return []Op{{Kind: Create, Path: name}}, nil
	case err != nil:
		return nil, nil // the call fails
	case flags&unix.O_TRUNC != 0:
		return []Op{{Kind: Open, Path: name}, {Kind: Truncate, Path: name}}, nil
	}
	return []Op{{Kind: Open, Path: name}}, nil
}

// onFile gives an Op the name of the file that argument 0 stands for.
func (c call) onFile(op Op) ([]Op, error) {
	path, err := os.Readlink(c.file(0))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil // no open file: the call fails
	}
	if err != nil {
		return nil, err
	}
	name, ok := c.inside(path)
	if !ok || strings.HasSuffix(name, " (deleted)") {
		return nil, nil
	}
	op.Path = name
	return []Op{op}, nil
}

// write is a write at an offset, or where the file is if that is negative.
func (c call) write(offset int64) ([]Op, error) {
	ops, err := c.onFile(Op{Kind: Write, Offset: offset})
	if err != nil {
		return nil, err
	}
	if len(ops) == 0 {
		if c.args[0] != 1 && c.args[0] != 2 {
			return nil, nil
		}
		ops = []Op{{Kind: Print}}
	}
	op := ops[0]
	data, err := c.memory(c.args[1], int(c.args[2]))
	if err != nil {
		return nil, err
	}
	op.Data = data
	if op.Kind == Write && offset < 0 {
		if op.Offset, err = c.position(); err != nil {
			return nil, err
		}
	}
	return []Op{op}, nil
}

// position is where the next write to the file of argument 0 goes.
func (c call) position() (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("%s/fdinfo/%d", c.process, int32(c.args[0])))
	if err != nil {
		return 0, err
	}
	var position, flags int64
	if _, err := fmt.Sscanf(string(text), "pos: %d\nflags: %o", &position, &flags); err != nil {
		return 0, fmt.Errorf("%q: %w", text, err)
	}
	if flags&unix.O_APPEND == 0 {
		return position, nil
	}
	info, err := os.Stat(c.file(0))
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// allocate is fallocate in its plain mode, which makes a short file longer.
func (c call) allocate() ([]Op, error) {
	size := int64(c.args[2] + c.args[3])
	info, err := os.Stat(c.file(0))
	if err != nil || info.Size() >= size || c.args[1] != 0 {
		return nil, nil
	}
	return c.onFile(Op{Kind: Truncate, Offset: size})
}

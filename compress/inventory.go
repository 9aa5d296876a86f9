package compress

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
)

// Stored is what a level file holds.
type Stored struct {
	Info
	Key         Key
	Weights     string // the Hash of the layer
	Calibration string // what the level was fitted to; empty: it learns nothing
}

// DamagedError is a level file that is not what was written.
type DamagedError struct {
	Path string
	Err  error
}

func (e *DamagedError) Error() string { return fmt.Sprintf("level file %s: %v", e.Path, e.Err) }

func (e *DamagedError) Unwrap() error { return e.Err }

// List describes every level file of a folder that can be read, by layer, weights and size, and names the others.
func List(dir string) (levels []Stored, damaged []*DamagedError, err error) {
	_, damaged, err = visit(dir, func(l *levelFile) error {
		levels = append(levels, Stored{l.info, l.key(), l.header.Weights, l.header.Calibration})
		return nil
	})
	slices.SortStableFunc(levels, func(a, b Stored) int {
		return cmp.Or(cmp.Compare(a.Layer, b.Layer), cmp.Compare(a.Weights, b.Weights), cmp.Compare(a.Bytes, b.Bytes),
			cmp.Compare(a.Level, b.Level), cmp.Compare(a.Calibration, b.Calibration))
	})
	return levels, damaged, err
}

// Verify reads every level file of a folder whole and compares checksums. It returns how many there are, and which of them
// are damaged.
func Verify(dir string) (files int, damaged []*DamagedError, err error) {
	return visit(dir, func(l *levelFile) error {
		if err := l.checksum(); err != nil {
			return err
		}
		_, err := l.matrix()
		return err
	})
}

// Remove deletes level files that are damaged, so that Build makes them again.
func Remove(damaged []*DamagedError) error {
	var failed []error
	for _, d := range damaged {
		failed = append(failed, os.Remove(d.Path))
	}
	return errors.Join(failed...)
}

// visit opens the level files of a folder one after the other, counts them, and lists those that cannot be opened or that
// see finds damaged.
func visit(dir string, see func(l *levelFile) error) (files int, damaged []*DamagedError, err error) {
	paths, err := levelPaths(dir)
	if err != nil {
		return 0, nil, err
	}
	for _, path := range paths {
		level, file, err := openLevel(path)
		if err == nil {
			err = see(level)
			file.Close()
		}
		if d := new(DamagedError); errors.As(err, &d) {
			damaged = append(damaged, d)
		} else if err != nil {
			damaged = append(damaged, &DamagedError{path, err})
		}
	}
	return len(paths), damaged, nil
}

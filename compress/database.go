package compress

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/finch-llm/finch/internal/mmap"
	"github.com/finch-llm/finch/kernels"
)

// Hash identifies the dense weights of a layer.
type Hash [sha256.Size]byte

func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// HashWeights hashes the bytes of a dense tensor [rows, cols] as its model file holds them; format says how to read them
// ("bf16", or "bf16 permuted for 32 heads": whatever else decides the weights).
func HashWeights(format string, rows, cols int, data []byte) Hash {
	h := sha256.New()
	fmt.Fprintf(h, "%q %d %d\n", format, rows, cols)
	h.Write(data)
	return Hash(h.Sum(nil))
}

// Source is a layer that is loaded when it is needed.
type Source struct {
	Name       string
	Rows, Cols int
	Hash       Hash
	Load       func() ([]float32, error) // [Rows, Cols], freshly made or not written to by anyone

	// Calibration identifies the text, and the network that it was run through, from which Statistics come.
	Calibration string
	Statistics  func() (*Statistics, error) // nil: there are none
}

// Key names the file of one layer at one level. It changes with the weights and with the compressor's version, so a file
// that is found under its key need not be made again.
type Key string

// Key is the key of the layer at a level. It panics for keep and drop, which store nothing.
func (s Source) Key(level Level) Key {
	c := compressorOf(level)
	if c == nil {
		panic(fmt.Sprintf("compress: level %s stores nothing", level))
	}
	return levelKey(s.Name, s.Hash.String(), level.Name(), c.Name(), c.Version(), s.calibration(level))
}

// calibration is what Statistics come from, if a level needs them.
func (s Source) calibration(level Level) string {
	if level.Needs() == NeedsNothing {
		return ""
	}
	return s.Calibration
}

// levelKey leaves calibration out where it is empty: levels that learn nothing from a text do not depend on it.
func levelKey(layer, weights, level, compressor string, version int, calibration string) Key {
	h := sha256.New()
	fmt.Fprintf(h, "%q %s %q %q %d\n", layer, weights, level, compressor, version)
	if calibration != "" {
		fmt.Fprintf(h, "%q\n", calibration)
	}
	return Key(hex.EncodeToString(h.Sum(nil)))
}

const levelExtension = ".level"

func levelPath(dir string, key Key) string { return filepath.Join(dir, string(key)+levelExtension) }

// Database reads the level files of a folder. It is safe for concurrent use.
type Database struct {
	dir string

	mu     sync.Mutex
	loaded map[Key]*loadedLevel
}

type loadedLevel struct {
	matrix *kernels.Matrix
	info   Info
	file   io.Closer
}

// again is what to do about a damaged file.
const again = "'finch levels verify --repair' deletes it, and 'finch run' builds it again"

// OpenDatabase opens the level database in a folder, which it creates if it is missing.
func OpenDatabase(dir string) (*Database, error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, fmt.Errorf("open the level database: %w", err)
	}
	return &Database{dir: dir, loaded: map[Key]*loadedLevel{}}, nil
}

// Load maps a level into memory. The matrix is shared by all callers, read-only, and gone after Close. The header, the sizes
// and the mask are checked, not the checksum of the weights: that is what Verify is for. A level that was never built
// gives an error that wraps fs.ErrNotExist.
func (db *Database) Load(key Key) (*kernels.Matrix, Info, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if l, ok := db.loaded[key]; ok {
		return l.matrix, l.info, nil
	}
	path := levelPath(db.dir, key)
	level, file, err := openLevel(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, Info{}, fmt.Errorf("%w: 'finch run' builds it", err)
	}
	if err != nil {
		return nil, Info{}, fmt.Errorf("%w: %s", err, again)
	}
	m, err := level.matrix()
	if err != nil {
		file.Close()
		return nil, Info{}, fmt.Errorf("%w: %s", &DamagedError{path, err}, again)
	}
	db.loaded[key] = &loadedLevel{matrix: m, info: level.info, file: file}
	return m, level.info, nil
}

// Close unmaps every loaded matrix.
func (db *Database) Close() error {
	db.mu.Lock()
	defer db.mu.Unlock()
	var failed []error
	for _, l := range db.loaded {
		failed = append(failed, l.file.Close())
	}
	clear(db.loaded)
	return errors.Join(failed...)
}

// openLevel maps a level file whose header is sound, whose size is right and whose name is its key. The error wraps
// fs.ErrNotExist if there is none, and is a DamagedError if it is not whole.
func openLevel(path string) (*levelFile, *mmap.File, error) {
	file, err := mmap.Open(path)
	if err != nil {
		return nil, nil, fmt.Errorf("level file: %w", err)
	}
	level, err := parseLevelFile(file.Bytes())
	if err == nil && levelPath(filepath.Dir(path), level.key()) != path {
		err = fmt.Errorf("its name is not the key of %s at %s", level.info.Layer, level.info.Level)
	}
	if err != nil {
		file.Close()
		return nil, nil, &DamagedError{path, err}
	}
	return level, file, nil
}

// levelPaths lists the level files of a folder by name.
func levelPaths(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir) // sorted
	if err != nil {
		return nil, fmt.Errorf("list the level database: %w", err)
	}
	var paths []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), levelExtension) {
			paths = append(paths, filepath.Join(dir, e.Name()))
		}
	}
	return paths, nil
}

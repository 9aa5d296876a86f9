package atomicfile

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/finch-llm/finch/internal/failpoint"
)

// WriteFolder makes a folder at path with the files that fill writes, by Write, into the folder it is given: a temporary one
// beside path, which is renamed when all are there and removed on an error. Something else than an empty folder that is
// there already is refused: a folder cannot be replaced in one step.
func WriteFolder(path string, fill func(dir string) error) (err error) {
	switch entries, err := os.ReadDir(path); {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return err
	case len(entries) > 0:
		return fmt.Errorf("%s is a folder with files in it: choose another name, or remove it", path)
	}
	temp := filepath.Join(filepath.Dir(path), fmt.Sprintf(tempName, fmt.Sprintf("%016x", rand.Uint64())))
	if err := os.Mkdir(temp, 0o777); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	renamed := false
	defer func() {
		if !renamed { // also when fill panics
			os.RemoveAll(temp)
		}
	}()
	if err := fill(temp); err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) { // empty, if it is there
		return fmt.Errorf("write %s: %w", path, err)
	}
	failpoint.At(failpoint.Folder, failpoint.Written)
	if err := os.Rename(temp, path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	renamed = true
	failpoint.At(failpoint.Folder, failpoint.Renamed)
	return disk{}.syncFolder(filepath.Dir(path))
}

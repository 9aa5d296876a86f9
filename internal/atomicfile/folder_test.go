package atomicfile

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWriteFolder(t *testing.T) {
	two := func(dir string) error {
		if err := Write(filepath.Join(dir, "a"), content("first")); err != nil {
			return err
		}
		return Write(filepath.Join(dir, "b"), content("second"))
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "out")
	if err := os.Mkdir(path, 0o700); err != nil { // an empty folder may be there
		t.Fatal(err)
	}
	if err := WriteFolder(path, two); err != nil {
		t.Fatal(err)
	}
	if a, b := mustRead(t, filepath.Join(path, "a")), mustRead(t, filepath.Join(path, "b")); a != "first" || b != "second" {
		t.Errorf("read %q and %q", a, b)
	}
	onlyEntry(t, dir, "out")
	if err := WriteFolder(path, two); err == nil || !strings.Contains(err.Error(), "files in it") {
		t.Errorf("over a folder with files: %v", err)
	}
	if err := WriteFolder(filepath.Join(path, "a"), two); err == nil {
		t.Error("over a file: no error")
	}
	broken := errors.New("broken")
	err := WriteFolder(filepath.Join(dir, "none"), func(temp string) error { return errors.Join(two(temp), broken) })
	if !errors.Is(err, broken) {
		t.Errorf("after a failure: %v", err)
	}
	onlyEntry(t, dir, "out")
}

package atomicfile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func content(s string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, s)
		return err
	}
}

func mustRead(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// onlyEntry fails if the folder holds more than the named file, such as a temporary file left behind.
func onlyEntry(t *testing.T, dir, name string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != name {
			t.Errorf("%s was left behind", e.Name())
		}
	}
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "out")
	for _, text := range []string{"first", "", strings.Repeat("long ", 3*bufferBytes/5), "last"} {
		if err := Write(path, content(text)); err != nil {
			t.Fatal(err)
		}
		if got := mustRead(t, path); got != text {
			t.Errorf("read %d bytes, want %d", len(got), len(text))
		}
	}
	onlyEntry(t, dir, "out")
}

func TestWriteKeepsPermissions(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Write(path, content("x")); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("permissions are now %v", info.Mode())
	}
}

func TestWriteFollowsLinks(t *testing.T) {
	dir := t.TempDir()
	target, link := filepath.Join(dir, "target"), filepath.Join(dir, "link")
	if err := os.WriteFile(target, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, link); err != nil {
		t.Skip(err)
	}
	if err := Write(link, content("new")); err != nil {
		t.Fatal(err)
	}
	if got := mustRead(t, target); got != "new" {
		t.Errorf("the target of the link holds %q", got)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is gone: %v %v", info, err)
	}
}

func TestWriteRefuses(t *testing.T) {
	dir := t.TempDir()
	for name, path := range map[string]string{
		"folder":         dir,
		"device":         os.DevNull,
		"missing folder": filepath.Join(dir, "missing", "out"),
	} {
		called := false
		err := Write(path, func(io.Writer) error { called = true; return nil })
		if err == nil || called {
			t.Errorf("%s: error %v, written to: %v", name, err, called)
		}
	}
}

func TestFailedCallbackLeavesOldContent(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "out")
	if err := Write(path, content("old")); err != nil {
		t.Fatal(err)
	}
	want := errors.New("model is broken")
	err := Write(path, func(w io.Writer) error {
		io.WriteString(w, strings.Repeat("x", 2*bufferBytes))
		return want
	})
	if !errors.Is(err, want) || !strings.Contains(err.Error(), path) {
		t.Errorf("error is %v", err)
	}
	if got := mustRead(t, path); got != "old" {
		t.Errorf("content is %q", got)
	}
	onlyEntry(t, dir, "out")
}

// failing is a disk whose call number n fails, counting every operation that a full or broken disk can refuse.
type failing struct {
	disk
	n *int
}

var errDisk = errors.New("no space left on device")

func (f failing) step() error {
	if *f.n--; *f.n == 0 {
		return errDisk
	}
	return nil
}

func (f failing) create(path string) (file, error) {
	if err := f.step(); err != nil {
		return nil, err
	}
	opened, err := f.disk.create(path)
	return failingFile{opened, f}, err
}

func (f failing) rename(from, to string) error {
	if err := f.step(); err != nil {
		return err
	}
	return f.disk.rename(from, to)
}

func (f failing) syncFolder(path string) error {
	if err := f.step(); err != nil {
		return err
	}
	return f.disk.syncFolder(path)
}

type failingFile struct {
	file
	disk failing
}

func (f failingFile) Write(p []byte) (int, error) {
	if err := f.disk.step(); err != nil {
		n, _ := f.file.Write(p[:len(p)/2])
		return n, err
	}
	return f.file.Write(p)
}

func (f failingFile) Sync() error {
	if err := f.disk.step(); err != nil {
		return err
	}
	return f.file.Sync()
}

func (f failingFile) Close() error {
	f.file.Close()
	return f.disk.step()
}

// TestEveryFailure fails each operation in turn. Whatever fails, the path holds all of the old or all of the new content,
// and the error is reported.
func TestEveryFailure(t *testing.T) {
	before, after := "old", strings.Repeat("new", bufferBytes)
	for n := 1; ; n++ {
		dir := t.TempDir()
		path := filepath.Join(dir, "out")
		if err := Write(path, content(before)); err != nil {
			t.Fatal(err)
		}
		left := n
		err := replace(failing{n: &left}, path, content(after))
		got := mustRead(t, path)
		onlyEntry(t, dir, "out")
		if left > 0 {
			if err != nil || got != after {
				t.Fatalf("nothing failed, yet error %v", err)
			}
			if n < 6 { // create, write, sync, close, rename, sync of the folder
				t.Errorf("only %d operations were tried", n-1)
			}
			return
		}
		if !errors.Is(err, errDisk) {
			t.Errorf("operation %d: error %v", n, err)
		}
		if got != before && got != after {
			t.Errorf("operation %d: %d bytes of neither content", n, len(got))
		}
	}
}

func ExampleWrite() {
	dir, _ := os.MkdirTemp("", "finch")
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "recipe.txt")
	err := Write(path, func(w io.Writer) error {
		_, err := fmt.Fprintln(w, "blk.0.attn_q=q4_k")
		return err
	})
	text, _ := os.ReadFile(path)
	fmt.Print(string(text), err)
	// Output:
	// blk.0.attn_q=q4_k
	// <nil>
}

func TestClean(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{".finch-0123456789abcdef.tmp", "kept", ".finch-kept"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if err := Clean(dir); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("%v, %v: want two files that are kept", entries, err)
	}
}

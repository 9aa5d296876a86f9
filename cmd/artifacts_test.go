package cmd_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCheckExports changes what was exported, and moves it away.
func TestCheckExports(t *testing.T) {
	dir := copyOf(t, finishedRun(t))
	done(t, dir, "export", "depth", "-o", "depth.packed")
	done(t, dir, "export", "depth", "--format", "safetensors", "-o", "depth-hf")
	check := func(code int, words ...string) {
		t.Helper()
		r := finch(t, dir, "check")
		if r.code != code {
			t.Errorf("exit code %d, want %d\n%s%s", r.code, code, r.stdout, r.stderr)
		}
		for _, word := range words {
			if !strings.Contains(r.stdout, word) {
				t.Errorf("check does not say %q:\n%s", word, r.stdout)
			}
		}
	}
	check(0, "168 level files and 2 of 2 exports verified\n")

	change := func(name string, to string) (undo func()) {
		path := filepath.Join(dir, name)
		old, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		write(t, dir, name, to)
		return func() { write(t, dir, name, string(old)) }
	}
	undo := change("depth.packed", "changed")
	check(1, "depth.packed is not the packed that run 1 wrote")
	undo()
	undo = change("depth-hf/config.json", "{}")
	check(1, "depth-hf is not the safetensors that run 1 wrote")
	undo()
	write(t, dir, "depth-hf/another", "")
	check(1, "depth-hf is not the safetensors that run 1 wrote")
	if err := os.Remove(filepath.Join(dir, "depth-hf", "another")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, "depth.packed"), filepath.Join(dir, "away")); err != nil {
		t.Fatal(err)
	}
	check(0, "depth.packed, the packed of run 1, is not there: finch export 1 --format packed", "and 1 of 2 exports verified\n")

	// Another run may write over it.
	done(t, dir, "export", "joint", "-o", "depth.packed")
	check(0, "and 2 of 2 exports verified\n")
}

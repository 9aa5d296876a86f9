package mmap

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

func TestOpen(t *testing.T) {
	for name, content := range map[string][]byte{
		"empty":          {},
		"short":          []byte("finch"),
		"unaligned size": bytes.Repeat([]byte("beak"), 5001),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "file")
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
			f, err := Open(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(f.Bytes(), content) {
				t.Errorf("%d bytes differ from the %d written", len(f.Bytes()), len(content))
			}
			for range 2 {
				if err := f.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			}
			if f.Bytes() != nil {
				t.Error("Bytes is not nil after Close")
			}
		})
	}
}

func TestMappingOutlivesName(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if got := string(f.Bytes()); got != "old" {
		t.Errorf("content after removal is %q", got)
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	for name, path := range map[string]string{"folder": dir, "missing": filepath.Join(dir, "missing")} {
		if f, err := Open(path); err == nil {
			f.Close()
			t.Errorf("%s: no error", name)
		}
	}
}

package configs

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/finch-llm/finch/internal/damaged"
)

const (
	head   = "[[experiment]]\nname = \"a\"\n"
	search = head + "levels = [\"drop\"]\nbudget = { drop = 0.25 }\n[experiment.search]\n"
)

// mistake is a file with one mistake; want follows "x.toml:".
type mistake struct{ name, source, want string }

func TestMistakes(t *testing.T) {
	messages := make(map[string]string)
	for _, m := range slices.Concat(fileMistakes, levelMistakes, ruleMistakes, searchMistakes) {
		t.Run(m.name, func(t *testing.T) {
			if _, ok := messages[m.name]; ok {
				t.Fatal("two cases have this name")
			}
			f, err := Parse([]byte(m.source), "x.toml")
			if err == nil {
				t.Fatalf("no error, but %d experiments", len(f.Experiments))
			}
			if want := "x.toml:" + m.want; err.Error() != want {
				t.Errorf("got  %s\nwant %s", err, want)
			}
			if !errors.As(err, new(*Error)) {
				t.Errorf("%T is no *Error", err)
			}
			messages[m.name] = err.Error()
		})
	}
	damaged.Check(t, "../docs/reliability.md", "experiment files", 6, messages)
}

func TestUnreadableFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	large := write("large.toml", nil)
	if err := os.Truncate(large, 100<<20); err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(dir, "missing.toml")
	for _, c := range []struct{ name, path, want string }{
		{"missing", missing, "there is no such file: name an experiment file, such as experiments.toml"},
		{"folder", dir, "this is a folder: name the .toml file in it"},
		{"100 MB", large, "the file is larger than 256 KiB, the most an experiment file may have: is it really one?"},
		{"UTF-16", write("utf16.toml", []byte("\xff\xfe[\x00")), "the file is in UTF-16: save it as UTF-8"},
		{"empty", write("empty.toml", nil), "the file is empty: write at least one [[experiment]] with name, levels and budget"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Load(c.path)
			if want := c.path + ": " + c.want; err == nil || err.Error() != want {
				t.Errorf("got  %v\nwant %s", err, want)
			}
		})
	}
	if _, err := Load(missing); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v hides fs.ErrNotExist", err)
	}
}

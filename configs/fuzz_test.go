package configs

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func FuzzParse(f *testing.F) {
	for _, m := range slices.Concat(fileMistakes, levelMistakes, ruleMistakes, searchMistakes) {
		f.Add([]byte(m.source))
	}
	f.Add([]byte(head + ruled + "same = [[\"attn_q\", \"attn_k\"]]\nprotect = [\"blk.0.*\"]\n[[experiment.levels_for]]\nlayers = [\"ffn_[gu]*\"]\nlevels = [\"q2_k\"]\n"))
	files, err := filepath.Glob("presets/*.toml")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range append(files, "../experiments.toml") {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Parse(data, "x.toml")
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.File != "x.toml" || e.Message == "" || strings.ContainsAny(e.Error(), "\n\r\x00") {
				t.Errorf("bad error %q", err)
			}
			if lines := strings.Count(string(data), "\n") + 1; e != nil && e.Line > lines {
				t.Errorf("error at line %d of %d", e.Line, lines)
			}
			compareMarks(t, data)
			return
		}
		for i := range file.Experiments {
			e := &file.Experiments[i]
			if _, err := Restore(e.Name, e.Seeds, e.Canonical()); err != nil {
				t.Errorf("%s: %v", e.Canonical(), err)
			}
			// Of any pattern it is found out whether it names something.
			if err := e.CheckRules([]string{"blk.0.attn_q"}, []string{"blk.0.attn"}); err != nil && !errors.As(err, new(*Error)) {
				t.Errorf("%T is no *Error", err)
			}
			if !json.Valid(e.Canonical()) || !strings.HasPrefix(e.Position("search.tokens[0]"), "x.toml:") {
				t.Errorf("experiment %q: %s at %s", e.Name, e.Canonical(), e.Position("search.tokens[0]"))
			}
		}
		compareMarks(t, data)
	})
}

// compareMarks checks that the marks have exactly the keys that the TOML parser finds.
func compareMarks(t *testing.T, data []byte) {
	_, root, err := parseTOML(data, "x")
	if err == nil {
		compareMark(t, root.value, root.mark, "")
	}
}

func compareMark(t *testing.T, value any, m *mark, path string) {
	items, _ := setting{value: value, mark: m}.items()
	if len(items) != len(m.items) {
		t.Errorf("%s: %d items, %d marks", path, len(items), len(m.items))
		return
	}
	for i, item := range items {
		compareMark(t, item.value, m.items[i], path+"[]")
	}
	table, _ := value.(map[string]any)
	for key, v := range table {
		child := m.keys[key]
		if child == nil {
			if strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r > '~' }) {
				continue // may be an escape that only TOML has
			}
			t.Errorf("%s: no mark for %q among %q", path, key, slices.Sorted(maps.Keys(m.keys)))
			continue
		}
		compareMark(t, v, child, path+"."+key)
	}
}

package text

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/finch-llm/finch/model/finchling"
)

func TestTextsAreTheSameByContent(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	jsonl := write("two.jsonl", "{\"text\": \"one\", \"other\": \"1\"}\n{\"text\": \"two\", \"other\": \"2\"}\n")
	for _, c := range []struct {
		name, a, b string
		same       bool
	}{
		{"the same name", "builtin:evaluation", "builtin:evaluation", true},
		{"a copy", "builtin:evaluation", write("copy.txt", finchling.Evaluation), true},
		{"a part", "builtin:evaluation", write("part.txt", finchling.Evaluation[:1000]), false},
		{"documents in a copy", jsonl, write("copy.jsonl", "{\"text\": \"one\"}\n{\"text\": \"two\"}\n"), true},
		{"another field", jsonl, jsonl + "#other", false},
		{"one document less", jsonl, write("less.jsonl", "{\"text\": \"one\"}\n"), false},
		{"one document more", write("fewer.jsonl", "{\"text\": \"one\"}\n"), jsonl, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			same, err := Same(parse(t, c.a), parse(t, c.b))
			if err != nil || same != c.same {
				t.Errorf("Same(%q, %q) = %v, %v", c.a, c.b, same, err)
			}
		})
	}
	if _, err := Same(parse(t, jsonl), parse(t, filepath.Join(dir, "missing.txt"))); err == nil {
		t.Error("a missing text has no error")
	}
}

package configs

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// docs/experiments.md names every key, and its examples are valid.
func TestDocs(t *testing.T) {
	data, err := os.ReadFile("../docs/experiments.md")
	if err != nil {
		t.Fatal(err)
	}
	docs := string(data)
	var walk func([]field)
	walk = func(fields []field) {
		for _, f := range fields {
			if !strings.Contains(docs, "| `"+f.key+"` |") {
				t.Errorf("no row for the key %s", f.key)
			}
			walk(f.table)
		}
	}
	walk(Decoder{}.schema())
	walk(budgetFields())
	walk(ladderFields())
	for _, name := range slices.Concat(formatNames(false), Methods(), Presets(), SearchPresets()) {
		if !strings.Contains(docs, "`"+name+"`") {
			t.Errorf("%s is not mentioned", name)
		}
	}
	examples := regexp.MustCompile("(?s)```toml\n(.*?)```").FindAllStringSubmatch(docs, -1)
	if len(examples) < 5 {
		t.Errorf("%d examples", len(examples))
	}
	for _, example := range examples {
		if _, err := Parse([]byte(example[1]), "example"); err != nil {
			t.Errorf("%v in\n%s", err, example[1])
		}
	}
}

package store

import (
	"os"
	"strings"
	"testing"
)

// docs/database.md explains every column of every table and view, and every named query with its parameters.
func TestDocumented(t *testing.T) {
	text, err := os.ReadFile("../docs/database.md")
	must(t, err)
	sections := map[string]string{}
	for _, section := range strings.Split(string(text), "\n### ")[1:] {
		title, body, _ := strings.Cut(section, "\n")
		sections[title], _, _ = strings.Cut(body, "\n## ")
	}
	db := newTest(t)
	tables := ask(t, db, "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view')", nil)
	for _, name := range column(t, tables, "name") {
		body, ok := sections[name.(string)]
		if !ok {
			t.Errorf("no section about %s", name)
		}
		for _, c := range ask(t, db, "SELECT * FROM "+name.(string), nil).Columns {
			if !strings.Contains(body, "`"+c+"`") {
				t.Errorf("%s does not explain %s", name, c)
			}
		}
		if !strings.Contains(body, "\n    sqlite3 ") || !strings.Contains(body, "\n    finch query ") {
			t.Errorf("%s has no examples", name)
		}
		for line := range strings.Lines(body) {
			if example, ok := strings.CutPrefix(line, "    finch query \""); ok {
				ask(t, db, strings.TrimSuffix(strings.TrimSpace(example), "\""), nil)
			}
		}
	}
	_, named, _ := strings.Cut(string(text), "\n## Named queries")
	for _, q := range Queries() {
		_, row, ok := strings.Cut(named, "\n| `"+q.Name+"` |")
		row, _, _ = strings.Cut(row, "\n")
		for _, p := range q.Params {
			ok = ok && strings.Contains(row, "`"+p.Name+"`")
		}
		if !ok {
			t.Errorf("query %s or its parameters are not explained", q.Name)
		}
	}
}

package cmd_test

import (
	"encoding/csv"
	"encoding/json"
	"strings"
	"testing"
)

func TestCompare(t *testing.T) {
	dir := finishedRun(t)
	people := done(t, dir, "compare", "depth", "joint").stdout
	for _, word := range []string{"against depth", "evopress", "joint", "over text"} {
		if !strings.Contains(people, word) {
			t.Errorf("no %q in\n%s", word, people)
		}
	}
	var sides []map[string]any
	if err := json.Unmarshal([]byte(done(t, dir, "compare", "joint", "depth", "--json").stdout), &sides); err != nil || len(sides) != 2 {
		t.Fatal(err, sides)
	}
	var best []map[string]any
	if err := json.Unmarshal([]byte(done(t, dir, "best", "--json").stdout), &best); err != nil {
		t.Fatal(err)
	}
	kl := map[any]float64{}
	for _, row := range best {
		kl[row["experiment"]] = row["kl"].(float64)
	}
	if s := sides[1]; s["experiment"] != "depth" || s["kl"] != kl["depth"] || s["kl_sd"] != nil || s["difference"] != kl["depth"]-kl["joint"] || s["runs"] != 1. {
		t.Errorf("%v beside %v", s, kl)
	}
	rows, err := csv.NewReader(strings.NewReader(done(t, dir, "compare", "depth", "--format", "csv").stdout)).ReadAll()
	if err != nil || len(rows) != 2 || rows[1][0] != "depth" {
		t.Errorf("%v, %v", rows, err)
	}
	finch(t, dir, "compare", "width").fails(t, 2, `"width"`, "finch status")
	finch(t, dir, "compare", "1").fails(t, 2, `no experiment is named "1"`)
	finch(t, dir, "compare").fails(t, 2, "finch compare --help")
	finch(t, dir, "compare", "depth", "--format", "xml").fails(t, 2, "--format xml")
}

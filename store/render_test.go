package store

import (
	"errors"
	"math"
	"strings"
	"testing"
)

func TestRender(t *testing.T) {
	full := &Table{
		Columns: []string{"z_name", "a_count", "kl"},
		Rows:    [][]any{{"a|b,\"c\"", int64(12), math.Nextafter(0.3, 1)}, {nil, int64(-1), math.Inf(1)}},
	}
	empty := &Table{Columns: []string{"x"}}
	for _, c := range []struct {
		format string
		table  *Table
		want   string
	}{
		{"table", full, "" +
			"┌─────────┬─────────┬──────┐\n" +
			"│ z_name  │ a_count │   kl │\n" +
			"├─────────┼─────────┼──────┤\n" +
			"│ a|b,\"c\" │      12 │  0.3 │\n" +
			"│         │      -1 │ +Inf │\n" +
			"└─────────┴─────────┴──────┘\n"},
		{"csv", full, "z_name,a_count,kl\n\"a|b,\"\"c\"\"\",12,0.30000000000000004\n,-1,+Inf\n"},
		{"json", full, "[\n  {\"z_name\": \"a|b,\\\"c\\\"\", \"a_count\": 12, \"kl\": 0.30000000000000004},\n" +
			"  {\"z_name\": null, \"a_count\": -1, \"kl\": null}\n]\n"},
		{"jsonl", full, "{\"z_name\": \"a|b,\\\"c\\\"\", \"a_count\": 12, \"kl\": 0.30000000000000004}\n" +
			"{\"z_name\": null, \"a_count\": -1, \"kl\": null}\n"},
		{"markdown", full, "| z_name | a_count | kl |\n| --- | ---:| ---:|\n| a\\|b,\"c\" | 12 | 0.3 |\n|  | -1 | +Inf |\n"},
		{"json", empty, "[]\n"},
		{"jsonl", empty, ""},
		{"csv", empty, "x\n"},
	} {
		var out strings.Builder
		if err := Render(&out, c.table, c.format); err != nil || out.String() != c.want {
			t.Errorf("%s: %v\n%s\nwant\n%s", c.format, err, out.String(), c.want)
		}
	}
	if err := Render(&strings.Builder{}, full, "xml"); err == nil || !strings.Contains(err.Error(), "markdown") {
		t.Errorf("unknown format: %v", err)
	}
	for _, format := range Formats() {
		if err := Render(broken{}, full, format); !errors.Is(err, errBroken) {
			t.Errorf("%s to a broken pipe: %v", format, err)
		}
	}
}

var errBroken = errors.New("broken pipe")

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errBroken }

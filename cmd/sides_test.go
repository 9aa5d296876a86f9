package cmd

import (
	"math"
	"strings"
	"testing"

	"github.com/finch-llm/finch/store"
)

// runsTable is what the query compare answers: experiment, seed and KL; baselines have a KL of 0.2, and 0.3 of the experiment "smaller"; paired ± 0.01,
// and ± 0.03 by itself.
func runsTable(rows ...[]any) *store.Table {
	t := &store.Table{Columns: []string{"experiment", "seed", "kl", "method", "file_bytes", "bits_per_weight", "ppl", "tokens", "search_seconds",
		"kl_error", "baseline_kl", "paired_error", "model_hash", "evaluation_hash"}}
	for _, row := range rows {
		baseline := 0.2
		if row[0] == any("smaller") {
			baseline = 0.3
		}
		t.Rows = append(t.Rows, append(row, "evopress", int64(1000), 3.5, 30., int64(4096), 2.5, 0.03, baseline, 0.01, "model", "text"))
	}
	return t
}

// The half-width of the interval by hand: differences −0.02 and −0.04 have the standard deviation 0.01·√2, and t(1) is 12.7062.
func TestSideBySide(t *testing.T) {
	runs := runsTable(
		[]any{"a", int64(1), 0.10}, []any{"a", int64(2), 0.12}, []any{"a", int64(3), nil},
		[]any{"two", int64(1), 0.08}, []any{"two", int64(2), 0.08},
		[]any{"three", int64(3), 0.08}, []any{"three", int64(1), 0.07}, []any{"three", int64(2), 0.0901},
		[]any{"one", int64(2), 0.15},
		[]any{"fixed", int64(1), 0.15}, []any{"fixed", int64(2), 0.15}, []any{"as fixed", int64(1), 0.1}, []any{"as fixed", int64(2), 0.1},
		[]any{"smaller", int64(1), 0.15},
		[]any{"other seeds", int64(9), 0.07},
	)
	for _, c := range []struct {
		name                 string
		pairs                int
		difference, interval float64
		over, verdict        string
	}{
		{"two", 2, -0.03, 12.7062 * 0.01, "seeds", "tie"},
		{"three", 2, -0.02995, 12.7062 * 0.00005, "seeds", "win"},
		{"one", 1, 0.03, 0.02, "text", "loss"},
		{"smaller", 1, 0.05, 0.06, "text", "tie"},
		{"other seeds", 0, math.NaN(), math.NaN(), "", ""},
	} {
		sides, err := sideBySide(runs, []string{"a", c.name})
		if err != nil {
			t.Fatal(err)
		}
		near := func(x, y float64) bool { return math.Abs(x-y) < 1e-6 || math.IsNaN(x) && math.IsNaN(y) }
		if s := sides[1]; s.pairs != c.pairs || !near(s.difference, c.difference) || !near(s.interval, c.interval) || s.over != c.over || s.verdict() != c.verdict {
			t.Errorf("%s: %d pairs, %v ± %v over %q, %q", c.name, s.pairs, s.difference, s.interval, s.over, s.verdict())
		}
		if a := sides[0]; a.runs != 3 || len(a.measured) != 2 || a.around("kl", 4) != "0.1100 ± 0.0141" || a.verdict() != "" {
			t.Errorf("a: %+v, %s", a, a.around("kl", 4))
		}
	}
	if sides, err := sideBySide(runs, []string{"fixed", "as fixed"}); err != nil || sides[1].against() != "win (-0.05000 ± 0.02000 over text)" {
		t.Errorf("methods without chance: %s, %v", sides[1].against(), err)
	}
	if sides, err := sideBySide(runs, []string{"one"}); err != nil || sides[0].around("kl", 2) != "0.15" {
		t.Errorf("one run: %v, %v", sides, err)
	}
}

func TestSidesThatDoNotCompare(t *testing.T) {
	runs := runsTable([]any{"a", int64(1), 0.1}, []any{"b", int64(1), 0.1}, []any{"c", int64(1), nil})
	runs.Rows[1][len(runs.Columns)-1] = "another"
	for want, names := range map[string][]string{
		"b was measured on another model or another text than a": {"a", "b"},
		`no experiment is named "d"`:                             {"a", "d"},
	} {
		if _, err := sideBySide(runs, names); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v", names, err)
		}
	}
	if sides, err := sideBySide(runs, []string{"a", "c"}); err != nil || sides[1].against() != "" || sides[1].around("kl", 2) != "" {
		t.Errorf("an experiment without a result: %+v, %v", sides, err)
	}
}

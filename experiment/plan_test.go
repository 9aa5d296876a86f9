package experiment

import (
	"fmt"
	"strings"
	"testing"

	"github.com/finch-llm/finch/compress"
)

// What a method scores on the calibration text is its own; winner, baseline and dense model are scored on held-out text.
func TestPlanCountsTheTokensOfTheMethod(t *testing.T) {
	place := newPlace(t)
	s := place.session(t, "a.db")
	for method, want := range map[string]int64{
		"uniform":  96,
		"evopress": 3*32 + 10*(4*32+3*96),
		"dp":       (1+21)*96 + 96,
	} {
		task := prepare(t, s, place.experiment(t, fmt.Sprintf("levels = [\"q4_0\", \"q8_0\"]\nbudget = { bits_per_weight = 6 }\nseeds = [1, 2]\nsearch = { generations = 10, method = %q }", method)))
		plan, err := s.plan(task, 1, map[compress.Key]bool{})
		if err != nil || plan.Tokens != 2*(want+3*512) {
			t.Errorf("%s: %d tokens, want %d, %v", method, plan.Tokens, 2*(want+3*512), err)
		}
	}
}

// Experiments run one after the other: together they need the memory of the largest, and the disk of all.
func TestFits(t *testing.T) {
	s := &Session{Memory: 1000 << 20, Levels: t.TempDir()}
	plan := func(memory, disk int64) Plan { return Plan{least: memory, DiskBytes: disk} }
	for name, c := range map[string]struct {
		plans []Plan
		says  string
	}{
		"many":            {[]Plan{plan(600<<20, 1), plan(600<<20, 1), plan(999<<20, 1)}, ""},
		"one too large":   {[]Plan{plan(600<<20, 1), plan(1001<<20, 1)}, "1001 MiB of memory"},
		"disk adds up":    {[]Plan{plan(1, 1<<61), plan(1, 1<<61)}, "of disk"},
		"nothing planned": {nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			err := s.Fits(c.plans)
			if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
				t.Errorf("got %v, want %q", err, c.says)
			}
		})
	}
}

package experiment

import (
	"strings"
	"testing"
)

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

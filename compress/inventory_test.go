package compress

import (
	"path/filepath"
	"slices"
	"testing"
)

func TestList(t *testing.T) {
	dir := t.TempDir()
	jobs, _ := testJobs(t)
	if err := Build(t.Context(), dir, jobs, 2, nil); err != nil {
		t.Fatal(err)
	}
	levels, damaged, err := List(dir)
	if err != nil || damaged != nil || len(levels) != len(jobs) {
		t.Fatalf("%d levels, %v, %v", len(levels), damaged, err)
	}
	for i, l := range levels {
		job := jobs[slices.IndexFunc(jobs, func(j Job) bool { return j.Layer.Name == l.Layer && j.Level.Name() == l.Level })]
		if l.Key != job.Layer.Key(job.Level) || l.Weights != job.Layer.Hash.String() || l.Calibration != "" {
			t.Errorf("%+v is not of %s", l, job.Layer.Name)
		}
		if i > 0 && (l.Layer < levels[i-1].Layer || l.Layer == levels[i-1].Layer && l.Bytes < levels[i-1].Bytes) {
			t.Errorf("%s at %s comes after %s at %s", l.Layer, l.Level, levels[i-1].Layer, levels[i-1].Level)
		}
	}
	if _, _, err := List(filepath.Join(dir, "missing")); err == nil {
		t.Error("a folder that is not there is listed")
	}
}

func TestDominated(t *testing.T) {
	level := func(layer, weights, calibration string, bytes int64, err float64) Stored {
		return Stored{Info: Info{Layer: layer, Bytes: bytes, RelativeError: err}, Weights: weights, Calibration: calibration}
	}
	for _, c := range []struct {
		name string
		by   Stored
		want bool
	}{
		{"smaller and better", level("a", "w", "", 9, 0.4), true},
		{"as small and better", level("a", "w", "", 10, 0.4), true},
		{"smaller and as good", level("a", "w", "", 9, 0.5), true},
		{"the same", level("a", "w", "", 10, 0.5), false},
		{"smaller and worse", level("a", "w", "", 9, 0.6), false},
		{"larger and better", level("a", "w", "", 11, 0.4), false},
		{"of another layer", level("b", "w", "", 9, 0.4), false},
		{"of other weights", level("a", "v", "", 9, 0.4), false},
		{"fitted to a text", level("a", "w", "c", 9, 0.4), false},
	} {
		levels := []Stored{level("a", "w", "", 10, 0.5), c.by}
		got := Dominated(levels)
		if (got[0] == &levels[1]) != c.want || (got[0] != nil) != c.want || got[1] != nil {
			t.Errorf("%s: dominated by %v, want %t", c.name, got, c.want)
		}
	}
}

package compress

import (
	"maps"
	"math"
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
		return Stored{Info: Info{Layer: layer, Bytes: bytes, RelativeError: err, OutputError: math.NaN()}, Weights: weights, Calibration: calibration}
	}
	fitted := func(calibration string, bytes int64, weights, outputs float64) Stored {
		return Stored{Info: Info{Layer: "a", Bytes: bytes, RelativeError: weights, OutputError: outputs}, Weights: "w", Calibration: calibration}
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
	for _, c := range []struct {
		name string
		by   Stored
		want bool
	}{
		{"better outputs of worse weights", fitted("c", 10, 0.6, 0.1), true},
		{"worse outputs of better weights", fitted("c", 10, 0.4, 0.3), false},
		{"outputs not measured", fitted("c", 9, 0.4, math.NaN()), false},
		{"fitted to another text", fitted("d", 9, 0.4, 0.1), false},
	} {
		levels := []Stored{fitted("c", 10, 0.5, 0.2), c.by}
		if got := Dominated(levels); (got[0] == &levels[1]) != c.want {
			t.Errorf("%s: dominated by %v, want %t", c.name, got, c.want)
		}
	}
}

// The file of a level is the same whatever its layer's other levels need to know.
func TestFilesDoNotDependOnOtherLevels(t *testing.T) {
	full := testStatistics(256)
	squares := &Statistics{Tokens: full.Tokens, Squares: full.Squares}
	jobs := func(of *Statistics, names ...string) []Job {
		source := testSource("blk.0.ffn_down", 8, 256, testWeights("heavy", 8, 256))
		source.Calibration = "a text"
		source.Statistics = func() (*Statistics, error) { return of, nil }
		var list []Job
		for _, name := range names {
			level, err := ParseLevel(name)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, Job{source, level})
		}
		return list
	}
	together := t.TempDir()
	if err := Build(t.Context(), together, jobs(full, "gptq-q4_0", "wanda-0.50", "q4_0"), 1, nil); err != nil {
		t.Fatal(err)
	}
	apart := t.TempDir()
	for _, list := range [][]Job{jobs(full, "gptq-q4_0"), jobs(squares, "wanda-0.50"), jobs(nil, "q4_0")} {
		if err := Build(t.Context(), apart, list, 1, nil); err != nil {
			t.Fatal(err)
		}
	}
	if !maps.Equal(readFolder(t, together), readFolder(t, apart)) {
		t.Error("levels that are built together are other files than those built apart")
	}
}

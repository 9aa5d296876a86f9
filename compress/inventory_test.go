package compress

import (
	"maps"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

func TestList(t *testing.T) {
	dir := t.TempDir()
	jobs, _ := testJobs(t)
	if err := Build(t.Context(), dir, jobs, 2, time.Now, nil); err != nil {
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
	if err := Build(t.Context(), together, jobs(full, "gptq-q4_0", "wanda-0.50", "q4_0"), 1, time.Now, nil); err != nil {
		t.Fatal(err)
	}
	apart := t.TempDir()
	for _, list := range [][]Job{jobs(full, "gptq-q4_0"), jobs(squares, "wanda-0.50"), jobs(nil, "q4_0")} {
		if err := Build(t.Context(), apart, list, 1, time.Now, nil); err != nil {
			t.Fatal(err)
		}
	}
	if !maps.Equal(readFolder(t, together), readFolder(t, apart)) {
		t.Error("levels that are built together are other files than those built apart")
	}
}

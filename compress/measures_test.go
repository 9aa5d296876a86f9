package compress

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// ticks is a clock that goes on by a second each time that it is read.
func ticks() func() time.Time {
	now := time.Unix(0, 0)
	return func() time.Time {
		now = now.Add(time.Second)
		return now
	}
}

// The error of the outputs is known of every level that is built, or was there, with statistics; and of how it was made, the time.
func TestMeasures(t *testing.T) {
	const rows, cols = 8, 128
	layer := Layer{Name: "blk.0.attn_q", Rows: rows, Cols: cols, Weights: testWeights("heavy", rows, cols), Statistics: testStatistics(cols)}
	plain := testSource(layer.Name, rows, cols, layer.Weights)
	source := plain
	source.Calibration = "a text"
	source.Statistics = func() (*Statistics, error) { return layer.Statistics, nil }
	levels := []Level{mustLevel(t, "q4_0"), mustLevel(t, "sparse-0.50"), mustLevel(t, "wanda-0.50"), mustLevel(t, "gptq-q4_0")}
	var jobs []Job
	for _, l := range levels {
		jobs = append(jobs, Job{source, l})
	}
	dir := t.TempDir()
	if err := Build(t.Context(), dir, []Job{{plain, levels[0]}}, 1, ticks(), nil); err != nil {
		t.Fatal(err)
	}
	first, err := ReadMeasures(dir)
	if err != nil {
		t.Fatal(err)
	}
	if key := plain.Key(levels[0]); first.Seconds(key) != 1 || !math.IsNaN(first.OutputError(key, "a text")) || first.statistics(key) != nil {
		t.Errorf("a level without statistics took %g s and has errors on %v", first.Seconds(key), first.statistics(key))
	}
	if err := Build(t.Context(), dir, jobs, 1, ticks(), nil); err != nil {
		t.Fatal(err)
	}
	got, err := ReadMeasures(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range levels {
		m, err := Compress(layer, l)
		if err != nil {
			t.Fatal(err)
		}
		key, want := source.Key(l), Describe(layer, l, m).OutputError
		if e := got.OutputError(key, "a text"); e != want || !(e > 0) || got.Seconds(key) != 1 {
			t.Errorf("%s took %g s and has the error %g, want %g", l, got.Seconds(key), e, want)
		}
		if e := got.OutputError(key, "another"); !math.IsNaN(e) {
			t.Errorf("%s has the error %g on a text that was never seen", l, e)
		}
	}

	// What is known is not measured again.
	source.Load = func() ([]float32, error) {
		t.Error("a layer is loaded of which all is known")
		return layer.Weights, nil
	}
	for i := range jobs {
		jobs[i].Layer = source
	}
	if err := Build(t.Context(), dir, jobs, 1, ticks(), nil); err != nil {
		t.Fatal(err)
	}
}

// A process that is killed while it writes a line costs what that line said, and no other.
func TestMeasuresOfAKilledProcess(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, measuresFile)
	if err := os.WriteFile(path, []byte(`{"key":"a","seconds":2}`+"\n"+`{"key":"a","seconds":3,"statistics":"s","output_error":0.5}`+"\n"+`{"key":"b","seco`), 0o666); err != nil {
		t.Fatal(err)
	}
	w, err := appendMeasures(dir)
	if err != nil {
		t.Fatal(err)
	}
	four := 4.0
	if err := w.add(measure{Key: "c", Seconds: &four}); err != nil {
		t.Fatal(err)
	}
	if err := w.add(measure{Key: "d"}); err != nil {
		t.Fatal(err)
	}
	if err := w.close(); err != nil {
		t.Fatal(err)
	}
	m, err := ReadMeasures(dir)
	if err != nil {
		t.Fatal(err)
	}
	if m.Seconds("a") != 3 || m.OutputError("a", "s") != 0.5 || !math.IsNaN(m.Seconds("b")) || m.Seconds("c") != 4 {
		t.Errorf("read %+v", m)
	}
	if data, _ := os.ReadFile(path); strings.Count(string(data), "\n") != 4 || strings.Contains(string(data), `"d"`) {
		t.Errorf("the file is\n%s", data)
	}
	if m, err := ReadMeasures(filepath.Join(dir, "missing")); err != nil || !math.IsNaN(m.Seconds("a")) {
		t.Errorf("of a folder that is not there: %+v, %v", m, err)
	}
}

package compress

import (
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/finch-llm/finch/kernels"
)

func TestOutputError(t *testing.T) {
	const rows, cols = 3, 64
	layer := Layer{Name: "l", Rows: rows, Cols: cols, Weights: testWeights("gaussian", rows, cols), Statistics: testStatistics(cols)}
	level := mustLevel(t, "q4_0")
	m, err := Compress(layer, level)
	if err != nil {
		t.Fatal(err)
	}
	var errs, outputs float64
	decoded := make([]float32, cols)
	for r := range rows {
		kernels.Unpack(decoded, m, r)
		w := layer.Weights[r*cols:]
		for i := range cols {
			for j := range cols {
				h := layer.Statistics.Hessian[i*cols+j]
				errs += float64(w[i]-decoded[i]) * h * float64(w[j]-decoded[j])
				outputs += float64(w[i]) * h * float64(w[j])
			}
		}
	}
	if got, want := Describe(layer, level, m).OutputError, errs/outputs; math.Abs(got-want) > 1e-9*want {
		t.Errorf("the outputs' error is %g, want %g", got, want)
	}
	squares := layer
	squares.Statistics = &Statistics{Squares: layer.Statistics.Squares}
	none := layer
	none.Statistics = nil
	for _, l := range []Layer{squares, none} {
		if got := Describe(l, level, m).OutputError; !math.IsNaN(got) {
			t.Errorf("the outputs' error is %g without second moments", got)
		}
	}
	layer.Weights = make([]float32, rows*cols)
	if m, err = Compress(layer, level); err != nil {
		t.Fatal(err)
	}
	if got := Describe(layer, level, m).OutputError; got != 0 {
		t.Errorf("zeros that stay zeros have an output error of %g", got)
	}
}

// Only the files of levels whose key names the statistics depend on them.
func TestBuildWithStatistics(t *testing.T) {
	const rows, cols = 4, 64
	statistics := testStatistics(cols)
	source := testSource("blk.0.attn_q", rows, cols, testWeights("heavy", rows, cols))
	plain := source
	source.Calibration = "some text"
	source.Statistics = func() (*Statistics, error) { return statistics, nil }
	fitted, rounded := mustLevel(t, "gptq-q4_0"), mustLevel(t, "q4_0")
	with, without := filepath.Join(t.TempDir(), "with"), filepath.Join(t.TempDir(), "without")
	if err := Build(t.Context(), with, []Job{{source, fitted}, {source, rounded}}, 1, time.Now, nil); err != nil {
		t.Fatal(err)
	}
	if err := Build(t.Context(), without, []Job{{plain, rounded}}, 1, time.Now, nil); err != nil {
		t.Fatal(err)
	}
	files := readFolder(t, with)
	for name, want := range readFolder(t, without) {
		if files[name] != want {
			t.Error("the file of q4_0 depends on statistics")
		}
	}
	if err := Build(t.Context(), without, []Job{{plain, fitted}}, 1, time.Now, nil); err == nil || !strings.Contains(err.Error(), "statistics") {
		t.Errorf("gptq-q4_0 is built without statistics: %v", err)
	}
}

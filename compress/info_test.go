package compress

import (
	"bytes"
	"math"
	"path/filepath"
	"strings"
	"testing"

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
	if err := Build(t.Context(), with, []Job{{source, fitted}, {source, rounded}}, 1, nil); err != nil {
		t.Fatal(err)
	}
	if err := Build(t.Context(), without, []Job{{plain, rounded}}, 1, nil); err != nil {
		t.Fatal(err)
	}
	files := readFolder(t, with)
	for name, want := range readFolder(t, without) {
		if files[name] != want {
			t.Error("the file of q4_0 depends on statistics")
		}
	}
	db, err := OpenDatabase(with)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	_, info, err := db.Load(source.Key(fitted))
	if err != nil {
		t.Fatal(err)
	}
	if !(info.OutputError > 0 && info.OutputError < 0.01) {
		t.Errorf("gptq-q4_0 has an output error of %g", info.OutputError)
	}
	if _, info, err = db.Load(source.Key(rounded)); err != nil || !math.IsNaN(info.OutputError) {
		t.Errorf("q4_0 has an output error of %g, %v", info.OutputError, err)
	}
	if err := Build(t.Context(), without, []Job{{plain, fitted}}, 1, nil); err == nil || !strings.Contains(err.Error(), "statistics") {
		t.Errorf("gptq-q4_0 is built without statistics: %v", err)
	}
}

func TestLevelFileKeepsOutputError(t *testing.T) {
	layer := Layer{Name: "blk.0.attn_q", Rows: 3, Cols: 64, Weights: testWeights("gaussian", 3, 64), Statistics: testStatistics(64)}
	level := mustLevel(t, "gptq-int3-g64")
	m, err := Compress(layer, level)
	if err != nil {
		t.Fatal(err)
	}
	info := Describe(layer, level, m)
	var file bytes.Buffer
	if err := writeLevelFile(&file, info, testSource(layer.Name, layer.Rows, layer.Cols, layer.Weights), level, m); err != nil {
		t.Fatal(err)
	}
	f, err := parseLevelFile(file.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if !sameInfo(f.info, info) || math.IsNaN(f.info.OutputError) {
		t.Errorf("%+v comes back as %+v", info, f.info)
	}
	_, err = parseLevelFile(withHeader(file.Bytes(), func(h string) string {
		return strings.Replace(h, `"output_error":`, `"output_error":-`, 1)
	}))
	if err == nil || !strings.Contains(err.Error(), "negative") {
		t.Errorf("a negative error of the outputs gives %v", err)
	}
}

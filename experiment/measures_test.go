package experiment

import (
	"context"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/finch-llm/finch/compress"
	"github.com/finch-llm/finch/configs"
	"github.com/finch-llm/finch/evaluator"
	"github.com/finch-llm/finch/model"
	"github.com/finch-llm/finch/model/finchling"
	"github.com/finch-llm/finch/model/imatrix"
)

// outputErrors are those of all levels of a task on its statistics, NaN where they are not known.
func outputErrors(t *testing.T, s *Session, task *Task) map[compress.Key]float64 {
	t.Helper()
	known, err := compress.ReadMeasures(s.Levels)
	if err != nil {
		t.Fatal(err)
	}
	errs := map[compress.Key]float64{}
	for _, w := range task.wanted() {
		errs[w.key()] = known.OutputError(w.key(), task.fitting.id)
	}
	return errs
}

// Levels that learn nothing are measured too where others are fitted, also those that were there before.
func TestOutputErrorsOfAllLevels(t *testing.T) {
	p := newPlace(t)
	s := p.session(t, "a.db")
	build(t, s, p.experiment(t, "levels = [\"q8_0\", \"q4_0\"]\nbudget = { bits_per_weight = 6.0 }")) // before there are statistics
	e := p.experiment(t, p.fitting(t, ""))
	task := prepare(t, s, e)
	if missing, err := task.missing(s.Levels, task.wanted()); err != nil || len(missing) != len(task.wanted()) {
		t.Errorf("%d of %d levels are missing or not measured, %v", len(missing), len(task.wanted()), err)
	}
	build(t, s, e)
	plain, fitted := 0.0, 0.0
	errs := outputErrors(t, s, task)
	for i := range task.layers {
		source := &task.layers[i].source
		plain += errs[source.Key(level(t, "q8_0"))]
		fitted += errs[source.Key(level(t, gptq))]
	}
	if !(0 < plain && plain < fitted && fitted < 1) { // NaN compares as false
		t.Errorf("the outputs' errors of all layers are %g at q8_0 and %g at %s in all", plain, fitted, gptq)
	}

	again := p.session(t, "b.db")
	again.Levels = t.TempDir()
	build(t, again, e)
	if got := outputErrors(t, again, prepare(t, again, e)); !maps.Equal(got, errs) {
		t.Error("the outputs' errors depend on which levels were there")
	}
}

// The model is run over a text once for all experiments of a file whose levels are fitted to it.
func TestStatisticsAreShared(t *testing.T) {
	p := newPlace(t)
	s := p.session(t, "a.db")
	first := prepare(t, s, p.experiment(t, p.fitting(t, "")))
	second := prepare(t, s, p.experiment(t, strings.Replace(p.fitting(t, ""), "q8_0", "wanda-0.50", 1)+"\ntarget = \"packed\""))
	other := prepare(t, s, p.experiment(t, p.fitting(t, ", sequence = 64")))
	if _, err := s.Build(context.Background(), first); err != nil {
		t.Fatal(err)
	}
	second.fitting.corpus.Tokens[5], other.fitting.corpus.Tokens[5] = -1, -1 // whoever runs the model now fails
	if _, err := s.Build(context.Background(), second); err != nil {
		t.Errorf("the model is run for a second experiment: %v", err)
	}
	for key, e := range outputErrors(t, s, second) {
		if math.IsNaN(e) {
			t.Errorf("%s of the second experiment was not measured", key)
		}
	}
	if _, err := s.Build(context.Background(), other); err == nil {
		t.Error("levels are fitted to another text without running the model")
	}
}

// A text is the one that is used to judge by what is in it, not by its path.
func TestFittingToTheEvaluationText(t *testing.T) {
	p := newPlace(t)
	s := p.session(t, "a.db")
	copied := filepath.Join(p.dir, "copy")
	p.write(t, copied, finchling.Calibration[:8192])
	settings := strings.Replace(p.fitting(t, ""), filepath.Join(p.dir, "statistics"), copied, 1)
	_, err := s.Prepare(p.experiment(t, settings))
	fails(t, err, "tiny.toml:13", fmt.Sprintf("%q, which holds the text of evaluation, %q", copied, p.text), "write another text")
	p.write(t, copied, finchling.Calibration[1:8192])
	prepare(t, s, p.experiment(t, settings))
}

// writeImatrix writes the mean squares of all layers' inputs on a task's text, changed by change.
func writeImatrix(t *testing.T, path string, task *Task, s *Session, change func(*imatrix.File)) {
	t.Helper()
	engine, err := evaluator.New(task.Model, evaluator.Options{Path: s.Path.Exact(), Workers: 1, Context: 32, NoTeacher: true})
	if err != nil {
		t.Fatal(err)
	}
	f := &imatrix.File{Chunks: 1, ChunkSize: 32}
	err = engine.Statistics(context.Background(), &evaluator.Calibration{
		Corpus: task.Calibration,
		Needs:  func(int, model.Kind) compress.Needs { return compress.NeedsSquares },
		Take: func(block int, of *[model.NumKinds]*compress.Statistics) error {
			for _, k := range task.Model.Kinds() {
				f.Matrices = append(f.Matrices, imatrix.Matrix{Name: model.LayerName(block, k) + ".weight", Count: of[k].Tokens, Squares: of[k].Squares})
			}
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	change(f)
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := f.Write(file); err != nil {
		t.Fatal(err)
	}
}

// Levels take an importance matrix for what it says, and the model is not run.
func TestFittingToAnImportanceMatrix(t *testing.T) {
	p := newPlace(t)
	s := p.session(t, "a.db")
	path := filepath.Join(p.dir, "i.gguf")
	experiment := func(levels string) *configs.Experiment {
		return p.experiment(t, fmt.Sprintf("levels = %s\ntarget = \"packed\"\nbudget = { bits_per_weight = 6.0 }\nstatistics = { imatrix = %q }", levels, path))
	}
	levels := `["q8_0", "imatrix-q4_0", "wanda-0.50"]`
	_, err := s.Prepare(experiment(levels))
	fails(t, err, "tiny.toml:14", path, "no such file")
	plain := prepare(t, s, p.experiment(t, "levels = [\"q8_0\", \"q4_0\"]\nbudget = { bits_per_weight = 6.0 }"))
	for says, change := range map[string]func(*imatrix.File){
		"has 0 inputs of blk.2.ffn_down.weight, and": func(f *imatrix.File) { f.Matrices = f.Matrices[:20] },
		"has 63 inputs of blk.0.attn_q.weight, and":  func(f *imatrix.File) { f.Matrices[0].Squares = f.Matrices[0].Squares[1:] },
	} {
		writeImatrix(t, path, plain, s, change)
		_, err = s.Prepare(experiment(levels))
		fails(t, err, "tiny.toml:14", says, "not of this model")
	}
	writeImatrix(t, path, plain, s, func(*imatrix.File) {})
	_, err = s.Prepare(experiment(`["q8_0", "gptq-q4_0"]`))
	fails(t, err, "tiny.toml:11", `levels[1] is "gptq-q4_0"`, "nothing but their squares", "statistics.data")

	e := experiment(levels)
	build(t, s, e)
	task := prepare(t, s, e)
	for i := range task.layers {
		l := &task.layers[i]
		of, err := l.source.Statistics()
		if err != nil || !(of.Squares[0] > 0) {
			t.Fatalf("%s: %v, %v", l.source.Name, of, err)
		}
		for _, name := range []string{"imatrix-q4_0", "wanda-0.50"} {
			level := level(t, name)
			want, err := compress.Compress(compress.Layer{Name: l.source.Name, Rows: l.dense.Rows, Cols: l.dense.Cols, Weights: unpack(l.dense), Statistics: of}, level)
			if err != nil {
				t.Fatal(err)
			}
			got, _, err := s.levels.Load(l.source.Key(level))
			if err != nil || string(got.Data) != string(want.Data) || string(got.Mask) != string(want.Mask) {
				t.Errorf("%s at %s is not fitted to the matrix: %v", l.source.Name, name, err)
			}
		}
	}
	was := task.layers[3].source
	writeImatrix(t, path, plain, s, func(f *imatrix.File) { f.Matrices[0].Squares[0] *= 2 })
	if now := prepare(t, s, experiment(levels)).layers[3].source; now.Key(level(t, "wanda-0.50")) == was.Key(level(t, "wanda-0.50")) || now.Key(level(t, "q8_0")) != was.Key(level(t, "q8_0")) {
		t.Error("the content of the importance matrix is not in the keys of fitted levels, or in others")
	}
}

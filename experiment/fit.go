package experiment

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"

	"github.com/finch-llm/finch/compress"
	"github.com/finch-llm/finch/configs"
	"github.com/finch-llm/finch/evaluator"
	"github.com/finch-llm/finch/model"
	"github.com/finch-llm/finch/model/imatrix"
)

// fitting is what levels are fitted to: a text and how it gets to their layers, or an importance matrix.
type fitting struct {
	text    configs.Text      // zero if imatrix is not nil
	corpus  *evaluator.Corpus // nil too while the model has not written its own text
	through compress.Level    // of the blocks before a layer's; zero: the model's own blocks
	imatrix *imatrix.File
	id      string // of all that the statistics depend on
}

// openFitting reads what an experiment's statistics come from; nil if no level needs them.
func (s *Session) openFitting(config *configs.Experiment, m *model.Model) (*fitting, error) {
	set := &config.Statistics
	if *set == (configs.Statistics{}) {
		return nil, nil
	}
	if set.Imatrix != "" {
		return openImatrix(config, m)
	}
	f := &fitting{text: set.Text}
	textID, err := s.openText(f, m)
	if err != nil {
		return nil, config.Errorf("statistics", "%v", err)
	}
	id := fmt.Sprintf("%d %s %s %s %s %s", evaluator.Version, runtime.GOARCH, s.Path.Exact().Name(), m.Hash, textID, set.Propagation)
	if set.Propagation == configs.Sequential {
		if f.through, err = compress.ParseLevel(set.Level); err != nil {
			return nil, config.Errorf("statistics.level", "%v", err)
		}
		id += fmt.Sprintf(" %s %d", f.through, f.through.Version())
	}
	f.id = hash([]byte(id))
	return f, nil
}

// openText reads the text of f, unless the model is to write it, and says what identifies the text beside the model and the
// kernels.
func (s *Session) openText(f *fitting, m *model.Model) (id string, err error) {
	if f.writes() {
		return fmt.Sprintf("self %d %d %d %d", evaluator.SampleVersion, evaluator.SampleSeed, f.sequences(), f.text.Sequence), fitsContext(f.text, m)
	}
	if f.corpus, err = s.corpus(m, f.text); err != nil {
		return "", err
	}
	return f.corpus.Hash, nil
}

// openImatrix reads an importance matrix, which must be one of the model, and refuses levels for which it is not enough.
func openImatrix(config *configs.Experiment, m *model.Model) (*fitting, error) {
	for key, name := range config.LevelNames() {
		if level, err := compress.ParseLevel(name); err == nil && level.Needs() == compress.NeedsHessian {
			return nil, config.Errorf(key, "%s is %q, which looks at the second moments of a layer's inputs, and statistics.imatrix has nothing but their squares: write statistics.data, a text, instead, or levels such as \"imatrix-q4_k\" or \"wanda-0.50\"", key, name)
		}
	}
	path := config.Statistics.Imatrix
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, config.Errorf("statistics.imatrix", "%v", err)
	}
	file, err := imatrix.Parse(data, path)
	if err != nil {
		return nil, config.Errorf("statistics.imatrix", "%v", err)
	}
	for b := range m.Blocks {
		for _, k := range m.Kinds() {
			_, cols := m.Shape(k)
			if name := model.LayerName(b, k) + ".weight"; len(file.Squares(name)) != cols {
				return nil, config.Errorf("statistics.imatrix", "%s has %d inputs of %s, and %s has %d: it is not of this model", path, len(file.Squares(name)), name, m.Ref, cols)
			}
		}
	}
	return &fitting{imatrix: file, id: hash(append([]byte("imatrix "), data...))}, nil
}

// statistics of a layer are known before the model is run if there is an importance matrix.
func (f *fitting) statistics(layer string) func() (*compress.Statistics, error) {
	if f.imatrix == nil {
		return nil
	}
	return func() (*compress.Statistics, error) {
		return &compress.Statistics{Squares: f.imatrix.Squares(layer + ".weight")}, nil
	}
}

// same says that levels which are fitted by f or by o are the same.
func (f *fitting) same(o *fitting) bool { return f != nil && o != nil && f.id == o.id }

// runs says that the model is run on a text.
func (f *fitting) runs() bool { return f != nil && f.imatrix == nil }

// writes says that the model writes that text.
func (f *fitting) writes() bool { return f.text.Data == configs.Self }

// sequences is how many the text has.
func (f *fitting) sequences() int { return f.text.Tokens / f.text.Sequence }

// before lists what a folder lacks of the levels that the text goes through to the layers of missing, if they are not among want: those
// of all blocks before the last.
func (t *Task) before(dir string, missing, want []wanted) []wanted {
	if t.fitting == nil || t.fitting.through == (compress.Level{}) {
		return nil
	}
	last := 0
	wants := map[compress.Key]bool{}
	for _, w := range missing {
		last = max(last, w.layer.block)
	}
	for _, w := range want {
		wants[w.key()] = true
	}
	var through []wanted
	for i := range t.layers {
		w := wanted{&t.layers[i], t.fitting.through}
		if w.layer.block < last && !wants[w.key()] && !compress.Built(dir, w.key()) {
			through = append(through, w)
		}
	}
	return through
}

// fitter is an engine that runs a model on what its levels are fitted to.
func (s *Session) fitter(m *model.Model, sequence int) (*evaluator.Engine, error) {
	o := s.options()
	o.Path, o.Context, o.Cache, o.NoTeacher = s.Path.Exact(), sequence, 0, true
	return evaluator.New(m, o)
}

// fit makes and measures levels, block by block while the text goes through the model.
func (b *builder) fit(ctx context.Context, missing []wanted) error {
	engine, err := b.fitter(b.Model, b.fitting.text.Sequence)
	if err != nil {
		return err
	}
	defer engine.Rest()
	corpus, err := b.read(ctx, engine)
	if err != nil {
		return err
	}
	b.Progress.Levels(b.done, b.total)
	of := make([][]wanted, b.Model.Blocks)
	for _, w := range missing {
		of[w.layer.block] = append(of[w.layer.block], w)
	}
	c := &evaluator.Calibration{
		Corpus: corpus,
		Needs: func(block int, k model.Kind) compress.Needs {
			if slices.ContainsFunc(of[block], func(w wanted) bool { return w.layer.kind == k }) {
				return compress.NeedsHessian // of levels that do not need it, for the errors of their outputs
			}
			return compress.NeedsNothing
		},
		Take: func(block int, statistics *[model.NumKinds]*compress.Statistics) error {
			todo := jobs(of[block])
			for i, w := range of[block] {
				todo[i].Layer.Statistics = func() (*compress.Statistics, error) { return statistics[w.layer.kind], nil }
			}
			return b.build(ctx, todo)
		},
	}
	if b.fitting.through != (compress.Level{}) {
		c.Through = b.through
	}
	return engine.Statistics(ctx, c)
}

// read is the text that levels are fitted to. One of the model's own is written when it is first needed, for all experiments.
func (b *builder) read(ctx context.Context, engine *evaluator.Engine) (*evaluator.Corpus, error) {
	f, key := b.fitting, corpusKey{b.Model.Ref, b.fitting.text}
	if f.corpus == nil {
		f.corpus = b.corpora[key]
	}
	if f.corpus != nil {
		return f.corpus, nil
	}
	corpus, err := engine.Sample(ctx, evaluator.Sampling{
		Sequences: f.sequences(), Length: f.text.Sequence, Seed: evaluator.SampleSeed, Written: b.Progress.Text,
	})
	if err != nil {
		return nil, err
	}
	b.keep(key, corpus)
	f.corpus = corpus
	return corpus, nil
}

// through is a block at the level that the text goes through.
func (b *builder) through(block int) (*model.Block, error) {
	compressed := b.Model.Network.Blocks[block]
	for i := range b.layers {
		l := &b.layers[i]
		if l.block != block {
			continue
		}
		m, _, err := b.levels.Load(l.source.Key(b.fitting.through))
		if err != nil {
			return nil, err
		}
		compressed.Layers[l.kind] = m
	}
	return &compressed, nil
}

package experiment

import (
	"fmt"
	"math"

	"github.com/finch-llm/finch/compress"
	"github.com/finch-llm/finch/configs"
	"github.com/finch-llm/finch/evaluator"
	"github.com/finch-llm/finch/export"
	"github.com/finch-llm/finch/internal/text"
	"github.com/finch-llm/finch/kernels"
	"github.com/finch-llm/finch/model"
	"github.com/finch-llm/finch/search"
)

// Task is one experiment with its model, its texts and the levels that each layer may take. Nothing is built yet.
type Task struct {
	Config                  *configs.Experiment
	Model                   *model.Model
	Calibration, Evaluation *evaluator.Corpus

	fitting *fitting // nil: no level needs statistics
	latency *Latency // nil: the budget does not bound it
	target  export.Target
	layers  []layer    // block by block, in the order of model.Kind
	bundles [][]bundle // of the same, by block
}

// layer is one weight matrix and its choices.
type layer struct {
	block   int
	kind    model.Kind
	dense   *kernels.Matrix
	source  compress.Source
	choices []levelChoice // none: the layer stays as it is
}

// weights are the dense ones.
func (l *layer) weights() int64 { return int64(l.dense.Rows) * int64(l.dense.Cols) }

// levelChoice is a level under the name by which it is the same choice in every layer.
type levelChoice struct {
	name  string
	level compress.Level
}

// Prepare opens what an experiment names and refuses, with the place in the file, what cannot work with this model: a text
// that is too short, or a budget that no candidate can meet. It writes to no database, but brings what is on the hub into the
// cache, and prepares an experiment once.
func (s *Session) Prepare(config *configs.Experiment) (*Task, error) {
	for _, t := range s.tasks {
		if t.Config == config {
			return t, nil
		}
	}
	t, err := s.prepare(config)
	if err == nil {
		s.tasks = append(s.tasks, t)
	}
	return t, err
}

func (s *Session) prepare(config *configs.Experiment) (*Task, error) {
	if err := s.fetch(config); err != nil {
		return nil, err
	}
	m, err := s.model(config.Model)
	if err != nil {
		return nil, config.Errorf("model", "%v", err)
	}
	if err := original(m); err != nil {
		return nil, config.Errorf("model", "%v", err)
	}
	t := &Task{Config: config, Model: m}
	if t.Calibration, err = s.corpus(m, config.Calibration); err != nil {
		return nil, config.Errorf("calibration", "%v", err)
	}
	if t.Evaluation, err = s.corpus(m, config.Evaluation); err != nil {
		return nil, config.Errorf("evaluation", "%v", err)
	}
	if err := s.judgedByItsText(config); err != nil {
		return nil, err
	}
	if t.fitting, err = s.openFitting(config, m); err != nil {
		return nil, err
	}
	if t.target, err = export.For(config.Target, m); err != nil {
		return nil, config.Errorf("target", "%v", err)
	}
	if err := t.layOut(); err != nil {
		return nil, err
	}
	if err := t.readLatency(); err != nil {
		return nil, config.Errorf("budget.latency_table", "%v", err)
	}
	estimate, err := t.problem(t.estimate)
	if err != nil {
		return nil, err
	}
	if len(estimate.Space.Sites) == 0 {
		return nil, config.Errorf("protect", "protect leaves nothing to choose: name fewer layers")
	}
	if err := estimate.Space.Validate(); err != nil {
		return nil, config.Errorf("budget", "%v", err)
	}
	if _, err := search.Check(config.Search.Method, estimate.Space, estimate.searchSettings()); err != nil {
		return nil, config.Errorf("search", "%v", err)
	}
	return t, nil
}

// original refuses models that are somebody's winner: what was dropped or pruned cannot be searched over.
func original(m *model.Model) error {
	for b := range m.Network.Blocks {
		for _, k := range m.Kinds() {
			if block := &m.Network.Blocks[b]; block.Drops(k) || block.Layers[k].Mask != nil {
				return fmt.Errorf("%s of %s is dropped or sparse already: give the original model", model.LayerName(b, k), m.Ref)
			}
		}
	}
	return nil
}

// judgedByItsText refuses to fit levels to the text of evaluation, also where that is a file under another name.
func (s *Session) judgedByItsText(config *configs.Experiment) error {
	if data := config.Statistics.Data; data == "" || data == configs.Self {
		return nil
	}
	fitted, err := s.source(config.Statistics.Data)
	if err != nil {
		return config.Errorf("statistics.data", "%v", err)
	}
	judging, err := s.source(config.Evaluation.Data)
	if err != nil {
		return config.Errorf("evaluation.data", "%v", err)
	}
	same, err := text.Same(fitted, judging)
	if err != nil {
		return config.Errorf("statistics", "%v", err)
	}
	if same {
		return config.Errorf("statistics.data", "statistics.data is %q, which holds the text of evaluation, %q: levels that were fitted to it would look better than they are, so write another text",
			config.Statistics.Data, config.Evaluation.Data)
	}
	return nil
}

// layOut lists the layers and what each may become.
func (t *Task) layOut() error {
	for b := range t.Model.Network.Blocks {
		for _, k := range t.Model.Kinds() {
			dense := t.Model.Network.Blocks[b].Layers[k]
			l := layer{block: b, kind: k, dense: dense, source: compress.Source{
				Name: model.LayerName(b, k), Rows: dense.Rows, Cols: dense.Cols,
				Hash: compress.HashWeights(dense.Format.String(), dense.Rows, dense.Cols, dense.Data),
				Load: func() ([]float32, error) { return unpack(dense), nil },
			}}
			if t.fitting != nil {
				l.source.Calibration, l.source.Statistics = t.fitting.id, t.fitting.statistics(l.source.Name)
			}
			t.layers = append(t.layers, l)
		}
	}
	return t.join()
}

// stepShare sizes the steps of a ladder that does not say: an eighth of the smallest layer. EvoPress's million weights (arXiv
// 2410.14649) suit models of billions, and exceed whole layers of small ones.
const stepShare = 8

// sizedLevels are the levels of the experiment, a ladder's step sized to the model. What is recorded stays as it is written.
func (t *Task) sizedLevels() configs.Levels {
	levels := t.Config.Levels
	if levels.Sparse == nil || levels.Sparse.StepWeights > 0 {
		return levels
	}
	smallest := int64(math.MaxInt64)
	for b := range t.Model.Network.Blocks {
		for _, k := range t.Model.Kinds() {
			dense := t.Model.Network.Blocks[b].Layers[k]
			smallest = min(smallest, int64(dense.Rows)*int64(dense.Cols))
		}
	}
	sized := *levels.Sparse
	sized.StepWeights = max(1, smallest/stepShare)
	return configs.Levels{Sparse: &sized}
}

// choices are the levels of a layer with so many weights.
func choices(levels configs.Levels, weights int64) ([]levelChoice, error) {
	if levels.Sparse != nil {
		return ladder(levels.Sparse, weights), nil
	}
	var list []levelChoice
	for _, name := range levels.Names {
		if name == configs.Drop {
			continue // a gate's, not a layer's
		}
		level, err := compress.ParseLevel(name)
		if err != nil {
			return nil, err
		}
		list = append(list, levelChoice{name, level})
	}
	return list, nil
}

// ladder is the sparsities of a layer of so many weights, from the sparsest. A step is the same number of weights in
// every layer, so that one layer a step up and another a step down keep the total (arXiv 2410.14649). Steps that would
// leave 0–95 % are left out, the centre rounded up so that all centres together meet the budget.
func ladder(l *configs.Ladder, weights int64) []levelChoice {
	var list []levelChoice
	for step := l.Count; step >= -l.Count; step-- {
		zeros := export.LadderZeros(l.Center, step, l.StepWeights, weights)
		if zeros < 0 || float64(zeros) > configs.MaxSparsity*float64(weights) {
			continue
		}
		list = append(list, levelChoice{fmt.Sprintf("sparse-%v%+d", l.Center, step), compress.SparseZeros(zeros, kernels.BF16)})
	}
	return list
}

// unpack decodes a matrix to float32 [rows, cols].
func unpack(m *kernels.Matrix) []float32 {
	w := make([]float32, m.Rows*m.Cols)
	for r := range m.Rows {
		kernels.Unpack(w[r*m.Cols:(r+1)*m.Cols], m, r)
	}
	return w
}

// estimate foretells how a layer is stored at a level, before it has been built: exactly, but for the padding that rows of
// sparse quantized values need, which is left out.
func (t *Task) estimate(l *layer, c levelChoice) (*kernels.Matrix, compress.Info, error) {
	rows, cols := l.dense.Rows, l.dense.Cols
	weights := int64(rows) * int64(cols)
	f := c.level.Format(cols)
	info := compress.Info{Layer: l.source.Name, Level: c.level.Name(), Format: f, Rows: rows, Cols: cols, NonZeros: weights}
	if c.level.Sparse() {
		info.Sparse = true
		info.NonZeros = weights - c.level.Zeros(weights)
		blocks := (info.NonZeros + int64(f.BlockWeights()) - 1) / int64(f.BlockWeights())
		info.Bytes = blocks*int64(f.BlockBytes()) + int64(rows)*int64((cols+7)/8)
	} else {
		info.Bytes = int64(rows) * int64(f.RowBytes(cols))
	}
	return nil, info, nil
}

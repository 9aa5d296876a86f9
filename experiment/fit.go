package experiment

import (
	"context"
	"fmt"
	"runtime"
	"slices"

	"github.com/finch-llm/finch/compress"
	"github.com/finch-llm/finch/configs"
	"github.com/finch-llm/finch/evaluator"
	"github.com/finch-llm/finch/model"
)

// fitting is the text that levels are fitted to, and how it gets to their layers.
type fitting struct {
	corpus  *evaluator.Corpus
	through compress.Level // of the blocks before a layer's; zero: the model's own blocks
	id      string         // of all that the statistics depend on
}

// openFitting reads the text of an experiment's statistics; nil if no level needs them.
func (s *Session) openFitting(config *configs.Experiment, m *model.Model) (*fitting, error) {
	set := &config.Statistics
	if *set == (configs.Statistics{}) {
		return nil, nil
	}
	corpus, err := s.corpus(m, set.Text)
	if err != nil {
		return nil, config.Errorf("statistics", "%v", err)
	}
	f := &fitting{corpus: corpus}
	id := fmt.Sprintf("%d %s %s %s %s %s", evaluator.Version, runtime.GOARCH, s.Path.Exact().Name(), m.Hash, corpus.Hash, set.Propagation)
	if set.Propagation == configs.Sequential {
		if f.through, err = compress.ParseLevel(set.Level); err != nil {
			return nil, config.Errorf("statistics.level", "%v", err)
		}
		id += fmt.Sprintf(" %s %d", f.through, f.through.Version())
	}
	f.id = hash([]byte(id))
	return f, nil
}

// before lists the levels that the text goes through to the layers of fitted, if they are not among want: those of all blocks
// before the last.
func (t *Task) before(fitted, want []wanted) []wanted {
	if t.fitting == nil || t.fitting.through == (compress.Level{}) {
		return nil
	}
	last := 0
	for _, w := range fitted {
		last = max(last, w.layer.block)
	}
	var through []wanted
	for i := range t.layers {
		w := wanted{&t.layers[i], t.fitting.through}
		if w.layer.block < last && !slices.Contains(want, w) {
			through = append(through, w)
		}
	}
	return through
}

// fit makes levels from statistics, block by block while the text goes through the model.
func (b *builder) fit(ctx context.Context, fitted []wanted) error {
	if b.fitting == nil {
		return b.Config.Errorf("levels", "level %q is fitted to statistics, and the experiment has no text for them", fitted[0].level)
	}
	o := b.options()
	o.Path, o.Context, o.Cache, o.NoTeacher = b.Path.Exact(), b.fitting.corpus.Sequence, 0, true
	engine, err := evaluator.New(b.Model, o)
	if err != nil {
		return err
	}
	defer engine.Rest()
	of := make([][]wanted, b.Model.Blocks)
	for _, w := range fitted {
		of[w.layer.block] = append(of[w.layer.block], w)
	}
	c := &evaluator.Calibration{
		Corpus: b.fitting.corpus,
		Needs: func(block int, k model.Kind) compress.Needs {
			needs := compress.NeedsNothing
			for _, w := range of[block] {
				if w.layer.kind == k {
					needs = max(needs, w.level.Needs())
				}
			}
			return needs
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

package experiment

import (
	"context"

	"github.com/finch-llm/finch/compress"
	"github.com/finch-llm/finch/configs"
	"github.com/finch-llm/finch/model"
)

// Allocation is a level for some layers of a model, by their names, and what its blocks drop: a choice that no search made.
type Allocation struct {
	Levels            map[string]compress.Level
	DropAttn, DropMLP []bool // empty, or one for each block
}

// Original opens a model that can be compressed.
func (s *Session) Original(ref string) (*model.Model, error) {
	m, err := s.model(ref)
	if err != nil {
		return nil, err
	}
	return m, original(m)
}

// Allocate makes the network of an allocation. Levels that the level database lacks are built; text is what those are fitted
// to that learn from their inputs.
func (s *Session) Allocate(ctx context.Context, m *model.Model, a Allocation, text configs.Text) (*model.Network, error) {
	t := &Task{Config: &configs.Experiment{Name: "allocation", Model: m.Ref}, Model: m}
	for _, level := range a.Levels {
		if level.Needs() != compress.NeedsNothing {
			t.Config.Statistics = configs.Statistics{Text: text, Propagation: configs.Dense}
		}
	}
	var err error
	if t.fitting, err = s.openFitting(t.Config, m); err != nil {
		return nil, err
	}
	if err := t.layOut(); err != nil {
		return nil, err
	}
	n := m.Network.Clone()
	for b := range a.DropAttn {
		n.Blocks[b].DropAttn, n.Blocks[b].DropMLP = a.DropAttn[b], a.DropMLP[b]
	}
	var want []wanted
	for i := range t.layers {
		l := &t.layers[i]
		if level, ok := a.Levels[l.source.Name]; ok && !n.Blocks[l.block].Drops(l.kind) {
			want = append(want, wanted{l, level})
		}
	}
	if err := s.build(ctx, t, want); err != nil {
		return nil, err
	}
	for _, w := range want {
		if n.Blocks[w.layer.block].Layers[w.layer.kind], _, err = s.levels.Load(w.key()); err != nil {
			return nil, err
		}
	}
	return n, nil
}

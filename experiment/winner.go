package experiment

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/finch-llm/finch/compress"
	"github.com/finch-llm/finch/configs"
	"github.com/finch-llm/finch/model"
	"github.com/finch-llm/finch/search"
	"github.com/finch-llm/finch/store"
)

// Winner is the network that a run chose, or another of its candidates.
type Winner struct {
	Config  *configs.Experiment // with the steps that its ladder of sparsities has on this model
	Model   *model.Model
	Network *model.Network
	Result  store.Result // on held-out text: as the run recorded it, or as it is now
	Levels  string       // SHA-256 of the keys of the chosen levels, layer by layer, hexadecimal
}

// Winner restores the network that a run chose from what was recorded of it. Levels that the level database lacks are
// built; a model or a level that is not the one that was scored is an error.
func (s *Session) Winner(ctx context.Context, r *store.Run) (*Winner, error) {
	result, err := s.DB.Result(ctx, r.ID, store.Winner)
	if err != nil {
		return nil, err
	}
	t, err := s.restore(r)
	if err != nil {
		return nil, err
	}
	w := &Winner{Config: t.Config, Model: t.Model, Result: result}
	if w.Network, w.Levels, err = s.network(ctx, t, r.ID, result.Genome); err != nil {
		return nil, fmt.Errorf("the winner of run %d: %w", r.ID, err)
	}
	return w, nil
}

// restore makes the task of a run from what was recorded of it, less its texts and its target.
func (s *Session) restore(r *store.Run) (*Task, error) {
	config, err := configs.Restore(r.Experiment, []uint64{uint64(r.Seed)}, []byte(r.Config))
	if err != nil {
		return nil, fmt.Errorf("run %d: %w", r.ID, err)
	}
	m, err := s.model(r.Model)
	if err != nil {
		return nil, fmt.Errorf("the model of run %d: %w", r.ID, err)
	}
	if m.Hash != r.ModelHash {
		return nil, fmt.Errorf("%s has changed since run %d was begun (SHA-256 %.12s, now %.12s): bring the old one back", r.Model, r.ID, r.ModelHash, m.Hash)
	}
	t, err := s.levelsOf(config, m)
	if err != nil {
		return nil, fmt.Errorf("run %d: %w", r.ID, err)
	}
	config.Levels = t.sizedLevels()
	return t, nil
}

// levelsOf is a task that knows its layers and their levels, and nothing of texts, target and budget.
func (s *Session) levelsOf(config *configs.Experiment, m *model.Model) (t *Task, err error) {
	t = &Task{Config: config, Model: m}
	if t.fitting, err = s.openFitting(config, m); err != nil {
		return nil, err
	}
	return t, t.layOut()
}

// network restores what a genome of a run stands for, and hashes the keys of its levels.
func (s *Session) network(ctx context.Context, t *Task, run int64, genome string) (*model.Network, string, error) {
	sites, levels, err := s.chosen(ctx, run, genome)
	if err != nil {
		return nil, "", err
	}
	return s.assemble(ctx, t, sites, levels)
}

// chosen gives the sites of a run and the level that a genome has at each.
func (s *Session) chosen(ctx context.Context, run int64, genome string) ([]store.Site, []store.Level, error) {
	sites, all, err := s.DB.Space(ctx, run)
	if err != nil {
		return nil, nil, err
	}
	g, err := search.ParseGenome(genome)
	if err != nil {
		return nil, nil, err
	}
	if len(g) != len(sites) {
		return nil, nil, fmt.Errorf("it has %d levels for %d sites: finch check says what is wrong with the database", len(g), len(sites))
	}
	levels := make([]store.Level, len(sites))
	for i := range sites {
		at := slices.IndexFunc(all, func(l store.Level) bool { return l.Site == i && l.Index == int(g[i]) })
		if at < 0 {
			return nil, nil, fmt.Errorf("it has level %d at %s, which was not recorded: finch check says what is wrong with the database", g[i], sites[i].Name)
		}
		levels[i] = all[at]
	}
	return sites, levels, nil
}

// assemble makes the network that has these levels at these sites, and hashes their keys.
func (s *Session) assemble(ctx context.Context, t *Task, sites []store.Site, levels []store.Level) (*model.Network, string, error) {
	n := t.Model.Network.Clone()
	for i, site := range sites {
		if site.Block < 0 || site.Block >= len(n.Blocks) {
			return nil, "", fmt.Errorf("%s is in block %d of %d: finch check says what is wrong with the database", site.Name, site.Block, len(n.Blocks))
		}
		if levels[i].Name == "drop" {
			b := &n.Blocks[site.Block]
			b.DropAttn = b.DropAttn || site.Kind != "mlp"
			b.DropMLP = b.DropMLP || site.Kind != "attn"
		}
	}
	var want []wanted
	var all []recorded
	for i, site := range sites {
		at := slices.IndexFunc(t.bundles[site.Block], func(u bundle) bool { return u.name() == site.Name })
		if at < 0 || n.Blocks[site.Block].Drops(t.bundles[site.Block][at][0].kind) {
			continue // a gate, or nothing that is left
		}
		layers := t.bundles[site.Block][at]
		c := slices.IndexFunc(layers[0].choices, func(c levelChoice) bool { return c.name == levels[i].Name })
		if c < 0 {
			return nil, "", fmt.Errorf("%s has level %s, which is none of its levels: another version of finch made the run", site.Name, levels[i].Name)
		}
		r := recorded{was: &levels[i]}
		for _, l := range layers {
			r.levels = append(r.levels, wanted{l, l.choices[c].level})
		}
		want, all = append(want, r.levels...), append(all, r)
	}
	if err := s.build(ctx, t, want); err != nil {
		return nil, "", err
	}
	keys := sha256.New()
	for _, r := range all {
		var infos []compress.Info
		var bytes, nonzeros int64
		for _, w := range r.levels {
			fmt.Fprintln(keys, w.key())
			m, info, err := s.levels.Load(w.key())
			if err != nil {
				return nil, "", err
			}
			infos, bytes, nonzeros = append(infos, info), bytes+info.Bytes, nonzeros+info.NonZeros
			n.Blocks[w.layer.block].Layers[w.layer.kind] = m
		}
		if e := relativeError(infos); bytes != r.was.Bytes || nonzeros != r.was.Nonzeros || e != r.was.RelativeError {
			return nil, "", fmt.Errorf("%s at %s has %d bytes and a relative error of %g, the run scored one with %d and %g: another version of finch compressed it, or it was fitted to another text",
				sites[r.was.Site].Name, r.was.Name, bytes, e, r.was.Bytes, r.was.RelativeError)
		}
	}
	return n, hex.EncodeToString(keys.Sum(nil)), nil
}

// recorded is a level of a site as a run recorded it, and what it is of each layer.
type recorded struct {
	was    *store.Level
	levels []wanted
}

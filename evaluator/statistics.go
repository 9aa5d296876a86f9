package evaluator

import (
	"context"

	"github.com/finch-llm/finch/compress"
	"github.com/finch-llm/finch/model"
)

// Calibration says of which layers Engine.Statistics finds out what their inputs look like, and what becomes of that.
type Calibration struct {
	Corpus *Corpus

	// Needs says what is to be known of the inputs of a layer. Blocks beyond the last of which something is are not run.
	Needs func(block int, k model.Kind) compress.Needs

	// Take gets the statistics of one block's layers, nil for those of which nothing is to be known: block after block, without
	// those of which nothing is. Layers with the same input share theirs.
	Take func(block int, of *[model.NumKinds]*compress.Statistics) error

	// Through gives the block that the text goes through to the next one, after Take; nil: the model's own. Sequential
	// calibration gives the compressed block, so that later layers are fitted to the errors of earlier ones.
	Through func(block int) (*model.Block, error)
}

// Statistics runs the model's blocks over a corpus, each once, and hands out the second moments of what goes into their
// layers. It holds those of one block and one residual stream of the corpus, which is on disk if it takes more than
// Options.Targets.
//
// The moments are summed in float32 over the tokens of a unit, which does not depend on the workers, and in float64 over
// units in order. They are as exact as the engine's kernels: see kernels.Path.Exact.
func (e *Engine) Statistics(ctx context.Context, c *Calibration) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	last := -1
	for block := range e.model.Blocks {
		if c.wants(e.model.Kinds(), block) {
			last = block
		}
	}
	if last < 0 {
		return nil
	}
	streams, err := newVectors(c.Corpus, c.Corpus.Sequence*e.model.Hidden, e.options.Targets, e.options.Scratch)
	if err != nil {
		return err
	}
	defer streams.close()
	g := &gathering{Calibration: c, engine: e, streams: streams, units: cut(c.Corpus.Whole().Sequences, c.Corpus.Sequence, unitTokens)}
	if err := g.embed(ctx); err != nil {
		return err
	}
	for block := range last + 1 {
		if err := g.block(ctx, block, block == last); err != nil {
			return err
		}
	}
	return nil
}

// wants says that something is to be known of a block.
func (c *Calibration) wants(kinds []model.Kind, block int) bool {
	for _, k := range kinds {
		if c.Needs(block, k) != compress.NeedsNothing {
			return true
		}
	}
	return false
}

// gathering is one call of Statistics.
type gathering struct {
	*Calibration
	engine  *Engine
	units   []unit
	streams *vectors // where the text is: at the beginning of a block
}

// embed puts the text before the first block.
func (g *gathering) embed(ctx context.Context) error {
	return g.engine.each(ctx, "statistics", len(g.units), func(w *worker, i int) error {
		u := &g.units[i]
		x := g.engine.pool.get(u.tokens() * g.engine.model.Hidden)
		defer g.engine.pool.put(x)
		var ids []int32
		for _, s := range u.sequences {
			ids = append(ids, g.Corpus.ids(s)...)
		}
		if err := w.runner.Embed(x, ids, u.length); err != nil {
			return err
		}
		return g.store(u, x)
	})
}

// block takes the text through one block or, through the last, as far as its layers.
func (g *gathering) block(ctx context.Context, block int, last bool) error {
	through := &g.engine.model.Network.Blocks[block]
	if g.wants(g.engine.model.Kinds(), block) {
		proceed := !last && g.Through == nil
		if err := g.gather(ctx, block, proceed); err != nil || proceed || last {
			return err
		}
	}
	if g.Through != nil {
		var err error
		if through, err = g.Through(block); err != nil {
			return err
		}
	}
	return g.run(ctx, g.units, through, true, func(int, model.Kind, []float32) {})
}

// gather sums the moments of a block, wave by wave of units whose inputs are in memory together, and hands them out.
func (g *gathering) gather(ctx context.Context, block int, proceed bool) error {
	m := g.newMoments(block)
	workers := len(g.engine.workers)
	for from := 0; from < len(g.units); from += workers {
		wave := g.units[from:min(from+workers, len(g.units))]
		m.begin(len(wave))
		if err := g.run(ctx, wave, &g.engine.model.Network.Blocks[block], proceed, m.see); err != nil {
			return err
		}
		strips := m.strips()
		err := g.engine.each(ctx, "statistics", len(strips), func(w *worker, i int) error {
			strips[i].add(w.runner.Worker(), g.engine.pool)
			return nil
		})
		if err != nil {
			return err
		}
	}
	of, err := g.statistics(block, m)
	if err != nil {
		return err
	}
	return g.Take(block, of)
}

// run computes a block for some units, shows its inputs with the unit's place, and keeps what comes out of it if the text
// is to proceed.
func (g *gathering) run(ctx context.Context, units []unit, b *model.Block, proceed bool, see func(unit int, k model.Kind, x []float32)) error {
	return g.engine.each(ctx, "statistics", len(units), func(w *worker, i int) error {
		u := &units[i]
		x := g.engine.pool.get(u.tokens() * g.engine.model.Hidden)
		defer g.engine.pool.put(x)
		for at, s := range u.sequences {
			copy(x[at*g.streams.width:], g.streams.get(s))
		}
		w.runner.BlockInputs(x, b, u.length, func(k model.Kind, inputs []float32) { see(i, k, inputs) })
		if !proceed {
			return nil
		}
		return g.store(u, x)
	})
}

// store keeps the residual streams of a unit.
func (g *gathering) store(u *unit, x []float32) error {
	for at, s := range u.sequences {
		if err := g.streams.put(s, x[at*g.streams.width:(at+1)*g.streams.width]); err != nil {
			return err
		}
	}
	return nil
}

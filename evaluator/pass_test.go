package evaluator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/finch-llm/finch/internal/mmap"
	"github.com/finch-llm/finch/internal/testmodel"
	"github.com/finch-llm/finch/kernels"
	"github.com/finch-llm/finch/model"
)

// offspring are mutants of one parent: in each, a few layers are another model's, or a sublayer is dropped. Two are equal.
func offspring(m *model.Model, n int) []*model.Network {
	other := testmodel.Llama(9, m.Blocks, m.Hidden, m.MLP, m.Vocab)
	r := rng(4)
	var networks []*model.Network
	for range n - 1 {
		net := m.Network.Clone()
		for range 1 + r.IntN(3) {
			b, kind := r.IntN(m.Blocks), m.Kinds()[r.IntN(len(m.Kinds()))]
			net.Blocks[b].Layers[kind] = other.Network.Blocks[b].Layers[kind]
		}
		if r.IntN(4) == 0 {
			net.Blocks[r.IntN(m.Blocks)].DropMLP = true
		}
		networks = append(networks, net)
	}
	return append(networks, networks[n/2].Clone())
}

// However the work is shared, remembered and ordered, the scores are those of each network run by itself.
func TestScoresAreThoseOfNetworksApart(t *testing.T) {
	if testing.Short() {
		t.Skip("many networks are scored many times")
	}
	const blocks, sequence = 5, 32
	m := testmodel.Llama(1, blocks, 64, 96, vocab)
	networks := append(offspring(m, 9), candidates(m)...)
	c := corpus(t, 12, sequence)
	slice, err := c.Draw(rng(7), 9*sequence+11)
	if err != nil {
		t.Fatal(err)
	}
	again, err := c.Draw(rng(8), 9*sequence+20) // partly the same text; one sequence longer than it was kept
	if err != nil {
		t.Fatal(err)
	}
	stream := int64(4 * sequence * m.Hidden)
	for name, o := range map[string]Options{
		"shared":                       {},
		"every boundary kept":          {Cache: 1 << 30},
		"every second boundary kept":   {Cache: 1 << 30, CacheEvery: 2},
		"room for a tenth":             {Cache: 4 * stream},
		"no room for a single stream":  {Cache: stream - 1},
		"streamed":                     {Memory: 1},
		"streamed, boundaries kept":    {Memory: 1, Cache: 1 << 30},
		"targets on disk":              {Targets: 1, Scratch: t.TempDir()},
		"more workers than work":       {Workers: 64},
		"one worker, boundaries kept":  {Workers: 1, Cache: 1 << 30},
		"another context, top k apart": {Context: 100, Cache: 1 << 30},
	} {
		t.Run(name, func(t *testing.T) {
			o.Path, o.TopK = kernels.Paths()[0], 10
			o.Workers, o.Context = max(o.Workers, 3), max(o.Context, sequence)
			apart := o
			apart.Apart, apart.Memory = true, 0
			for round, s := range []Slice{slice, again, slice} {
				want := score(t, newEngine(t, m, apart), networks, s)
				e := newEngine(t, m, o)
				defer e.Rest()
				if round > 0 { // the parent is remembered from here
					score(t, e, []*model.Network{&m.Network}, slice)
				}
				for repeat := range 2 {
					got := score(t, e, networks, s)
					for i := range got {
						if got[i].Sums != want[i].Sums || !slices.Equal(got[i].Sequences, want[i].Sequences) {
							t.Fatalf("round %d.%d: network %d scores %+v, apart %+v", round, repeat, i, got[i].Sums, want[i].Sums)
						}
					}
				}
				if c := e.cache; c != nil && c.size > o.Cache {
					t.Errorf("%d bytes are kept, %d are allowed", c.size, o.Cache)
				}
			}
		})
	}
}

func newEngine(t *testing.T, m *model.Model, o Options) *Engine {
	t.Helper()
	e, err := New(m, o)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// A teacher of another width than the networks.
func TestTeacherOfAnotherShape(t *testing.T) {
	m, teacher := testmodel.Llama(1, 3, 64, 96, vocab), testmodel.Llama(2, 2, 128, 64, vocab)
	e := newEngine(t, m, Options{Path: kernels.Paths()[0], Workers: 2, Context: 32, Teacher: teacher, Cache: 1 << 30})
	for i, s := range score(t, e, candidates(m), corpus(t, 6, 32).Whole()) {
		if !(s.MeanKL() > 0.01) {
			t.Errorf("candidate %d has KL %v from another model", i, s.MeanKL())
		}
	}
}

func TestTree(t *testing.T) {
	m := testmodel.Llama(1, 4, 64, 96, vocab)
	other := testmodel.Llama(2, 4, 64, 96, vocab)
	change := func(block int) *model.Network {
		n := m.Network.Clone()
		n.Blocks[block].Layers[model.FFNUp] = other.Network.Blocks[block].Layers[model.FFNUp]
		return n
	}
	dropped := change(3)
	dropped.Blocks[3].DropMLP = true // what is dropped does not tell networks apart
	alsoDropped := m.Network.Clone()
	alsoDropped.Blocks[3].DropMLP = true
	for name, c := range map[string]struct {
		networks      []*model.Network
		nodes, leaves int
	}{
		"one":                      {[]*model.Network{&m.Network}, 5, 1},
		"the same twice":           {[]*model.Network{&m.Network, m.Network.Clone()}, 5, 1},
		"changed at the end":       {[]*model.Network{&m.Network, change(3)}, 6, 2},
		"changed at the beginning": {[]*model.Network{&m.Network, change(0)}, 9, 2},
		"three branches":           {[]*model.Network{change(1), change(2), change(3)}, 1 + 4 + 3 + 2, 3},
		"dropped":                  {[]*model.Network{dropped, alsoDropped}, 5, 1},
	} {
		t.Run(name, func(t *testing.T) {
			tree := newTree(c.networks, true)
			if len(tree.nodes) != c.nodes || tree.leaves != c.leaves {
				t.Errorf("%d nodes and %d leaves, want %d and %d", len(tree.nodes), tree.leaves, c.nodes, c.leaves)
			}
			if apart := newTree(c.networks, false); len(apart.nodes) != 1+4*len(c.networks) {
				t.Errorf("apart they have %d nodes", len(apart.nodes))
			}
		})
	}
}

// What was computed for one parent is there for the next call: offspring start at their first changed block.
func TestCacheSavesBlocks(t *testing.T) {
	const blocks = 6
	m := testmodel.Llama(1, blocks, 64, 96, vocab)
	other := testmodel.Llama(2, blocks, 64, 96, vocab)
	c := corpus(t, 4, 32)
	for _, every := range []int{1, 2, 4} {
		e := newEngine(t, m, Options{Path: kernels.Paths()[0], Workers: 1, Context: 32, Cache: 1 << 30, CacheEvery: every})
		score(t, e, []*model.Network{&m.Network}, c.Whole())
		for changed := range blocks {
			n := m.Network.Clone()
			n.Blocks[changed].DropAttn = true
			n.Blocks[changed].Layers[model.FFNUp] = other.Network.Blocks[changed].Layers[model.FFNUp]
			tree := newTree([]*model.Network{n}, true)
			e.cache.attach(tree)
			p := &pass{engine: e, cache: e.cache, tree: tree, corpus: c, units: e.units(c.Whole(), unitTokens), hidden: m.Hidden}
			compute := 0
			for _, on := range p.plan(&p.units[0], func(int, []int) {}) {
				if on {
					compute++
				}
			}
			want := blocks - changed/every*every
			if changed/every == 0 {
				want++ // the embeddings
			}
			if compute != want {
				t.Errorf("boundaries kept every %d, block %d changed: %d nodes are computed, want %d", every, changed, compute, want)
			}
		}
	}
}

func TestScoreOfNothing(t *testing.T) {
	m := testmodel.Llama(1, 3, 64, 96, vocab)
	for _, memory := range []int64{0, 1} {
		e := newEngine(t, m, Options{Path: kernels.Paths()[0], Workers: 2, Context: 32, Memory: memory})
		if scores := score(t, e, nil, corpus(t, 2, 32).Whole()); len(scores) != 0 {
			t.Errorf("no networks have the scores %v", scores)
		}
		if scores := score(t, e, candidates(m), Slice{Corpus: corpus(t, 2, 32)}); len(scores) != 4 || scores[0].Positions != 0 {
			t.Errorf("no text gives the scores %+v", scores)
		}
	}
}

func TestNetworkOfAnotherLengthIsRefused(t *testing.T) {
	m := testmodel.Llama(1, 3, 64, 96, vocab)
	short := &model.Network{Blocks: m.Network.Blocks[:2]}
	e := newEngine(t, m, Options{Path: kernels.Paths()[0], Workers: 2, Context: 32})
	if _, err := e.Score(context.Background(), []*model.Network{&m.Network, short}, corpus(t, 2, 32).Whole()); err == nil {
		t.Error("no error")
	}
}

// Units begin only when they are needed to keep workers busy: few residual streams are alive however many workers wait.
func TestFewStreamsAreAlive(t *testing.T) {
	if testing.Short() {
		t.Skip("many tokens are scored")
	}
	const blocks, workers, units = 10, 32, 6
	m := testmodel.Llama(1, blocks, 64, 96, vocab)
	e := newEngine(t, m, Options{Path: kernels.Paths()[0], Workers: workers, Context: 32, NoTeacher: true})
	networks := offspring(m, 17)
	c := corpus(t, units*unitTokens/32, 32)
	score(t, e, networks, c.Whole())
	made := 0
	for _, list := range e.pool.spare {
		made += len(list)
	}
	// Three units have branches for 64 workers and more: a stream for each boundary and for each network that waits for
	// its head, and one for each worker.
	if limit := 3*(blocks+headGroup) + workers; made > limit {
		t.Errorf("%d residual streams were made, want %d at most", made, limit)
	}
}

func TestPassStopsAtAnError(t *testing.T) {
	m := testmodel.Llama(1, 3, 64, 96, vocab)
	c := corpus(t, 6, 32)
	c.Tokens[3*32] = vocab
	for _, memory := range []int64{0, 1} {
		e := newEngine(t, m, Options{Path: kernels.Paths()[0], Workers: 2, Context: 32, Memory: memory})
		if _, err := e.Score(context.Background(), candidates(m), c.Whole()); err == nil {
			t.Error("a token outside the vocabulary is scored")
		}
	}
}

func TestScoreStopsInTheMiddle(t *testing.T) {
	m := testmodel.Llama(1, 3, 64, 96, vocab)
	e := newEngine(t, m, Options{Path: kernels.Paths()[0], Workers: 2, Context: 32})
	ctx, cancel := context.WithCancel(context.Background())
	go cancel()
	for range 1000 {
		if _, err := e.Score(ctx, offspring(m, 10), corpus(t, 20, 32).Whole()); err != nil {
			if !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			return
		}
	}
	t.Error("a cancelled call goes on")
}

// A streamed block is asked for before anyone reads it, and let go once for each wave, after the next ones have begun.
func TestStreamingReadsAhead(t *testing.T) {
	const blocks = 5
	m := testmodel.Llama(1, blocks, 64, 96, vocab)
	e := newEngine(t, m, Options{Path: kernels.Paths()[0], Workers: 1, Context: 32, Memory: 1, NoTeacher: true})
	depth := map[*byte]int{}
	for b := range blocks {
		for _, k := range m.Kinds() {
			depth[&m.Network.Blocks[b].Layers[k].Data[0]] = b + 1
		}
	}
	var order []string
	e.advise = func(data []byte, a mmap.Advice) {
		what := map[mmap.Advice]string{mmap.WillNeed: "read", mmap.NotNeeded: "drop"}[a]
		if s := fmt.Sprint(what, " ", depth[&data[0]]); len(order) == 0 || order[len(order)-1] != s {
			order = append(order, s)
		}
	}
	score(t, e, []*model.Network{&m.Network}, corpus(t, 4, 32).Whole())
	want := []string{"read 1", "read 2", "read 3", "read 4", "drop 1", "read 5", "drop 2", "drop 3", "drop 4", "drop 5"}
	if !slices.Equal(order, want) {
		t.Errorf("advice %v, want %v", order, want)
	}
}

func BenchmarkScore(b *testing.B) {
	m := testmodel.Llama(1, 12, 256, 768, 4096)
	networks := offspring(m, 32)
	ids := testmodel.Tokens(2, 4*512, 4096)
	c, err := NewCorpus(ids, len(ids), 512, -1)
	if err != nil {
		b.Fatal(err)
	}
	for _, apart := range []bool{true, false} {
		b.Run(fmt.Sprintf("apart=%v", apart), func(b *testing.B) {
			e, err := New(m, Options{Path: kernels.Paths()[0], Workers: 2, Context: 512, Apart: apart, Cache: 1 << 30})
			if err != nil {
				b.Fatal(err)
			}
			if _, err := e.Score(context.Background(), networks[:1], c.Whole()); err != nil { // the teacher's targets
				b.Fatal(err)
			}
			for b.Loop() {
				if _, err := e.Score(context.Background(), networks, c.Whole()); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(len(networks)*len(ids)*b.N)/b.Elapsed().Seconds(), "tokens/s")
		})
	}
}

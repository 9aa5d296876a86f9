package evaluator

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/finch-llm/finch/model"
)

// pass is one run of a tree of networks over units of text, on all workers.
//
// A worker takes a node of a unit, computes its block, and goes on with the child that has the most blocks beneath it; the
// other children wait for whoever is free. So the blocks that most networks share come first, every branch is ready when
// a worker has nothing to do, and the longest remaining work is taken before the shorter. A unit begins when those
// before it cannot keep all workers busy, so that few residual streams are alive. When streaming, all nodes of one depth
// come before the next, and a worker takes the blocks of the next depth anew: a block's weights are read once for
// everything.
type pass struct {
	engine *Engine
	runner func(*worker) *model.Runner
	hidden int    // width of a residual stream
	cache  *cache // nil: none
	tree   *tree
	corpus *Corpus                    // that the cache's streams belong to
	text   func(sequence int) []int32 // with as many tokens as its unit takes, or fewer: then zeros follow
	units  []unit
	group  int // so many networks at most are finished together
	stream bool

	// finish is called with networks of a unit that have passed their last block, each once. It may change x.
	finish func(w *worker, u *unit, done []arrival) error

	mu       sync.Mutex
	changed  *sync.Cond
	waiting  queue
	running  int             // items
	begun    int             // units that have begun and not ended
	compute  [][]bool        // [units][nodes]
	arrived  [][]arrival     // [units], not finished
	expected []int           // [units], arrivals to come
	left     int             // their sum
	spent    []time.Duration // [nodes], all units of all runs
	finished []time.Duration // [networks]
	front    int             // when streaming: the depth that is being computed
	failed   error           // of the first unit that failed
	where    int             // that unit
}

// unit is some sequences of a text, run together, each cut or filled up to the same length.
type unit struct {
	sequences []int // of the text
	first     int   // the first one's place in the slice
	length    int   // tokens of each
}

func (u *unit) tokens() int { return len(u.sequences) * u.length }

// arrival is a leaf's residual stream x [tokens, hidden].
type arrival struct {
	node int
	x    []float32
}

// run does the work of a pass and returns ctx's error or that of the first unit that failed.
func (p *pass) run(ctx context.Context) error {
	p.changed = sync.NewCond(&p.mu)
	p.waiting = queue{before: p.before}
	p.compute, p.arrived, p.expected = make([][]bool, len(p.units)), make([][]arrival, len(p.units)), make([]int, len(p.units))
	if p.spent == nil {
		p.spent, p.finished = make([]time.Duration, len(p.tree.nodes)), make([]time.Duration, len(p.tree.leaf))
	}
	for u := range p.units {
		p.waiting.push(item{unit: u})
		p.expected[u] = p.tree.leaves
		p.left += p.tree.leaves
	}
	var group sync.WaitGroup
	for _, w := range p.engine.workers {
		group.Go(func() {
			for {
				it, ok := p.next()
				if !ok {
					return
				}
				if err := p.work(ctx, w, it); err != nil {
					p.fail(it.unit, err)
				}
				p.done()
			}
		})
	}
	group.Wait()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case p.failed == nil && p.left > 0:
		return errors.New("networks of different numbers of blocks do not end together")
	}
	return p.failed
}

// work computes an item and what follows it at once. The error is that of a panic.
func (p *pass) work(ctx context.Context, w *worker, it item) (err error) {
	defer rescue(&err)
	if it.node == 0 {
		p.begin(ctx, w, it.unit)
	} else {
		p.enter(it.node)
		p.advance(ctx, w, it.unit, it.node, p.take(it))
	}
	return nil
}

// before is the order in which items are taken.
func (p *pass) before(a, b item) int {
	x, y := &p.tree.nodes[a.node], &p.tree.nodes[b.node]
	byDepth := 0
	if p.stream {
		byDepth = cmp.Compare(x.depth, y.depth)
	}
	return cmp.Or(byDepth, cmp.Compare(a.unit, b.unit), cmp.Compare(y.beneath, x.beneath), cmp.Compare(a.node, b.node))
}

// next waits for an item; false when the pass has ended.
func (p *pass) next() (item, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.failed == nil && p.running > 0 && !p.ready() {
		p.changed.Wait()
	}
	if p.failed != nil || len(p.waiting.list) == 0 {
		return item{}, false
	}
	p.running++
	it := p.waiting.pop()
	if it.node == 0 {
		p.begun++
	}
	return it, true
}

// ready says whether there is an item, and that it is not a new unit while those that have begun have branches enough for
// every worker, or will have.
func (p *pass) ready() bool {
	if len(p.waiting.list) == 0 {
		return false
	}
	return p.stream || p.waiting.list[0].node != 0 || p.begun*p.tree.leaves < 2*len(p.engine.workers)
}

func (p *pass) done() {
	p.mu.Lock()
	p.running--
	p.mu.Unlock()
	p.changed.Broadcast()
}

// fail ends the pass.
func (p *pass) fail(unit int, err error) {
	p.mu.Lock()
	if p.failed == nil || unit < p.where {
		p.failed, p.where = err, unit
	}
	p.mu.Unlock()
	p.changed.Broadcast()
}

// stopped says whether there is no point in going on with a unit.
func (p *pass) stopped(ctx context.Context, unit int) bool {
	if err := ctx.Err(); err != nil {
		p.fail(unit, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.failed != nil
}

// begin starts a unit, from the embeddings or from wherever the cache has its streams.
func (p *pass) begin(ctx context.Context, w *worker, u int) {
	text := &p.units[u]
	values := text.tokens() * p.hidden
	type source struct {
		x    []float32
		next []int
	}
	var sources []source
	p.compute[u] = p.plan(text, func(node int, next []int) {
		x := p.engine.pool.get(values)
		p.cache.load(x, p.tree.nodes[node].prefix, p.corpus, text.sequences)
		sources = append(sources, source{x, next})
	})
	for _, s := range sources {
		p.branch(u, s.x, s.next)
	}
	if !p.compute[u][0] {
		return
	}
	ids := make([]int32, text.tokens())
	for i, s := range text.sequences {
		copy(ids[i*text.length:(i+1)*text.length], p.text(s))
	}
	x := p.engine.pool.get(values)
	if err := p.runner(w).Embed(x, ids, text.length); err != nil {
		p.fail(u, err)
		return
	}
	p.proceed(ctx, w, u, 0, x)
}

// plan says which nodes must be computed for a unit. For a node that need not be, because the cache has its streams, it
// calls cached with the children that start from it; the cache is locked meanwhile.
func (p *pass) plan(text *unit, cached func(node int, next []int)) []bool {
	c, nodes := p.cache, p.tree.nodes
	if c != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
	}
	compute := make([]bool, len(nodes))
	for i := len(nodes) - 1; i >= 0; i-- { // children before parents
		next := p.pending(compute, i)
		switch {
		case len(nodes[i].networks) > 0:
			compute[i] = true
		case len(next) == 0:
		case c != nil && i > 0 && nodes[i].prefix != nil && c.has(nodes[i].prefix, p.corpus, text.sequences, text.length*p.hidden):
			cached(i, next)
		default:
			compute[i] = true
		}
	}
	return compute
}

// advance computes nodes of a unit from x, the residual stream of the first one's parent, until none is left on the way.
func (p *pass) advance(ctx context.Context, w *worker, u, at int, x []float32) {
	start := time.Now()
	n := &p.tree.nodes[at]
	p.runner(w).Block(x, n.block, p.units[u].length)
	if n.keep {
		p.cache.store(x, n.prefix, p.corpus, p.units[u].sequences)
	}
	p.mu.Lock()
	p.spent[at] += time.Since(start)
	p.mu.Unlock()
	p.proceed(ctx, w, u, at, x)
}

// proceed goes on from a node's residual stream x.
func (p *pass) proceed(ctx context.Context, w *worker, u, at int, x []float32) {
	if p.stopped(ctx, u) {
		return
	}
	if len(p.tree.nodes[at].networks) > 0 {
		p.arrive(w, u, arrival{at, x})
		return
	}
	next := p.pending(p.compute[u], at)
	if p.stream {
		p.branch(u, x, next)
		return
	}
	if len(next) > 1 {
		others := p.engine.pool.get(len(x))
		copy(others, x)
		p.branch(u, others, next[1:])
	}
	p.advance(ctx, w, u, next[0], x)
}

// pending lists the children that are to be computed.
func (p *pass) pending(compute []bool, at int) []int {
	var list []int
	for _, child := range p.tree.nodes[at].children {
		if compute[child] {
			list = append(list, child)
		}
	}
	return list
}

// branch lets nodes wait that all start from x.
func (p *pass) branch(u int, x []float32, nodes []int) {
	from := &shared{x, len(nodes)}
	p.mu.Lock()
	for _, n := range nodes {
		p.waiting.push(item{u, n, from})
	}
	p.mu.Unlock()
	p.changed.Broadcast()
}

// take is a residual stream of the item's own.
func (p *pass) take(it item) []float32 {
	p.mu.Lock()
	last := it.from.waiting == 1
	p.mu.Unlock()
	if last {
		return it.from.x
	}
	x := p.engine.pool.get(len(it.from.x))
	copy(x, it.from.x)
	p.mu.Lock()
	it.from.waiting--
	free := it.from.waiting == 0 // two copied at the same time
	p.mu.Unlock()
	if free {
		p.engine.pool.put(it.from.x)
	}
	return x
}

// arrive notes a network's end, and finishes some together when there are enough of them. Toward the end of the pass
// fewer are enough, so that every worker has some.
func (p *pass) arrive(w *worker, u int, a arrival) {
	p.mu.Lock()
	p.left--
	p.expected[u]--
	p.arrived[u] = append(p.arrived[u], a)
	here := p.arrived[u]
	enough := min(p.group, 1+p.left/(2*len(p.engine.workers)))
	if len(here) < enough && p.expected[u] > 0 {
		p.mu.Unlock()
		return
	}
	p.arrived[u] = nil
	if p.expected[u] == 0 {
		p.begun--
	}
	p.mu.Unlock()

	start := time.Now()
	if err := p.finish(w, &p.units[u], here); err != nil {
		p.fail(u, err)
	}
	took := time.Since(start)

	p.mu.Lock()
	for _, a := range here {
		networks := p.tree.nodes[a.node].networks
		for _, n := range networks {
			p.finished[n] += took / time.Duration(len(here)*len(networks))
		}
	}
	p.mu.Unlock()
	for _, a := range here {
		p.engine.pool.put(a.x)
	}
}

// times is how long each network took; what several share counts for each in equal parts.
func (p *pass) times() []time.Duration {
	total := make([]time.Duration, len(p.tree.nodes))
	for i, n := range p.tree.nodes {
		total[i] = p.spent[i] / time.Duration(max(n.passing, 1))
		if n.parent >= 0 {
			total[i] += total[n.parent]
		}
	}
	times := make([]time.Duration, len(p.tree.leaf))
	for network, leaf := range p.tree.leaf {
		times[network] = total[leaf] + p.finished[network]
	}
	return times
}

package evaluator

import (
	"cmp"
	"container/heap"
	"context"
	"sync"
	"time"

	"github.com/finch-llm/finch/model"
)

// pass is one run of a tree of networks over units of text, on all workers.
//
// A worker takes a node of a unit, computes its block, and goes on with the child that has the most blocks beneath it; the
// other children wait for whoever is free. So the blocks that most networks share come first, every branch is ready when
// a worker has nothing to do, and the longest remaining work is taken before the shorter. Units begin one after the
// other, so that few residual streams are alive. When streaming, all nodes of one depth come before the next, and a worker
// takes the blocks of the next depth anew: a block's weights are read once for everything.
type pass struct {
	engine *Engine
	runner func(*worker) *model.Runner
	hidden int    // width of a residual stream
	cache  *cache // nil: none
	tree   *tree
	corpus *Corpus
	units  []unit
	group  int // so many networks at most are finished together
	stream bool

	// finish is called with networks of a unit that have passed their last block, each once. It may change x.
	finish func(w *worker, u *unit, done []arrival) error

	mu       sync.Mutex
	changed  *sync.Cond
	waiting  items
	running  int             // items
	compute  [][]bool        // [units][nodes]
	arrived  [][]arrival     // [units], not finished
	expected []int           // [units], arrivals to come
	left     int             // their sum
	spent    []time.Duration // [nodes], all units of all runs
	finished []time.Duration // [networks]
	front    int             // when streaming: the depth that is being computed
	failed   error
}

// unit is some sequences of a corpus, run together, each cut to the same length.
type unit struct {
	sequences []int // of the corpus
	first     int   // the first one's place in the slice
	length    int   // tokens of each
}

func (u *unit) tokens() int { return len(u.sequences) * u.length }

// arrival is a leaf's residual stream x [tokens, hidden].
type arrival struct {
	node int
	x    []float32
}

// item is a node to be computed for a unit. The root stands for a unit that has not begun.
type item struct {
	unit, node int
	from       *shared
}

// shared is a residual stream that several items start from; the last one may have it.
type shared struct {
	x       []float32
	waiting int
}

// run does the work of a pass and returns ctx's error or the first of its own.
func (p *pass) run(ctx context.Context) error {
	p.changed = sync.NewCond(&p.mu)
	p.waiting.less = p.before
	p.compute, p.arrived, p.expected = make([][]bool, len(p.units)), make([][]arrival, len(p.units)), make([]int, len(p.units))
	if p.spent == nil {
		p.spent, p.finished = make([]time.Duration, len(p.tree.nodes)), make([]time.Duration, len(p.tree.leaf))
	}
	for u := range p.units {
		heap.Push(&p.waiting, item{unit: u})
		p.expected[u] = p.tree.leaves()
		p.left += p.expected[u]
	}
	stop := context.AfterFunc(ctx, func() { p.fail(ctx.Err()) })
	defer stop()
	var group sync.WaitGroup
	for _, w := range p.engine.workers {
		group.Go(func() {
			for {
				it, ok := p.next()
				if !ok {
					return
				}
				if it.node == 0 {
					p.begin(w, it.unit)
				} else {
					p.advance(w, it.unit, it.node, p.take(it))
				}
				p.done()
			}
		})
	}
	group.Wait()
	return p.failed
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
	for p.failed == nil && len(p.waiting.list) == 0 && p.running > 0 {
		p.changed.Wait()
	}
	if p.failed != nil || len(p.waiting.list) == 0 {
		return item{}, false
	}
	p.running++
	it := heap.Pop(&p.waiting).(item)
	if depth := p.tree.nodes[it.node].depth; p.stream && depth > p.front {
		p.enter(depth)
	}
	return it, true
}

func (p *pass) done() {
	p.mu.Lock()
	p.running--
	p.mu.Unlock()
	p.changed.Broadcast()
}

// fail ends the pass.
func (p *pass) fail(err error) {
	p.mu.Lock()
	if p.failed == nil {
		p.failed = err
	}
	p.mu.Unlock()
	p.changed.Broadcast()
}

// begin starts a unit, from the embeddings or from wherever the cache has its streams.
func (p *pass) begin(w *worker, u int) {
	text := &p.units[u]
	values := text.tokens() * p.hidden
	type source struct {
		x    []float32
		next []int
	}
	var sources []source
	p.compute[u] = p.plan(text, func(node int, next []int) {
		x := p.engine.buffers.get(values)
		p.cache.load(x, p.tree.nodes[node].prefix, p.corpus, text.sequences)
		sources = append(sources, source{x, next})
	})
	for _, s := range sources {
		p.branch(u, s.x, s.next)
	}
	if !p.compute[u][0] {
		return
	}
	ids := make([]int32, 0, text.tokens())
	for _, s := range text.sequences {
		ids = append(ids, p.corpus.ids(s)[:text.length]...)
	}
	x := p.engine.buffers.get(values)
	if err := p.runner(w).Embed(x, ids); err != nil {
		p.fail(err)
		return
	}
	p.proceed(w, u, 0, x)
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
func (p *pass) advance(w *worker, u, at int, x []float32) {
	start := time.Now()
	n := &p.tree.nodes[at]
	p.runner(w).Block(x, n.block, p.units[u].length)
	if n.keep {
		p.cache.store(x, n.prefix, p.corpus, p.units[u].sequences)
	}
	p.mu.Lock()
	p.spent[at] += time.Since(start)
	p.mu.Unlock()
	p.proceed(w, u, at, x)
}

// proceed goes on from a node's residual stream x.
func (p *pass) proceed(w *worker, u, at int, x []float32) {
	if n := &p.tree.nodes[at]; len(n.networks) > 0 {
		p.arrive(w, u, arrival{at, x})
		return
	}
	next := p.pending(p.compute[u], at)
	p.mu.Lock()
	stopped := p.failed != nil
	p.mu.Unlock()
	if stopped {
		return
	}
	if p.stream {
		p.branch(u, x, next)
		return
	}
	if len(next) > 1 {
		others := p.engine.buffers.get(len(x))
		copy(others, x)
		p.branch(u, others, next[1:])
	}
	p.advance(w, u, next[0], x)
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
		heap.Push(&p.waiting, item{u, n, from})
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
	x := p.engine.buffers.get(len(it.from.x))
	copy(x, it.from.x)
	p.mu.Lock()
	it.from.waiting--
	free := it.from.waiting == 0 // two copied at the same time
	p.mu.Unlock()
	if free {
		p.engine.buffers.put(it.from.x)
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
	p.mu.Unlock()

	start := time.Now()
	if err := p.finish(w, &p.units[u], here); err != nil {
		p.fail(err)
	}
	took := time.Since(start)

	p.mu.Lock()
	for _, a := range here {
		p.engine.buffers.put(a.x)
		networks := p.tree.nodes[a.node].networks
		for _, n := range networks {
			p.finished[n] += took / time.Duration(len(here)*len(networks))
		}
	}
	p.mu.Unlock()
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

// items is a heap.
type items struct {
	list []item
	less func(a, b item) int
}

func (h *items) Len() int           { return len(h.list) }
func (h *items) Less(i, j int) bool { return h.less(h.list[i], h.list[j]) < 0 }
func (h *items) Swap(i, j int)      { h.list[i], h.list[j] = h.list[j], h.list[i] }
func (h *items) Push(x any)         { h.list = append(h.list, x.(item)) }
func (h *items) Pop() any {
	last := len(h.list) - 1
	x := h.list[last]
	h.list = h.list[:last]
	return x
}

// buffers are residual streams that nobody needs any more, kept for the next ones: new memory would have to be cleared.
type buffers struct {
	mu    sync.Mutex
	spare [][]float32
}

func (b *buffers) get(values int) []float32 {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.spare) > 0 {
		x := b.spare[len(b.spare)-1]
		b.spare = b.spare[:len(b.spare)-1]
		if cap(x) >= values {
			return x[:values]
		}
	}
	return make([]float32, values)
}

func (b *buffers) put(x []float32) {
	b.mu.Lock()
	b.spare = append(b.spare, x)
	b.mu.Unlock()
}

package evaluator

import (
	"container/list"
	"sync"
)

// cache keeps residual streams at block boundaries between calls, so that a network which begins as one before it did
// starts at its first changed block. Of what a call computes, it keeps the boundaries that several networks share, which
// are those of their parent, or all of a network scored alone; of these only every stride-th, to save memory. Beyond limit
// the least recently used are forgotten.
type cache struct {
	mu     sync.Mutex
	limit  int64 // bytes
	stride int
	size   int64
	root   prefix
	used   *list.List // of *stream, the most recently used first
	pool   *pool
}

// prefix is the beginning of some networks: the same blocks, one after the other.
type prefix struct {
	next    map[blockKey]*prefix
	streams map[streamKey]*stream
}

// streamKey is the text of a stream: one sequence.
type streamKey struct {
	corpus   *Corpus
	sequence int
}

// stream is a residual stream x [tokens, hidden] at the end of a prefix. Of a sequence that was cut, it is the beginning.
type stream struct {
	prefix *prefix
	key    streamKey
	x      []float32
	place  *list.Element
}

func newCache(limit int64, stride int, p *pool) *cache {
	return &cache{limit: limit, stride: max(stride, 1), root: newPrefix(), used: list.New(), pool: p}
}

func newPrefix() prefix {
	return prefix{next: map[blockKey]*prefix{}, streams: map[streamKey]*stream{}}
}

// attach finds the prefixes of a tree's nodes, makes those that are to be kept, and forgets prefixes that have nothing.
func (c *cache) attach(t *tree) {
	c.root.sweep()
	t.nodes[0].prefix = &c.root
	networks := len(t.leaf)
	for i := 1; i < len(t.nodes); i++ {
		n := &t.nodes[i]
		parent := t.nodes[n.parent].prefix
		if parent == nil || n.beneath == 0 { // after the last block nothing is left to save
			continue
		}
		key := keyOf(n.block)
		shared := n.passing > 1 || networks == 1
		n.keep = shared && n.depth%c.stride == 0
		n.prefix = parent.next[key]
		if n.prefix == nil && shared {
			p := newPrefix()
			n.prefix = &p
			parent.next[key] = n.prefix
		}
	}
}

// sweep removes what leads to no stream, and says whether nothing is left.
func (p *prefix) sweep() (empty bool) {
	for key, next := range p.next {
		if next.sweep() {
			delete(p.next, key)
		}
	}
	return len(p.next) == 0 && len(p.streams) == 0
}

// has says whether a prefix has the streams of all sequences, each with at least so many values. The cache must be locked.
func (c *cache) has(p *prefix, corpus *Corpus, sequences []int, values int) bool {
	for _, s := range sequences {
		if have := p.streams[streamKey{corpus, s}]; have == nil || len(have.x) < values {
			return false
		}
	}
	return true
}

// load copies the streams of all sequences, which the prefix must have, into x. The cache must be locked.
func (c *cache) load(x []float32, p *prefix, corpus *Corpus, sequences []int) {
	values := len(x) / len(sequences)
	for i, s := range sequences {
		have := p.streams[streamKey{corpus, s}]
		c.used.MoveToFront(have.place)
		copy(x[i*values:(i+1)*values], have.x)
	}
}

// store keeps a copy of x, the streams of all sequences.
func (c *cache) store(x []float32, p *prefix, corpus *Corpus, sequences []int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	values := len(x) / len(sequences)
	for i, s := range sequences {
		key := streamKey{corpus, s}
		if old := p.streams[key]; old != nil {
			if len(old.x) >= values {
				c.used.MoveToFront(old.place)
				continue
			}
			c.forget(old)
		}
		bytes := 4 * int64(values)
		for c.size+bytes > c.limit && c.used.Len() > 0 {
			c.forget(c.used.Back().Value.(*stream))
		}
		if c.size+bytes > c.limit {
			return
		}
		kept := &stream{prefix: p, key: key, x: c.pool.get(values)}
		copy(kept.x, x[i*values:(i+1)*values])
		kept.place = c.used.PushFront(kept)
		p.streams[key] = kept
		c.size += bytes
	}
}

// forget drops a stream.
func (c *cache) forget(s *stream) {
	c.used.Remove(s.place)
	delete(s.prefix.streams, s.key)
	c.size -= 4 * int64(len(s.x))
	c.pool.put(s.x)
}

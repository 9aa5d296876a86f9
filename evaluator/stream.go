package evaluator

import (
	"context"

	"github.com/finch-llm/finch/internal/mmap"
)

// runStreaming runs the pass for models larger than memory. All nodes of one depth are computed, for every unit of a wave,
// before the next depth's. So each block is read from disk once a wave, ahead of its use, and leaves memory behind it. A
// wave is as much of the text as there may be residual streams of all networks for.
func (p *pass) runStreaming(ctx context.Context) error {
	p.stream = true
	units := p.units
	for len(units) > 0 {
		n, bytes := 0, int64(0)
		for n < len(units) {
			bytes += 4 * int64(units[n].tokens()) * int64(p.hidden) * int64(p.tree.leaves+1)
			if n > 0 && bytes > p.engine.options.wave() {
				break
			}
			n++
		}
		p.units, p.front = units[:n], 0
		p.advise(1, mmap.WillNeed)
		if err := p.run(ctx); err != nil {
			return err
		}
		p.advise(p.front-1, mmap.NotNeeded)
		p.advise(p.front, mmap.NotNeeded)
		units = units[n:]
	}
	return nil
}

// enter is called when a node is taken up. If it is the first of its depth, the next depth is read meanwhile. Some worker may
// still be at the depth before, but hardly at the one before that. Advice about a block that somebody reads costs time,
// no correctness.
func (p *pass) enter(node int) {
	if !p.stream {
		return
	}
	depth := p.tree.nodes[node].depth
	p.mu.Lock()
	first := depth > p.front
	p.front = max(p.front, depth)
	p.mu.Unlock()
	if first {
		p.advise(depth+1, mmap.WillNeed)
		p.advise(depth-2, mmap.NotNeeded)
	}
}

func (p *pass) advise(depth int, advice mmap.Advice) {
	for _, m := range p.tree.weights(depth) {
		p.engine.advise(m.Data, advice)
		if m.Mask != nil {
			p.engine.advise(m.Mask, advice)
		}
	}
}

package evaluator

import "sync"

// pool keeps residual streams that nobody needs any more for the next ones of their size: new memory would have to be
// cleared, and the garbage collector would let the old pile up first.
type pool struct {
	mu    sync.Mutex
	spare map[int][][]float32 // by length
}

// maxSpare is how many of each size are kept.
const maxSpare = 64

func (p *pool) get(values int) []float32 {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := p.spare[values]
	if len(list) == 0 {
		return make([]float32, values)
	}
	p.spare[values] = list[:len(list)-1]
	return list[len(list)-1]
}

func (p *pool) put(x []float32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.spare == nil {
		p.spare = map[int][][]float32{}
	}
	if list := p.spare[len(x)]; len(list) < maxSpare {
		p.spare[len(x)] = append(list, x)
	}
}

// empty lets all of it go.
func (p *pool) empty() {
	p.mu.Lock()
	p.spare = nil
	p.mu.Unlock()
}

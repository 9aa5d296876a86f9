package evaluator

import "container/heap"

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

// queue holds items in the order in which they are to be taken.
type queue struct {
	list   []item
	before func(a, b item) int // negative if a comes first
}

func (q *queue) push(it item) { heap.Push((*items)(q), it) }
func (q *queue) pop() item    { return heap.Pop((*items)(q)).(item) }

// items is a queue as container/heap wants it.
type items queue

func (h *items) Len() int           { return len(h.list) }
func (h *items) Less(i, j int) bool { return h.before(h.list[i], h.list[j]) < 0 }
func (h *items) Swap(i, j int)      { h.list[i], h.list[j] = h.list[j], h.list[i] }
func (h *items) Push(x any)         { h.list = append(h.list, x.(item)) }
func (h *items) Pop() any {
	last := len(h.list) - 1
	x := h.list[last]
	h.list = h.list[:last]
	return x
}

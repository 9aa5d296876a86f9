package search

import (
	"cmp"
	"container/heap"
)

// queue has the sites that can take a step, the one of the least rank first; of equals, the first site. A site's rank may change while
// it waits: what was queued for it before is then out of date, and passed over when its turn comes.
type queue struct {
	steps queuedSteps
	age   []int // of each site's rank [sites]
}

type queuedStep struct {
	rank      float64
	site, age int
}

func newQueue(sites int) *queue { return &queue{age: make([]int, sites)} }

// put gives a site a rank, in place of any that it had.
func (q *queue) put(site int, rank float64) {
	q.remove(site)
	heap.Push(&q.steps, queuedStep{rank, site, q.age[site]})
}

func (q *queue) remove(site int) { q.age[site]++ }

// first is the site whose turn it is, which stays in the queue; -1 if it is empty.
func (q *queue) first() (site int, rank float64) {
	for len(q.steps) > 0 {
		if s := q.steps[0]; s.age == q.age[s.site] {
			return s.site, s.rank
		}
		heap.Pop(&q.steps)
	}
	return -1, 0
}

// queuedSteps implements heap.Interface.
type queuedSteps []queuedStep

func (s queuedSteps) Len() int { return len(s) }

func (s queuedSteps) Less(i, j int) bool {
	return cmp.Or(cmp.Compare(s[i].rank, s[j].rank), cmp.Compare(s[i].site, s[j].site)) < 0
}

func (s queuedSteps) Swap(i, j int) { s[i], s[j] = s[j], s[i] }

func (s *queuedSteps) Push(x any) { *s = append(*s, x.(queuedStep)) }

func (s *queuedSteps) Pop() any {
	last := (*s)[len(*s)-1]
	*s = (*s)[:len(*s)-1]
	return last
}

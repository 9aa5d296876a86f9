package search

import "math"

// stepTree has the sites that can take a step, as the leaves of a tree of which every node knows the least rank and the least cost
// below it. A site's rank changes in O(log sites), and the best step that there is room for is found without looking at most others.
// Unlike a queue it does not grow with what is taken back.
type stepTree struct {
	leaves int    // a power of two
	nodes  []node // node 1 is the root; the children of k are 2k and 2k+1; the leaf of site i is leaves+i
}

type node struct {
	rank float64 // +Inf: no step
	cost int64
}

var noStep = node{math.Inf(1), math.MaxInt64}

// newStepTree asks for the step of each site.
func newStepTree(sites int, step func(site int) node) *stepTree {
	leaves := 1
	for leaves < sites {
		leaves *= 2
	}
	t := &stepTree{leaves, make([]node, 2*leaves)}
	for i := range leaves {
		t.nodes[leaves+i] = noStep
		if i < sites {
			t.nodes[leaves+i] = step(i)
		}
	}
	for k := leaves - 1; k > 0; k-- {
		t.nodes[k] = better(t.nodes[2*k], t.nodes[2*k+1])
	}
	return t
}

// better has the least of each.
func better(a, b node) node {
	return node{min(a.rank, b.rank), min(a.cost, b.cost)}
}

// put gives a site another step in place of the one that it had.
func (t *stepTree) put(site int, step node) {
	k := t.leaves + site
	t.nodes[k] = step
	for k /= 2; k > 0; k /= 2 {
		w := better(t.nodes[2*k], t.nodes[2*k+1])
		if t.nodes[k] == w {
			return
		}
		t.nodes[k] = w
	}
}

// first is the site of the least rank; of equals, the first; -1 if none has a step.
func (t *stepTree) first() int {
	least := t.nodes[1].rank
	if math.IsInf(least, 1) {
		return -1
	}
	k := 1
	for k < t.leaves {
		if k *= 2; t.nodes[k].rank != least {
			k++
		}
	}
	return k - t.leaves
}

// within looks for a site whose step costs no more than there is room for and ranks before the best so far. It visits the more promising
// half of each node first, and none that cannot win. The visitor says how a site's step ranks, +Inf if it is none after all. Of equals
// the first site is the best; -1 is none.
func (t *stepTree) within(room int64, visit func(site int) float64, best int, least float64) (int, float64) {
	t.search(1, 0, t.leaves, room, visit, &best, &least)
	return best, least
}

// search looks below node k, which has so many leaves from the first.
func (t *stepTree) search(k, first, leaves int, room int64, visit func(site int) float64, best *int, least *float64) {
	n := t.nodes[k]
	if n.cost > room || n.rank > *least || n.rank == *least && *best < first {
		return
	}
	if leaves == 1 {
		if rank := visit(first); rank < *least || rank == *least && first < *best {
			*best, *least = first, rank
		}
		return
	}
	half := leaves / 2
	if t.nodes[2*k].rank <= t.nodes[2*k+1].rank {
		t.search(2*k, first, half, room, visit, best, least)
		t.search(2*k+1, first+half, half, room, visit, best, least)
	} else {
		t.search(2*k+1, first+half, half, room, visit, best, least)
		t.search(2*k, first, half, room, visit, best, least)
	}
}

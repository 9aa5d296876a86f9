package evaluator

import (
	"cmp"
	"slices"

	"github.com/finch-llm/finch/kernels"
	"github.com/finch-llm/finch/model"
)

// tree is the networks of one call by what they share. Networks whose first d blocks are the same matrices meet in one
// node at depth d, whose residual stream is computed once for all of them.
type tree struct {
	nodes  []node // parents before children; the first is the root, the token embeddings
	leaf   []int  // where each network ends
	leaves int    // different networks
}

// node stands for the residual stream at a block boundary.
type node struct {
	parent   int // -1: the root
	depth    int // blocks before the boundary
	block    *model.Block
	children []int   // the one with the most blocks beneath it first
	networks []int   // that end here
	passing  int     // networks that end here or beneath
	beneath  int     // blocks
	prefix   *prefix // in the cache; nil if the cache neither has nor wants the stream
	keep     bool    // the stream goes into the cache
}

// blockKey tells blocks apart that compute different things: what a dropped sublayer holds does not matter.
type blockKey struct {
	layers            [model.NumKinds]*kernels.Matrix
	parts             *model.Parts
	dropAttn, dropMLP bool
	local             bool
}

func keyOf(b *model.Block) blockKey {
	k := blockKey{parts: b.Parts, dropAttn: b.DropAttn, dropMLP: b.DropMLP, local: b.Local}
	for kind, m := range b.Layers {
		if !b.Drops(model.Kind(kind)) {
			k.layers[kind] = m
		}
	}
	return k
}

// newTree finds out what networks share; nothing, if they are to be run each by itself.
func newTree(networks []*model.Network, share bool) *tree {
	t := &tree{nodes: []node{{parent: -1}}}
	below := []map[blockKey]int{{}}
	for i, n := range networks {
		at := 0
		t.nodes[0].passing++
		for b := range n.Blocks {
			key := keyOf(&n.Blocks[b])
			next, ok := below[at][key]
			if !ok || !share {
				next = len(t.nodes)
				t.nodes = append(t.nodes, node{parent: at, depth: b + 1, block: &n.Blocks[b]})
				t.nodes[at].children = append(t.nodes[at].children, next)
				below[at][key] = next
				below = append(below, map[blockKey]int{})
			}
			at = next
			t.nodes[at].passing++
		}
		if len(t.nodes[at].networks) == 0 {
			t.leaves++
		}
		t.nodes[at].networks = append(t.nodes[at].networks, i)
		t.leaf = append(t.leaf, at)
	}
	for i := len(t.nodes) - 1; i >= 0; i-- {
		n := &t.nodes[i]
		slices.SortStableFunc(n.children, func(a, b int) int { return cmp.Compare(t.nodes[b].beneath, t.nodes[a].beneath) })
		if n.parent >= 0 {
			t.nodes[n.parent].beneath += n.beneath + 1
		}
	}
	return t
}

// weights lists the matrices that the nodes of one depth read, each once.
func (t *tree) weights(depth int) []*kernels.Matrix {
	return t.matrices(func(n *node) bool { return n.depth == depth })
}

// bytes is what all weights of the networks take, each counted once.
func (t *tree) bytes() int64 {
	var sum int64
	for _, m := range t.matrices(func(*node) bool { return true }) {
		sum += m.Bytes()
	}
	return sum
}

// matrices lists those that some nodes read, each once. The root reads none.
func (t *tree) matrices(of func(*node) bool) []*kernels.Matrix {
	var list []*kernels.Matrix
	seen := map[*kernels.Matrix]bool{}
	for i := 1; i < len(t.nodes); i++ {
		n := &t.nodes[i]
		if !of(n) {
			continue
		}
		for kind, m := range n.block.Layers {
			if m != nil && !n.block.Drops(model.Kind(kind)) && !seen[m] {
				seen[m] = true
				list = append(list, m)
			}
		}
	}
	return list
}

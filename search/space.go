package search

import (
	"fmt"
	"slices"
)

// Level is one choice at a site. Costs has one entry for each constraint of the space, none negative.
type Level struct {
	Name  string
	Costs []int64
}

// The levels of a gate, in this order.
const (
	Drop = 0
	Keep = 1
)

// Site is a place with a choice: a layer, or the gate that keeps or drops a sublayer.
//
// Levels run from the cheapest to the dearest of the first constraint: level 0 is the strongest compression. A gate has
// exactly the two levels "drop" and "keep". A layer that belongs to a gate costs nothing while that gate is dropped.
type Site struct {
	Name    string // blk.3.attn_q
	Kind    string // attn_q; for a gate attn, mlp or block
	Block   int    // index of the transformer block
	Weights int64  // dense weights that the site stands for
	Gate    int    // index of the gate that removes this layer when dropped, or -1
	Levels  []Level
}

// IsGate says whether the site keeps or drops a sublayer.
func (s *Site) IsGate() bool {
	return len(s.Levels) == 2 && s.Levels[Drop].Name == "drop" && s.Levels[Keep].Name == "keep"
}

// Constraint is an upper bound on a cost that adds up over sites: Σ costs of active sites + Fixed ≤ Limit. The unit is
// the caller's: bytes of the whole file, bits, non-zeros, kept sublayers of one kind.
type Constraint struct {
	Name         string
	Limit, Fixed int64
}

// Space is what can be chosen and what it may cost. It must not change while a strategy or an individual uses it.
type Space struct {
	Sites       []Site
	Constraints []Constraint
}

// active says whether site i of g is part of the model: it has no gate, or its gate is kept.
func (s *Space) active(g Genome, i int) bool {
	gate := s.Sites[i].Gate
	return gate < 0 || g[gate] != Drop
}

// Cost sums each constraint over the active sites of a genome of this space, Fixed included.
func (s *Space) Cost(g Genome) []int64 {
	total := make([]int64, len(s.Constraints))
	for c := range total {
		total[c] = s.Constraints[c].Fixed
	}
	for i, level := range g {
		if s.active(g, i) {
			for c, cost := range s.Sites[i].Levels[level].Costs {
				total[c] += cost
			}
		}
	}
	return total
}

// Feasible says whether g is a genome of this space and within every limit.
func (s *Space) Feasible(g Genome) bool {
	return s.Check(g) == nil && s.within(s.Cost(g))
}

func (s *Space) within(cost []int64) bool {
	for c, constraint := range s.Constraints {
		if cost[c] > constraint.Limit {
			return false
		}
	}
	return true
}

// Check says why g is no genome of this space: the wrong length, or a level that a site lacks.
func (s *Space) Check(g Genome) error {
	if len(g) != len(s.Sites) {
		return fmt.Errorf("genome of %d sites for a space of %d: it was made for another model or other settings",
			len(g), len(s.Sites))
	}
	for i, level := range g {
		if n := len(s.Sites[i].Levels); int(level) >= n {
			return fmt.Errorf("genome has level %d at %s, which has %d levels: it was made for another level list",
				level, s.Sites[i].Name, n)
		}
	}
	return nil
}

// Canonical is the representative of all genomes that make the same model: the layers of a dropped sublayer are at
// level 0. Two genomes are the same candidate when their canonical genomes are equal.
func (s *Space) Canonical(g Genome) Genome {
	canonical := slices.Clone(g)
	for i := range canonical {
		if !s.active(g, i) {
			canonical[i] = 0
		}
	}
	return canonical
}

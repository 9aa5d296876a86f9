package search

import "slices"

// Individual is a genome with what it costs, kept up to date by operators that never leave the budget. The operators
// have the shape of github.com/MaxHalford/eaopt's Genome, less its Evaluate: an individual does not know its fitness.
//
// Levels is always canonical (Space.Canonical) and within the limits between operators. Change it only through them:
// the costs are kept incrementally.
type Individual struct {
	Space  *Space
	Levels Genome

	ops  *Operators
	cost []int64 // Space.Cost(Levels)
	log  []change
}

// change remembers what put replaced, so that a trial can be taken back.
type change struct {
	site int
	old  uint8
}

// Mutate applies between one and three flips, one being the likeliest: min(U{1..3}, U{1..3}), which beat fixed counts
// of 1, 3 and 15 in the paper's ablation (arXiv 2410.14649).
func (ind *Individual) Mutate(rng Random) {
	flips := min(1+rng.IntN(3), 1+rng.IntN(3))
	ind.ops.axis.mutate(ind, flips, rng)
	ind.log = ind.log[:0]
}

// Crossover exchanges each site between the two with probability 1/2, a gate together with all its layers, and then
// repairs both. It panics if they are not from the same Operators.
func (ind *Individual) Crossover(other *Individual, rng Random) {
	if ind.ops != other.ops {
		panic("search: crossover of individuals from different operators")
	}
	for i := range ind.Levels {
		if ind.Space.Sites[i].Gate >= 0 || rng.IntN(2) == 0 {
			continue
		}
		ind.exchange(other, i)
		for _, layer := range ind.ops.layers[i] {
			ind.exchange(other, layer)
		}
	}
	for _, child := range []*Individual{ind, other} {
		ind.ops.axis.repair(child, rng)
		child.log = child.log[:0]
	}
}

// exchange is for good, and leaves nothing in the logs.
func (ind *Individual) exchange(other *Individual, i int) {
	if mine, theirs := ind.Levels[i], other.Levels[i]; mine != theirs {
		ind.replace(i, theirs)
		other.replace(i, mine)
	}
}

// Clone copies an individual; the two share nothing that changes.
func (ind *Individual) Clone() *Individual {
	clone := *ind
	clone.Levels = slices.Clone(ind.Levels)
	clone.cost = slices.Clone(ind.cost)
	clone.log = nil
	return &clone
}

// put sets one level and updates the costs: O(1) for a layer, O(its layers) for a gate.
func (ind *Individual) put(i int, level uint8) {
	ind.log = append(ind.log, change{i, ind.Levels[i]})
	ind.replace(i, level)
}

func (ind *Individual) replace(i int, level uint8) {
	site := &ind.Space.Sites[i]
	old := ind.Levels[i]
	if old == level {
		return
	}
	if ind.Space.active(ind.Levels, i) {
		ind.add(site.Levels[level].Costs, +1)
		ind.add(site.Levels[old].Costs, -1)
	}
	ind.Levels[i] = level
	sign := int64(+1) // layers come with a gate that is kept and go with one that is dropped
	if level == Drop {
		sign = -1
	}
	for _, layer := range ind.ops.layers[i] {
		ind.add(ind.Space.Sites[layer].Levels[ind.Levels[layer]].Costs, sign)
	}
}

func (ind *Individual) add(costs []int64, sign int64) {
	for c, cost := range costs {
		ind.cost[c] += sign * cost
	}
}

// rollback takes back every put since the log had this length.
func (ind *Individual) rollback(length int) {
	for n := len(ind.log) - 1; n >= length; n-- {
		ind.replace(ind.log[n].site, ind.log[n].old)
	}
	ind.log = ind.log[:length]
}

// drop removes a sublayer; its layers go to level 0, which keeps the genome canonical.
func (ind *Individual) drop(gate int) {
	for _, layer := range ind.ops.layers[gate] {
		ind.put(layer, 0)
	}
	ind.put(gate, Drop)
}

// keep brings a sublayer back, its layers at the base levels: at level 0 it would seldom survive its first scoring.
func (ind *Individual) keep(gate int) {
	ind.put(gate, Keep)
	for _, layer := range ind.ops.layers[gate] {
		ind.put(layer, ind.ops.base.genome[layer])
	}
}

func (ind *Individual) isLayer(i int) bool { return !ind.ops.gate[i] }

// canLower says whether site i is an active layer above its lowest level.
func (ind *Individual) canLower(i int) bool { return ind.isLayer(i) && ind.Levels[i] > 0 }

// canRaise says whether site i is an active layer below its highest level.
func (ind *Individual) canRaise(i int) bool {
	return ind.isLayer(i) && int(ind.Levels[i])+1 < len(ind.Space.Sites[i].Levels) && ind.Space.active(ind.Levels, i)
}

// fits says whether the individual is within every limit.
func (ind *Individual) fits() bool { return ind.Space.within(ind.cost) }

// slack is what the first constraint has left.
func (ind *Individual) slack() int64 { return ind.Space.Constraints[0].Limit - ind.cost[0] }

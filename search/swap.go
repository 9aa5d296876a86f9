package search

import "fmt"

const (
	// swapTries bounds the search for an exchange that keeps the budget.
	swapTries = 32
	// maxChanges and leastReturn are the rule of the paper's code for changes among layers of different sizes: at most
	// 10 levels change, and at least 0.8 of what is removed is added elsewhere.
	maxChanges  = 10
	leastReturn = 0.8
)

// swap is the level-switch mutation of the paper (arXiv 2410.14649, algorithm 1): one layer goes one level
// up and another of the same group one level down, which keeps the budget exactly where steps cost the same throughout
// the group.
type swap struct {
	groups [][]int // layers that may trade with each other, those of two layers or more; none: raise and lower freely
	drawn  []int   // the group of each layer in a group: drawing from it weighs groups by their size
	ladder bool    // levels are a ladder of sparsities, which has its own default settings
}

// newSparsity lets all layers trade with each other: a step is the same number of weights in every layer. The best
// uniform genome, where it starts, is the centre of the ladder.
func newSparsity(o *Operators) swap {
	s := newSwap(o, func(*Site) groupKey { return groupKey{} })
	s.ladder = true
	return s
}

// newBits groups layers by a rule of the paper's code: "size" (default), "name" for layers of one kind, or "none".
func newBits(o *Operators, rule string) (swap, error) {
	switch rule {
	case "", "size":
		return newSwap(o, func(site *Site) groupKey { return groupKey{weights: site.Weights} }), nil
	case "name":
		return newSwap(o, func(site *Site) groupKey { return groupKey{kind: site.Kind} }), nil
	case "none":
		return swap{}, nil
	}
	return swap{}, fmt.Errorf(`unknown group rule %q: write "size", "name" or "none"`, rule)
}

type groupKey struct {
	weights int64
	kind    string
}

func newSwap(o *Operators, key func(*Site) groupKey) swap {
	var s swap
	position := make(map[groupKey]int)
	var groups [][]int
	for i := range o.space.Sites {
		site := &o.space.Sites[i]
		if o.gate[i] || len(site.Levels) < 2 {
			continue
		}
		k := key(site)
		p, ok := position[k]
		if !ok {
			p = len(groups)
			position[k] = p
			groups = append(groups, nil)
		}
		groups[p] = append(groups[p], i)
	}
	for _, members := range groups {
		if len(members) < 2 {
			continue
		}
		for range members {
			s.drawn = append(s.drawn, len(s.groups))
		}
		s.groups = append(s.groups, members)
	}
	return s
}

func (s swap) start(ind *Individual, rng Random) { startNearUniform(ind, rng) }

// startNearUniform is the best uniform genome if it meets the budget exactly, that is, if no layer can be raised;
// otherwise the next dearer one, lowered at random to the budget.
func startNearUniform(ind *Individual, rng Random) {
	ind.assign(ind.ops.base.genome)
	if ind.fits() && !ind.anyRaiseFits() {
		return
	}
	ind.assign(ind.ops.ceil.genome)
	ind.dropToCounts(rng)
	ind.lowerToBudget(rng)
	ind.spend(rng)
}

// anyRaiseFits says whether one layer can go up a level within the limits; it changes nothing.
func (ind *Individual) anyRaiseFits() bool {
	for i := range ind.Levels {
		mark := len(ind.log)
		if ind.raiseFits(i) {
			ind.rollback(mark)
			return true
		}
	}
	return false
}

func (s swap) sample(ind *Individual, rng Random) {
	for i := range ind.Levels {
		if ind.isLayer(i) {
			ind.put(i, uint8(rng.IntN(len(ind.Space.Sites[i].Levels))))
		}
	}
	s.repair(ind, rng)
}

func (s swap) repair(ind *Individual, rng Random) {
	ind.lowerToBudget(rng)
	ind.spend(rng)
}

func (s swap) mutate(ind *Individual, flips int, rng Random) {
	if len(s.groups) == 0 {
		s.raiseAndLower(ind, flips, rng)
	} else {
		for range flips {
			if !s.exchange(ind, rng) {
				s.raiseAndLower(ind, 1, rng)
			}
		}
	}
	// Steps of unequal cost, as between K-quants, leave slack that exchanges alone could never use.
	ind.spend(rng)
}

// exchange raises one layer and lowers another of its group, if that stays within the limits and leaves no more unused
// than before, or no more than spend may leave.
func (s swap) exchange(ind *Individual, rng Random) bool {
	for range swapTries {
		group := s.groups[s.drawn[rng.IntN(len(s.drawn))]]
		up := pick(rng, len(group), func(k int) bool { return ind.canRaise(group[k]) })
		if up < 0 {
			continue
		}
		down := pick(rng, len(group), func(k int) bool { return k != up && ind.canLower(group[k]) })
		if down < 0 {
			continue
		}
		mark, slack := len(ind.log), ind.slack()
		ind.put(group[down], ind.Levels[group[down]]-1)
		ind.put(group[up], ind.Levels[group[up]]+1)
		if ind.fits() && (ind.slack() <= slack || !ind.wasteful()) {
			return true
		}
		ind.rollback(mark)
	}
	return false
}

// raiseAndLower is the rule for layers of any size: raise some, then lower at random until the budget holds; try again
// if that took too many changes or gave too much away. Without an acceptable outcome the individual stays as it is. Where limits pull
// apart, what is given away of the first says little: a few steps and a repair, as in a joint search, are the mutation.
func (s swap) raiseAndLower(ind *Individual, flips int, rng Random) {
	if ind.ops.apart {
		joint{}.mutate(ind, flips, rng)
		return
	}
	n := len(ind.Levels)
	for range swapTries {
		mark, before := len(ind.log), ind.cost[0]
		for range flips {
			if i := pick(rng, n, ind.canRaise); i >= 0 {
				ind.put(i, ind.Levels[i]+1)
			}
		}
		added := ind.cost[0] - before
		ind.lowerToBudget(rng)
		removed := before + added - ind.cost[0]
		if len(ind.log)-mark <= maxChanges && float64(added) >= leastReturn*float64(removed) {
			return
		}
		ind.rollback(mark)
	}
}

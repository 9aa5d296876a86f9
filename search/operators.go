package search

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// The axes: what a search varies. Each decides where individuals start and how they mutate.
const (
	Depth    = "depth"    // gates only: which sublayers stay
	Sparsity = "sparsity" // layers only, levels on a ladder of equal steps
	Bits     = "bits"     // layers only, any levels
	Joint    = "joint"    // gates and layers under one budget
)

// axis is the set of operators of one axis. All leave an individual canonical and within the limits, given one that is;
// start and sample may be given any.
type axis interface {
	start(ind *Individual, rng Random)             // where EvoPress begins
	sample(ind *Individual, rng Random)            // anywhere in the space
	mutate(ind *Individual, flips int, rng Random) // a few steps from here
	repair(ind *Individual, rng Random)            // back to the budget after a crossover
}

// Operators makes individuals of one space. It is immutable and may be shared.
type Operators struct {
	space   *Space
	axis    axis
	gate    []bool    // whether a site is a gate [sites]
	layers  [][]int   // the layers of each gate [sites], nil for others
	uniform []uniform // from the cheapest
	base    uniform   // the dearest that fits, or else the cheapest; a layer that comes back takes its level from here
	ceil    uniform   // the next dearer, or base if there is none
	minStep int64     // the least positive step in the first constraint: with less slack nothing can be raised
	counts  []int     // the constraints that no layer counts in, such as the number of sublayers
	apart   bool      // Space.pullApart
	haven   Genome    // if apart: within all limits
}

// NewOperators chooses the operators of an axis ("": DetectAxis) for a space that Space.Validate accepts. group is the
// rule of the bits axis for which layers may swap: "size" (default), "name" or "none".
func NewOperators(space *Space, axis, group string) (*Operators, error) {
	o, err := newOperators(space)
	if err != nil {
		return nil, err
	}
	if axis == "" {
		axis = DetectAxis(space)
	}
	o.uniform = startingLevels(space, axis)
	o.bracket()
	switch axis {
	case Depth:
		if !slices.Contains(o.gate, true) {
			return nil, errors.New("the depth axis needs sublayers to drop, and the search space has no gate")
		}
		o.axis = newDepth(o)
	case Sparsity:
		o.axis = newSparsity(o)
	case Bits:
		bits, err := newBits(o, group)
		if err != nil {
			return nil, err
		}
		o.axis = bits
	case Joint:
		o.axis = joint{}
	default:
		return nil, fmt.Errorf("unknown axis %q: write one of %s, %s, %s, %s", axis, Depth, Sparsity, Bits, Joint)
	}
	return o, nil
}

// newOperators is what all axes share. That its space has a genome within all limits is certain: where they do not pull apart, it is
// the lowest.
func newOperators(space *Space) (*Operators, error) {
	if err := space.validate(); err != nil {
		return nil, err
	}
	o := &Operators{space: space, apart: space.pullApart()}
	o.index()
	if o.apart {
		if o.haven = o.findHaven(); o.haven == nil {
			return nil, errors.New("no feasible genome was found: each limit can be met by itself, and not all of them at once: raise one, or add levels that are cheap in all")
		}
	}
	return o, nil
}

// DetectAxis names the axis of a space from the sites that have a choice: depth if all are gates, joint if some are,
// sparsity if every level is called sparse-…, and bits otherwise.
func DetectAxis(space *Space) string {
	gates, layers, sparse := 0, 0, true
	for i := range space.Sites {
		site := &space.Sites[i]
		switch {
		case site.IsGate():
			gates++
		case len(site.Levels) > 1:
			layers++
			for _, level := range site.Levels {
				sparse = sparse && strings.HasPrefix(level.Name, "sparse-")
			}
		}
	}
	switch {
	case layers == 0 && gates > 0:
		return Depth
	case gates > 0:
		return Joint
	case sparse && layers > 0:
		return Sparsity
	}
	return Bits
}

// index derives what the operators look up: gates, their layers, the least step, and limits on gates alone.
func (o *Operators) index() {
	sites := o.space.Sites
	o.gate = make([]bool, len(sites))
	o.layers = make([][]int, len(sites))
	o.minStep = math.MaxInt64
	lowest := make([]int64, len(sites)) // what a sublayer costs at least
	for i := range sites {
		site := &sites[i]
		if o.gate[i] = site.IsGate(); o.gate[i] {
			lowest[i] += site.Levels[Keep].Costs[0] - site.Levels[Drop].Costs[0]
			continue
		}
		if site.Gate >= 0 {
			o.layers[site.Gate] = append(o.layers[site.Gate], i)
			lowest[site.Gate] += site.Levels[0].Costs[0]
		}
		for l := 1; l < len(site.Levels); l++ {
			o.leastStep(site.Levels[l].Costs[0] - site.Levels[l-1].Costs[0])
		}
	}
	for i, isGate := range o.gate {
		if isGate {
			o.leastStep(lowest[i])
		}
	}
	for c := range o.space.Constraints {
		costs := func(level Level) bool { return level.Costs[c] > 0 }
		if !slices.ContainsFunc(sites, func(site Site) bool { return !site.IsGate() && slices.ContainsFunc(site.Levels, costs) }) {
			o.counts = append(o.counts, c)
		}
	}
}

func (o *Operators) leastStep(step int64) {
	if step > 0 {
		o.minStep = min(o.minStep, step)
	}
}

// Individual makes an individual of a feasible genome.
func (o *Operators) Individual(g Genome) (*Individual, error) {
	if err := o.space.Check(g); err != nil {
		return nil, err
	}
	ind := o.individual(o.space.Canonical(g))
	for c, k := range o.space.Constraints {
		if ind.cost[c] > k.Limit {
			return nil, fmt.Errorf("genome costs %d of %s and the limit is %d: it was made for another budget",
				ind.cost[c], k.Name, k.Limit)
		}
	}
	return ind, nil
}

// individual takes a canonical genome, within the limits or not.
func (o *Operators) individual(g Genome) *Individual {
	return &Individual{Space: o.space, Levels: g, ops: o, cost: o.space.Cost(g)}
}

// Start draws a genome where EvoPress starts: at random around the budget, or the one point that meets it exactly.
func (o *Operators) Start(rng Random) *Individual { return o.draw(o.axis.start, rng) }

// Sample draws a genome from the whole space and repairs it to the budget.
func (o *Operators) Sample(rng Random) *Individual { return o.draw(o.axis.sample, rng) }

func (o *Operators) draw(from func(*Individual, Random), rng Random) *Individual {
	ind := o.individual(slices.Clone(o.base.genome))
	from(ind, rng)
	ind.log = nil
	return ind
}

// under are the same operators with a lower limit of the first constraint, which the cheapest genome must meet. Where limits pull apart
// and none is found within it, genomes are within the limits of o.
func (o *Operators) under(limit int64) *Operators {
	smaller := *o
	smaller.space = &Space{Sites: o.space.Sites, Constraints: slices.Clone(o.space.Constraints)}
	smaller.space.Constraints[0].Limit = limit
	smaller.bracket()
	return &smaller
}

// startingLevels lists the uniform genomes that searches start at. Ladders of sparsity are compared by position where they are
// equally long: names of equal rank may differ in their last digit from one layer size to another.
func startingLevels(space *Space, axis string) []uniform {
	if axis == Sparsity && equallyLong(space) {
		return positions(space)
	}
	return uniforms(space)
}

// bracket finds the uniform genomes just below and above the budget.
func (o *Operators) bracket() {
	all := o.uniform
	fitting := -1
	for k, u := range all {
		if o.admits(&u) {
			fitting = k
		}
	}
	if fitting < 0 {
		near := all[0]
		if o.apart {
			near = slices.MinFunc(all, func(a, b uniform) int {
				return cmp.Compare(o.individual(a.genome).violation(), o.individual(b.genome).violation())
			})
		}
		o.base, o.ceil = near, near
		return
	}
	o.base, o.ceil = all[fitting], all[fitting]
	for _, u := range all[fitting+1:] {
		if u.costs[0] > o.base.costs[0] {
			o.ceil = u
			return
		}
	}
}

// admits says whether a uniform genome is within the limits once as many sublayers are dropped as the limits on their number demand: which
// ones makes little difference to the rest.
func (o *Operators) admits(u *uniform) bool {
	if len(o.counts) == 0 {
		return o.space.within(u.costs)
	}
	ind := o.individual(slices.Clone(u.genome))
	ind.dropCounted(o.gates())
	return ind.fits()
}

// assign moves an individual to another canonical genome.
func (ind *Individual) assign(g Genome) {
	for i, isGate := range ind.ops.gate {
		if isGate {
			ind.put(i, g[i])
		}
	}
	for i, level := range g {
		ind.put(i, level)
	}
}

package search

// depth drops a fixed number of sublayers of each type (arXiv 2410.14649, "Depth Pruning"): the genome is a keep-drop
// mask for each type, a mutation exchanges a kept and a dropped sublayer of one type. The number follows from the
// limits: an individual keeps as many as they admit.
type depth struct {
	types [][]int // the gates of each kind, in site order
}

func newDepth(o *Operators) depth {
	var d depth
	position := make(map[string]int)
	for i, isGate := range o.gate {
		if !isGate {
			continue
		}
		kind := o.space.Sites[i].Kind
		t, ok := position[kind]
		if !ok {
			t = len(d.types)
			position[kind] = t
			d.types = append(d.types, nil)
		}
		d.types[t] = append(d.types[t], i)
	}
	return d
}

// start drops everything and keeps at random: every mask of maximal size is equally likely where sublayers of a type
// cost the same.
func (d depth) start(ind *Individual, rng Random) {
	for i, isGate := range ind.ops.gate {
		if isGate {
			ind.drop(i)
		}
	}
	ind.lowerToBudget(rng)
	d.fill(ind, rng)
}

func (d depth) sample(ind *Individual, rng Random) { d.start(ind, rng) }

func (d depth) repair(ind *Individual, rng Random) {
	ind.lowerToBudget(rng)
	d.fill(ind, rng)
}

// fill keeps dropped sublayers in random order, each if it fits: O(sites), and unlike spend exact in all constraints.
func (d depth) fill(ind *Individual, rng Random) {
	var gates []int
	for _, members := range d.types {
		gates = append(gates, members...)
	}
	for n := len(gates); n > 0; n-- {
		k := rng.IntN(n)
		ind.keepFits(gates[k])
		gates[k] = gates[n-1]
	}
}

func (d depth) mutate(ind *Individual, flips int, rng Random) {
	for range flips {
		d.swap(ind, rng)
	}
}

// swap exchanges one kept and one dropped sublayer of a random type, if any exchange fits.
func (d depth) swap(ind *Individual, rng Random) {
	for range swapTries {
		members := d.types[rng.IntN(len(d.types))]
		out := pick(rng, len(members), func(k int) bool { return ind.kept(members[k]) })
		in := pick(rng, len(members), func(k int) bool { return ind.dropped(members[k]) })
		if out < 0 || in < 0 {
			continue
		}
		mark := len(ind.log)
		ind.drop(members[out])
		ind.keep(members[in])
		if ind.fits() {
			return
		}
		ind.rollback(mark)
	}
}

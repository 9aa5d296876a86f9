package search

// Repair keeps individuals on the budget: lower until every limit holds, then spend what is left.

const (
	// probes is how often a random choice is tried before all sites are scanned; with one eligible site in ten, the
	// scan is needed once in 800 choices.
	probes = 64
	// spendMisses ends random spending: so many raises in a row did not fit.
	spendMisses = 16
	// slackShare: an individual may leave 1/200 of the first limit unused, and no more if any raise still fits.
	slackShare = 200
)

// pick draws one of [0, n) uniformly among those that ok accepts, or returns -1 if there is none. It probes at random,
// so that a choice costs O(1) where eligible sites are common, and scans from a random offset where they are rare.
func pick(rng Random, n int, ok func(i int) bool) int {
	if n == 0 {
		return -1
	}
	for range probes {
		if i := rng.IntN(n); ok(i) {
			return i
		}
	}
	for i, left := rng.IntN(n), n; left > 0; left-- {
		if ok(i) {
			return i
		}
		if i++; i == n {
			i = 0
		}
	}
	return -1
}

// lowerToBudget lowers random sites, one level at a time, until every limit holds. Layers go first; a sublayer is
// dropped only if no layer can help. It ends, because the genome at the bottom is feasible (newOperators).
func (ind *Individual) lowerToBudget(rng Random) {
	if ind.ops.apart {
		if !ind.settle(rng) {
			ind.assign(ind.ops.haven)
		}
		return
	}
	n := len(ind.Levels)
	for !ind.fits() {
		if i := pick(rng, n, func(i int) bool { return ind.canLower(i) && ind.lowerHelps(i) }); i >= 0 {
			ind.put(i, ind.Levels[i]-1)
		} else if i := pick(rng, n, func(i int) bool { return ind.kept(i) && ind.dropHelps(i) }); i >= 0 {
			ind.drop(i)
		} else if i := pick(rng, n, ind.canLower); i >= 0 {
			// A cost other than the first may stay as it is for a step: go on past it.
			ind.put(i, ind.Levels[i]-1)
		} else {
			panic("search: the lowest genome is not feasible: call Space.Validate first")
		}
	}
}

func (ind *Individual) kept(i int) bool { return ind.ops.gate[i] && ind.Levels[i] == Keep }

func (ind *Individual) dropped(i int) bool { return ind.ops.gate[i] && ind.Levels[i] == Drop }

// lowerHelps says whether lowering layer i makes a violated constraint cheaper.
func (ind *Individual) lowerHelps(i int) bool {
	levels, l := ind.Space.Sites[i].Levels, ind.Levels[i]
	for c, k := range ind.Space.Constraints {
		if ind.cost[c] > k.Limit && levels[l-1].Costs[c] < levels[l].Costs[c] {
			return true
		}
	}
	return false
}

// dropHelps says whether dropping gate i makes a violated constraint cheaper.
func (ind *Individual) dropHelps(i int) bool {
	for c, k := range ind.Space.Constraints {
		if ind.cost[c] <= k.Limit {
			continue
		}
		if ind.saved(i, c) > 0 {
			return true
		}
	}
	return false
}

// saved is how much of constraint c dropping gate i saves.
func (ind *Individual) saved(i, c int) int64 {
	gate := ind.Space.Sites[i].Levels
	saved := gate[Keep].Costs[c] - gate[Drop].Costs[c]
	for _, layer := range ind.ops.layers[i] {
		saved += ind.Space.Sites[layer].Levels[ind.Levels[layer]].Costs[c]
	}
	return saved
}

// spend raises random layers while that fits. More than 1/slackShare of the first limit stays unused only if no layer
// can be raised and no sublayer brought back within the limits.
func (ind *Individual) spend(rng Random) {
	n := len(ind.Levels)
	for misses := 0; misses < spendMisses && ind.slack() >= ind.ops.minStep; {
		if ind.raiseFits(rng.IntN(n)) {
			misses = 0
		} else {
			misses++
		}
	}
	for ind.wasteful() {
		// The predicates leave their trial in place when it fits, so a pick is also the move.
		if pick(rng, n, ind.raiseFits) < 0 && pick(rng, n, ind.keepFits) < 0 && !(ind.ops.apart && pick(rng, n, ind.jumpFits) >= 0) {
			return
		}
	}
}

// wasteful says whether more is unused than spend may leave where a step still costs no more than the slack.
func (ind *Individual) wasteful() bool {
	slack := ind.slack()
	return slack >= ind.ops.minStep && slack > ind.Space.Constraints[0].Limit/slackShare
}

// raiseFits raises layer i by one level if it can be and stays within every limit.
func (ind *Individual) raiseFits(i int) bool {
	if !ind.canRaise(i) {
		return false
	}
	mark := len(ind.log)
	ind.put(i, ind.Levels[i]+1)
	if ind.fits() {
		return true
	}
	ind.rollback(mark)
	return false
}

// dropCounted drops sublayers in an order of their gates until the limits on their number hold.
func (ind *Individual) dropCounted(gates []int) {
	for _, c := range ind.ops.counts {
		for _, gate := range gates {
			if ind.cost[c] > ind.Space.Constraints[c].Limit && ind.kept(gate) && ind.saved(gate, c) > 0 {
				ind.drop(gate)
			}
		}
	}
}

// dropToCounts drops random sublayers until the limits on their number hold, before layers are lowered to pay for those.
func (ind *Individual) dropToCounts(rng Random) {
	for _, c := range ind.ops.counts {
		for ind.cost[c] > ind.Space.Constraints[c].Limit {
			ind.drop(pick(rng, len(ind.Levels), func(i int) bool { return ind.kept(i) && ind.saved(i, c) > 0 }))
		}
	}
}

// keepFits brings the sublayer of gate i back, at the base levels or else at the lowest, if that is within every limit.
func (ind *Individual) keepFits(i int) bool {
	if !ind.dropped(i) {
		return false
	}
	mark := len(ind.log)
	ind.keep(i)
	if ind.fits() {
		return true
	}
	for _, layer := range ind.ops.layers[i] {
		ind.put(layer, 0)
	}
	if ind.fits() {
		return true
	}
	ind.rollback(mark)
	return false
}

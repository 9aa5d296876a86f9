package search

// joint varies gates and levels under one budget. Depth is free: a sublayer is dropped only where its bytes do more
// good elsewhere. Forcing a number of drops into a joint search was worse in the paper (arXiv 2410.14649: perplexity 8.96
// against 5.23).
type joint struct{}

// maxDropShare bounds how many sublayers a random sample drops. Beyond a quarter the paper's depth tables show models
// too damaged to stand for the space.
const maxDropShare = 0.25

func (joint) start(ind *Individual, rng Random) { startNearUniform(ind, rng) }

// sample draws every level uniformly, and drops a share of sublayers that is itself drawn, so that both full and thinned
// models are among the samples.
func (j joint) sample(ind *Individual, rng Random) {
	share := maxDropShare * rng.Float64()
	for i, isGate := range ind.ops.gate {
		if isGate {
			if rng.Float64() < share {
				ind.drop(i)
			} else {
				ind.keep(i)
			}
		}
	}
	for i := range ind.Levels {
		if ind.isLayer(i) && ind.Space.active(ind.Levels, i) {
			ind.put(i, uint8(rng.IntN(len(ind.Space.Sites[i].Levels))))
		}
	}
	j.repair(ind, rng)
}

func (j joint) mutate(ind *Individual, flips int, rng Random) {
	n := len(ind.Levels)
	for range flips {
		if i := pick(rng, n, ind.canFlip); i >= 0 {
			j.flip(ind, i, rng)
		}
	}
	j.repair(ind, rng)
}

func (joint) repair(ind *Individual, rng Random) {
	ind.dropToCounts(rng)
	ind.lowerToBudget(rng)
	ind.spend(rng)
}

// canFlip says whether site i has another level to go to: any gate, and any active layer with a choice.
func (ind *Individual) canFlip(i int) bool {
	return len(ind.Space.Sites[i].Levels) > 1 && ind.Space.active(ind.Levels, i)
}

// flip toggles a gate, or moves a layer one level up or down.
func (joint) flip(ind *Individual, i int, rng Random) {
	switch {
	case ind.kept(i):
		ind.drop(i)
	case ind.dropped(i):
		ind.keep(i)
	case !ind.canRaise(i), ind.canLower(i) && rng.IntN(2) == 0:
		ind.put(i, ind.Levels[i]-1)
	default:
		ind.put(i, ind.Levels[i]+1)
	}
}

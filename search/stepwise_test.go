package search

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

// What the queue chooses is what looking at every site before every step does, under one limit; raising also under several.
func TestStepwiseIsByScan(t *testing.T) {
	for seed := range uint64(400) {
		rng := Rand(seed, 0, 0)
		space := randomSpace(rng)
		o := mustOperators(t, space, Joint, "")
		d := make(damages, len(space.Sites))
		for i := range d {
			d[i] = make([]float64, len(space.Sites[i].Levels))
			for l := range d[i] {
				d[i][l] = math.Floor(8*rng.Float64()) / 4 // ties, and levels that are worse than cheaper ones
			}
		}
		what := fmt.Sprintf("seed %d, %d limits", seed, len(space.Constraints))
		start := o.individual(make(Genome, len(space.Sites)))
		for _, ind := range []*Individual{start, o.Sample(rng)} {
			got, want := ind.Clone(), ind.Clone()
			d.raise(got)
			d.raiseByScan(want)
			if !slices.Equal(got.Levels, want.Levels) {
				t.Fatalf("%s: raised to %v, by scan %v", what, got.Levels, want.Levels)
			}
		}
		got, want := o.individual(o.dearest()), o.individual(o.dearest())
		d.lower(got)
		d.lowerByScan(want)
		if len(space.Constraints) == 1 && !slices.Equal(got.Levels, want.Levels) {
			t.Fatalf("%s: lowered to %v, by scan %v", what, got.Levels, want.Levels)
		}
		got.log = nil
		checkIndividual(t, got, what)
	}
}

// lower takes the step down of the least damage for what it saves, a level of a layer or a whole sublayer, until every
// limit holds.
func (d damages) lowerByScan(ind *Individual) {
	for !ind.fits() {
		best, least := -1, math.Inf(1)
		for i := range ind.Levels {
			var harm float64
			switch {
			case ind.kept(i):
				harm = d[i][Drop] - d.sublayer(ind, i)
			case ind.canLower(i):
				harm = d[i][ind.Levels[i]-1] - d[i][ind.Levels[i]]
			default:
				continue
			}
			if saved := ind.reliefByTrial(i); saved > 0 && harm/saved < least {
				best, least = i, harm/saved
			}
		}
		if best < 0 { // costs other than the first need not fall with every step: on past such steps
			ind.lowerToBudget(Rand(0, 0, 0))
			return
		}
		ind.stepDown(best)
	}
}

// relief is how much a step down at site i takes off the violated limits, each in proportion to its excess.
func (ind *Individual) reliefByTrial(i int) float64 {
	mark := len(ind.log)
	before := slices.Clone(ind.cost)
	ind.stepDown(i)
	sum := 0.0
	for c, k := range ind.Space.Constraints {
		if over := before[c] - k.Limit; over > 0 {
			sum += float64(before[c]-ind.cost[c]) / float64(over)
		}
	}
	ind.rollback(mark)
	return sum
}

// raise takes the step up that heals most for what it costs while any fits, and goes on with steps that heal nothing
// only while more is unused than an individual may leave.
func (d damages) raiseByScan(ind *Individual) {
	for {
		best, most := -1, math.Inf(-1)
		for i := range ind.Levels {
			mark, cost := len(ind.log), ind.cost[0]
			was := ind.Levels[i]
			if !ind.raiseFits(i) && !ind.keepFits(i) {
				continue
			}
			heals := d[i][was] - d[i][ind.Levels[i]]
			if ind.ops.gate[i] {
				heals -= d.sublayer(ind, i)
			}
			// A step that costs nothing is taken or not for what it heals alone.
			if value := heals / max(1, float64(ind.cost[0]-cost)); value > most {
				best, most = i, value
			}
			ind.rollback(mark)
		}
		if best < 0 || most <= 0 && !ind.wasteful() {
			return
		}
		if !ind.raiseFits(best) {
			ind.keepFits(best)
		}
	}
}

package search

import (
	"math"
	"runtime"
	"sync"
	"sync/atomic"
)

const (
	// tries is how many proposals each child is the best of, by prediction.
	tries = 4
	// boldness: children are up to 1, 2, 4, … 2^(boldness−1) kicks away from their parent, in turn.
	boldness = 8
	// surveysInARow, at most, as long as each gives a better parent.
	surveysInARow = 4
	// patience is how many generations without a better parent end in a survey of it.
	patience = 8
)

// finch is the default method. It begins where methods end that take damages of single sites to add up: with those damages, a few of each
// site measured on one slice of the first stage's length and the others interpolated, and the allocation of the least sum. From there on it evolves like evopress, with two kinds
// of generations that know more than a random mutation does:
//
//   - A survey scores the parent with each single site a step up and down. The children have a share of the changes that these differences
//     call for, drawn at random.
//   - A generation of offspring takes the best, by a surrogate learnt from all scores, of several random changes that are repaired to
//     the budget by the surrogate's steepest steps.
//
// Children are scored beside their parent on a slice of the first stage's length, the best and the parent again on one of the last's, and near-ties
// on longer ones (duel). A generation that the tokens of evopress do not pay for is not begun; where they do not even pay for the measurements,
// it is evopress.
type finch struct {
	*steps
	ops      *Operators
	settings Settings
	seed     uint64

	model      *surrogate
	noise      noise
	trust      trust
	parent     Candidate
	naive      []Candidate
	scored     map[string]Candidate // by genome
	generation int
	left       int64 // tokens
	longest    int   // tokens of a slice to score two again in this generation
	surveys    int   // in a row
	stalled    int   // generations since the last better parent
	surveyed   int   // ID of the last candidate whose neighbours were scored
}

func newFinch(o *Operators, settings Settings, seed uint64) (Strategy, error) {
	tokens, last := int64(settings.Tokens[0]), int64(settings.lastTokens())
	total := settings.TotalTokens()
	errors := settings.LocalErrors
	if errors == nil {
		errors = o.steepness()
	}
	plan := o.fewProbes(errors)
	const starts = 3 // at most
	if needed := int64(len(plan)+1)*tokens + starts*last; needed > total {
		return newEvoPress(o, settings, seed)
	}
	f := &finch{
		steps: newSteps(Effort{Tokens: total, Generations: int(total / breedTokens(settings))}), ops: o, settings: settings, seed: seed,
		scored: map[string]Candidate{}, left: total, surveyed: none.ID,
	}
	naive, operator, err := o.naive(settings)
	if err != nil {
		return nil, err
	}
	f.batch(Batch{Tokens: settings.Tokens[0], Candidates: f.probes(o, plan), Probe: true}, func(_ []Candidate, fitness []float64) {
		d := interpolated(measured(o, plan, fitness), plan, errors)
		f.model = newSurrogate(o, d)
		f.startAt(solveDP(o, d).Levels, "dp")
		f.startAt(naive.Levels, operator)
		if g := settings.Start.Genome; g != nil {
			f.startAt(o.space.Canonical(g), "start")
		}
		f.batch(Batch{Stage: 1, Tokens: settings.lastTokens(), Candidates: f.naive}, func(candidates []Candidate, fitness []float64) {
			f.choose(candidates, fitness)
			f.parent = f.best
			for i, c := range candidates {
				if c.ID == f.parent.ID {
					f.noise.expect(fitness[i])
				}
			}
			f.next()
		})
	})
	return f, nil
}

// breedTokens is what a generation takes at most, without a survey and a duel.
func breedTokens(s Settings) int64 {
	return int64(s.Offspring+1)*int64(s.Tokens[0]) + int64(s.Survivors[0]+1)*int64(s.lastTokens())
}

// startAt adds a start, unless it is there.
func (f *finch) startAt(g Genome, operator string) {
	if _, ok := f.scored[string(g)]; !ok {
		c := f.candidate(0, f.proposed, g, none.ID, operator)
		f.scored[string(g)] = c
		f.naive = append(f.naive, c)
	}
}

// Naive are the allocations that it began with: of the least sum of measured damages, the uniform baseline, and
// the warm start if there is one.
func (f *finch) Naive() []Candidate { return f.naive }

// batch asks for scores.
func (f *finch) batch(b Batch, then func([]Candidate, []float64)) {
	f.left -= int64(len(b.Candidates)) * int64(b.Tokens)
	f.ask(b, then)
}

// next begins another generation, if there are tokens for whatever it may ask: a generation that has begun takes its course, so that a
// search with more tokens goes the same way.
func (f *finch) next() {
	f.longest = f.longestDuel()
	better := f.parent.ID != f.surveyed
	survey := better && (f.surveys < surveysInARow && f.stalled == 0 || f.stalled >= patience)
	most := breedTokens(f.settings) + f.duelTokens()
	if survey {
		most += int64(1+len(f.ops.neighbours(f.parent.Genome))) * int64(f.settings.Tokens[0])
	}
	if f.generation == f.effort.Generations || most > f.left {
		return
	}
	f.generation++
	if survey {
		f.survey()
		return
	}
	f.surveys = surveysInARow // until patience is at its end
	f.breed(0, 0)
}

// survey scores the parent's neighbours.
func (f *finch) survey() {
	if f.stalled >= patience {
		f.surveys = 0
	}
	f.surveys++
	f.stalled, f.surveyed = 0, f.parent.ID
	plan := f.ops.neighbours(f.parent.Genome)
	candidates := []Candidate{f.parent}
	for slot, p := range plan {
		g := f.ops.with(f.parent.Genome, p)
		candidates = append(candidates, f.candidate(f.generation, slot, g, f.parent.ID, describe(f.ops.space, f.parent.Genome, g)))
	}
	f.batch(Batch{Generation: f.generation, Tokens: f.settings.Tokens[0], Candidates: candidates, Probe: true}, func(candidates []Candidate, fitness []float64) {
		f.learn(candidates[1:], fitness[1:], fitness[0], f.settings.Tokens[0])
		local := localDamages(f.ops, f.parent.Genome, plan, fitness)
		target := solveDP(f.ops, local).Levels
		steep := newSurrogate(f.ops, local)
		first := len(plan)
		if !f.compete(first, 1, func(slot int) Genome {
			share := 1 / float64(1+slot%4)
			return f.towards(target, share, steep, Rand(f.seed, f.generation, first+slot))
		}) {
			f.breed(first, 1)
		}
	})
}

// towards takes a share of the changes from the parent to a target, drawn at random, and repairs the budget.
func (f *finch) towards(target Genome, share float64, model *surrogate, rng Random) Genome {
	ind := f.ops.individual(f.parent.Genome).Clone()
	for i, level := range target {
		if ind.Levels[i] == level || ind.Space.Sites[i].Gate >= 0 && !ind.Space.active(ind.Levels, i) || rng.Float64() >= share {
			continue
		}
		switch {
		case ind.kept(i):
			ind.drop(i)
		case ind.dropped(i):
			ind.keep(i)
		default:
			ind.put(i, level)
		}
	}
	ind.log = ind.log[:0]
	c := model.climber(ind)
	c.repair(rng)
	return c.Levels
}

// breed scores offspring that the surrogate finds promising. The search ends if there are none.
func (f *finch) breed(firstSlot, stage int) {
	f.model.fit()
	children := make([]Genome, f.settings.Offspring)
	var taken atomic.Int64
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(children)) { // each child is a function of the parent and its slot
		workers.Go(func() {
			parent := f.model.climber(f.ops.individual(f.parent.Genome).Clone())
			for slot := int(taken.Add(1)) - 1; slot < len(children); slot = int(taken.Add(1)) - 1 {
				children[slot] = parent.child(1<<(slot%boldness), Rand(f.seed, f.generation, firstSlot+slot))
			}
		})
	}
	workers.Wait()
	f.compete(firstSlot, stage, func(slot int) Genome { return children[slot] })
}

// compete scores λ children beside their parent, and then the best of them again. Slots and stages are counted from the first. It
// does nothing, with false, if there are no children.
func (f *finch) compete(firstSlot, stage int, child func(slot int) Genome) bool {
	candidates := []Candidate{f.parent}
	seen := map[string]bool{string(f.parent.Genome): true}
	for slot := range f.settings.Offspring {
		g := child(slot)
		if g == nil || seen[string(g)] {
			continue
		}
		seen[string(g)] = true
		c, again := f.scored[string(g)] // more scores of a good one are as welcome as those of a new one
		if !again {
			c = f.candidate(f.generation, firstSlot+slot, g, f.parent.ID, describe(f.ops.space, f.parent.Genome, g))
			f.scored[string(g)] = c
		}
		candidates = append(candidates, c)
	}
	if len(candidates) == 1 {
		return false
	}
	tokens := f.settings.Tokens[0]
	f.batch(Batch{Generation: f.generation, Stage: stage, Tokens: tokens, Candidates: candidates}, func(candidates []Candidate, fitness []float64) {
		f.learn(candidates[1:], fitness[1:], fitness[0], tokens)
		excess := make(map[int]float64, len(candidates))
		for i, c := range candidates {
			excess[c.ID] = fitness[i] - fitness[0]
		}
		race := append(fittest(candidates[1:], fitness[1:], f.settings.Survivors[0]), f.parent)
		f.decide(stage+1, race, excess)
	})
	return true
}

// learn tells the surrogate how much worse children are than their parent. One that is twice as bad is as bad as any.
func (f *finch) learn(children []Candidate, fitness []float64, parent float64, tokens int) {
	for i, c := range children {
		if excess := fitness[i] - parent; finite(excess) {
			f.model.learn(c.Genome, f.parent.Genome, min(excess, parent), f.noise.variance(tokens))
		}
	}
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

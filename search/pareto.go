package search

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

const (
	// neighbours are how many members, the nearest in cost to what a child may cost, its parents are drawn from.
	neighbours = 4
	// leastShare of the budget is the smallest that a start gets where one without dropped sublayers would cost more than all of it: a front
	// down to no model at all is of no use.
	leastShare = 1 - maxDropShare
)

// pareto looks for the front of cost against fitness in one search: NSGA-II (Deb et al., IEEE Trans. Evol. Comput. 6(2), 2002)
// decides who lives, and every child has a budget of its own, evenly spread up to the limit, and parents of about that cost, as the subproblems
// of MOEA/D have (Zhang and Li, IEEE Trans. Evol. Comput. 11(6), 2007): its mutation, crossover and repair are those of any search with that
// budget.
//
// A generation scores members and children on one fresh slice of the first stage's length. Members are scored again and again, so
// that tokens go to those that live, and lucky scores are found out. At the end the front of all that there ever were, since some had bad luck,
// is scored on the last stage's tokens. The winner is the fittest of those that leave nothing of the budget unused.
type pareto struct {
	*steps
	ops      *Operators
	settings Settings
	seed     uint64

	estimates       Estimates
	all, population []*point
	generations     int // after the first
	finalists       int
}

func newPareto(o *Operators, settings Settings, seed uint64) (Strategy, error) {
	one, last := int64(settings.Offspring)*int64(settings.Tokens[0]), int64(settings.lastTokens())
	left := settings.TotalTokens() - one
	final := max(1, min(int64(settings.Offspring), left/2/last))
	generations := max(0, left-final*last) / (2 * one)
	effort := Effort{Tokens: (1+2*generations)*one + final*last, Generations: int(generations)}
	p := &pareto{steps: newSteps(effort), ops: o, settings: settings, seed: seed, generations: int(generations), finalists: int(final)}
	p.score(0, p.starts())
	return p, nil
}

// starts are near the uniform levels of budgets that are spread evenly, the whole one first.
func (p *pareto) starts() []*point {
	limit, least := p.limit(), p.leastBudget()
	seen := make(map[string]bool)
	var starts []*point
	if warm := p.settings.Start.Genome; warm != nil {
		g := p.ops.space.Canonical(warm)
		seen[string(g)] = true
		starts = append(starts, p.point(0, 0, g, none.ID, "start"))
	}
	for slot := len(starts); slot < p.settings.Offspring; slot++ {
		share := float64(slot) / max(1, float64(p.settings.Offspring-1))
		ops := p.ops.under(limit - int64(share*float64(limit-least)))
		rng := Rand(p.seed, 0, slot)
		if start := distinct(seen, func() *Individual { return ops.Start(rng) }); start != nil {
			starts = append(starts, p.point(0, slot, start.Levels, none.ID, "start"))
		}
	}
	return starts
}

func (p *pareto) limit() int64 { return p.ops.space.Constraints[0].Limit }

// leastBudget is that of every layer at its lowest level and no sublayer dropped, if that is within the limit.
func (p *pareto) leastBudget() int64 {
	g := make(Genome, len(p.ops.gate))
	cheapest := p.ops.space.Cost(g)[0]
	for i, isGate := range p.ops.gate {
		if isGate {
			g[i] = Keep
		}
	}
	if cost := p.ops.space.Cost(g)[0]; cost < p.limit() {
		return cost
	}
	return max(cheapest, int64(leastShare*float64(p.limit())))
}

// point numbers a new genome.
func (p *pareto) point(generation, slot int, g Genome, parent int, operator string) *point {
	ind := p.ops.individual(slices.Clone(g))
	return &point{
		Candidate: p.candidate(generation, slot, g, parent, operator), cost: ind.cost[0],
		full: !ind.wasteful() || !ind.anyRaiseFits() && !slices.ContainsFunc(p.ops.gates(), ind.keepFits),
	}
}

// score asks for the scores of members and newcomers, and goes on with those that live.
func (p *pareto) score(generation int, newcomers []*point) {
	pool := append(slices.Clone(p.population), newcomers...)
	p.all = append(p.all, newcomers...)
	p.ask(batchOf(pool, generation, 0, p.settings.Tokens[0]), func(_ []Candidate, fitness []float64) {
		p.learn(pool, fitness, p.settings.Tokens[0])
		p.population = survivors(pool, p.settings.Offspring)
		if generation < p.generations {
			p.score(generation+1, p.breed(generation+1))
			return
		}
		front := survivors(p.all, p.finalists)
		p.ask(batchOf(front, generation, 1, p.settings.lastTokens()), func(_ []Candidate, fitness []float64) {
			p.learn(front, fitness, p.settings.lastTokens())
		})
	})
}

func batchOf(points []*point, generation, stage, tokens int) Batch {
	b := Batch{Generation: generation, Stage: stage, Tokens: tokens}
	for _, each := range points {
		b.Candidates = append(b.Candidates, each.Candidate)
	}
	return b
}

// learn takes the scores of a batch.
func (p *pareto) learn(points []*point, fitness []float64, tokens int) {
	ids := make([]int, len(points))
	for i, each := range points {
		ids[i] = each.ID
	}
	p.estimates.Tell(ids, fitness, tokens)
	for _, each := range points {
		each.fitness = p.estimates.Of(each.ID)
	}
	p.best = champion(points).Candidate
}

// champion is the fittest at the whole budget, or of all if those failed; the first if all failed.
func champion(points []*point) *point {
	class := func(p *point) int {
		switch {
		case math.IsNaN(p.fitness):
			return 2
		case p.full:
			return 0
		}
		return 1
	}
	return slices.MinFunc(points, func(a, b *point) int {
		return cmp.Or(cmp.Compare(class(a), class(b)), cmp.Compare(a.fitness, b.fitness))
	})
}

// survivors are n points at most, the champion among them.
func survivors(points []*point, n int) []*point {
	sorted := slices.Clone(points)
	sortPoints(sorted)
	if len(sorted) > n {
		best := champion(points)
		first := slices.IndexFunc(sorted, func(p *point) bool { return p.rank == sorted[n].rank }) // of those that have not all got a place
		end := n
		for end < len(sorted) && sorted[end].rank == sorted[n].rank {
			end++
		}
		sorted = append(sorted[:first], thinned(sorted[first:end], n-first)...)
		if !slices.Contains(sorted, best) {
			sorted[n-1] = best
		}
	}
	sortPoints(sorted)
	return sorted
}

// breed makes children for budgets that are spread over what the members cost, each a little off its place, the first for the whole.
func (p *pareto) breed(generation int) []*point {
	limit, least := p.limit(), p.limit()
	seen := make(map[string]bool)
	for _, member := range p.population {
		least = min(least, member.cost)
		seen[string(member.Genome)] = true
	}
	var children []*point
	for slot := range p.settings.Offspring {
		rng := Rand(p.seed, generation, slot)
		budget := limit
		if slot > 0 {
			share := (float64(slot) + rng.Float64()) / float64(p.settings.Offspring)
			budget -= int64(share * float64(limit-least))
		}
		ops, near := p.ops.under(budget), p.near(budget)
		var parent *point
		var operator string
		child := distinct(seen, func() (child *Individual) {
			parent = tournamentOf(near, rng)
			child, operator = p.child(ops, parent, tournamentOf(near, rng), rng)
			return child
		})
		if child != nil {
			children = append(children, p.point(generation, slot, child.Levels, parent.ID, operator))
		}
	}
	return children
}

// near are the members whose costs are nearest to a budget.
func (p *pareto) near(budget int64) []*point {
	members := slices.Clone(p.population)
	slices.SortStableFunc(members, func(a, b *point) int {
		return cmp.Compare(max(a.cost-budget, budget-a.cost), max(b.cost-budget, budget-b.cost))
	})
	return members[:min(neighbours, len(members))]
}

// child crosses or mutates parents, or both, under the limit of ops.
func (p *pareto) child(ops *Operators, parent, other *point, rng Random) (*Individual, string) {
	child := ops.individual(slices.Clone(parent.Genome))
	crossed := other != parent && rng.Float64() < crossoverShare
	if crossed {
		child.Crossover(ops.individual(slices.Clone(other.Genome)), rng)
		if rng.Float64() < mutationShare {
			child.Mutate(rng)
		}
		return child, fmt.Sprintf("crossover with %d", other.ID+1)
	}
	ops.axis.repair(child, rng)
	child.Mutate(rng)
	return child, describe(ops.space, parent.Genome, child.Levels)
}

// tournamentOf is the one of two drawn at random that is to live.
func tournamentOf(points []*point, rng Random) *point {
	a, b := points[rng.IntN(len(points))], points[rng.IntN(len(points))]
	if compareFate(b, a) < 0 {
		return b
	}
	return a
}

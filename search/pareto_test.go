package search

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// frontOf is what a finished search has found: of the candidates of its last batch, the least fitness within each budget.
func frontOf(space *Space, asked []Batch, told [][]float64) func(budget int64) float64 {
	last := len(asked) - 1
	return func(budget int64) float64 {
		best := math.Inf(1)
		for i, c := range asked[last].Candidates {
			if space.Cost(c.Genome)[0] <= budget {
				best = min(best, told[last][i])
			}
		}
		return best
	}
}

// Where all allocations can be enumerated, one search comes near to the optimum of every budget.
func TestParetoNearOptimaOfAllBudgets(t *testing.T) {
	space := bytesSpace(1, 5, false)
	damage := func(g Genome, _ Batch) float64 {
		sum := 0.0
		for i, level := range g {
			sum += float64(3+i*i%7) * math.Pow(0.3, float64(level))
		}
		return sum
	}
	limit := space.Constraints[0].Limit
	optima := make([]float64, 8) // of budgets a twentieth of the limit apart
	for k := range optima {
		optima[k] = math.Inf(1)
	}
	g := make(Genome, len(space.Sites))
	for n := range 78125 { // 5^7
		for i := range g {
			g[i] = uint8(n % 5)
			n /= 5
		}
		f, cost := damage(g, Batch{}), space.Cost(g)[0]
		for k := range optima {
			if cost <= limit-int64(k)*limit/20 {
				optima[k] = min(optima[k], f)
			}
		}
	}
	settings := fast
	settings.Offspring, settings.Generations = 32, 200
	for seed := range uint64(4) {
		s := mustNew(t, "pareto", space, settings, seed)
		asked, told := run(t, s, damage)
		found := frontOf(space, asked, told)
		for k, best := range optima {
			if got := found(limit - int64(k)*limit/20); got > 1.25*best {
				t.Errorf("seed %d, %d/20 below the limit: %.4f, the optimum is %.4f", seed, k, got, best)
			}
		}
		if got := damage(s.Best().Genome, Batch{}); got > 1.05*optima[0] {
			t.Errorf("seed %d: the winner has %.4f, the optimum is %.4f", seed, got, optima[0])
		}
	}
}

// With noise, one search for all budgets does better at each than the best of random candidates for that budget with as many tokens as it
// spends on all.
func TestParetoBeatsRandomAtEveryBudget(t *testing.T) {
	for _, gates := range []bool{false, true} {
		space := bytesSpace(4, 4, gates)
		truth := func(g Genome, _ Batch) float64 {
			sum := 0.0
			for i, level := range g {
				switch {
				case space.Sites[i].IsGate():
					sum += float64(9*(1-level)) * float64(1+i%3)
				case space.active(g, i):
					sum += float64(1+i*i%11) * math.Pow(0.4, float64(level))
				}
			}
			return sum
		}
		f := func(g Genome, b Batch) float64 { // the noise is relative, and a part of it is the slice's
			base := truth(g, b)
			slice := noisy(func(Genome, Batch) float64 { return 1 }, 3)(nil, b)
			return base * slice * noisy(func(Genome, Batch) float64 { return 1 }, 0.5)(g, b)
		}
		settings := fast
		settings.Offspring, settings.Generations = 32, 150
		s := mustNew(t, "pareto", space, settings, 1)
		asked, _ := run(t, s, f)
		exact := make([][]float64, len(asked))
		for k, b := range asked {
			for _, c := range b.Candidates {
				exact[k] = append(exact[k], truth(c.Genome, b))
			}
		}
		found := frontOf(space, asked, exact)
		limit := space.Constraints[0].Limit
		for k := range 5 {
			smaller := *space
			smaller.Constraints = slices.Clone(space.Constraints)
			smaller.Constraints[0].Limit = limit - int64(k)*limit/20
			drawn := mustNew(t, "random", &smaller, settings, 1)
			run(t, drawn, f)
			got, random := found(smaller.Constraints[0].Limit), truth(drawn.Best().Genome, Batch{})
			t.Logf("gates %v, budget %d: %.2f, random %.2f", gates, smaller.Constraints[0].Limit, got, random)
			if got >= random {
				t.Errorf("gates %v, budget %d: %.2f, random %.2f", gates, smaller.Constraints[0].Limit, got, random)
			}
		}
	}
}

// The front is spread over the sizes that the levels allow, and the winner fills the budget although a smaller model looks better.
func TestParetoWinnerFillsTheBudget(t *testing.T) {
	space := bytesSpace(2, 4, false)
	s := mustNew(t, "pareto", space, fast, 3)
	asked, _ := run(t, s, func(g Genome, _ Batch) float64 { return float64(1 + space.Cost(g)[0]) })
	cost := func(c Candidate) float64 { return float64(space.Cost(c.Genome)[0]) }
	limit := float64(space.Constraints[0].Limit)
	if got := cost(s.Best()); got < limit*(1-1.0/slackShare) {
		t.Errorf("the winner costs %v of %v", got, limit)
	}
	least := math.Inf(1)
	for _, c := range asked[0].Candidates {
		least = min(least, cost(c))
	}
	if cheapest := cost(Candidate{Genome: make(Genome, len(space.Sites))}); least > 1.01*cheapest {
		t.Errorf("the smallest start costs %v, the cheapest genome %v", least, cheapest)
	}
}

func TestParetoWithoutFiniteScores(t *testing.T) {
	space := intSpace(12, 3.5)
	s := mustNew(t, "pareto", space, fast, 1)
	run(t, s, func(Genome, Batch) float64 { return math.NaN() })
	if !space.Feasible(s.Best().Genome) {
		t.Errorf("all failed: %+v", s.Best())
	}
	s = mustNew(t, "pareto", space, fast, 1)
	asked, _ := run(t, s, func(g Genome, _ Batch) float64 {
		return []float64{math.NaN(), math.Inf(-1), 1, 2, 3}[(int(g[0])+3*int(g[1]))%5]
	})
	last := asked[len(asked)-1]
	for _, c := range last.Candidates {
		if (int(c.Genome[0])+3*int(c.Genome[1]))%5 < 2 {
			t.Errorf("candidate %d failed and is on the front", c.ID)
		}
	}
}

// sortPoints against the definition: a point's rank is the longest chain of points that dominate each other down to it.
func TestSortPoints(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	dominates := func(a, b *point) bool {
		return a.cost <= b.cost && a.fitness <= b.fitness && (a.cost < b.cost || a.fitness < b.fitness)
	}
	for range 200 {
		var points []*point
		for id := range 1 + rng.IntN(30) {
			p := &point{Candidate: Candidate{ID: id}, cost: rng.Int64N(12), fitness: float64(rng.IntN(12)) + float64(id)/100}
			if rng.IntN(8) == 0 {
				p.fitness = math.NaN()
			}
			points = append(points, p)
		}
		sortPoints(points)
		var rank func(p *point) int
		rank = func(p *point) int {
			most := 0
			for _, q := range points {
				if dominates(q, p) {
					most = max(most, rank(q)+1)
				}
			}
			return most
		}
		for i, p := range points {
			if want := rank(p); !math.IsNaN(p.fitness) && p.rank != want {
				t.Fatalf("point %d (%d, %g) has rank %d, want %d", p.ID, p.cost, p.fitness, p.rank, want)
			}
			if i > 0 && compareFate(points[i-1], p) > 0 {
				t.Fatalf("point %d comes before point %d", points[i-1].ID, p.ID)
			}
			if math.IsNaN(p.fitness) && slices.ContainsFunc(points[i:], func(q *point) bool { return !math.IsNaN(q.fitness) }) {
				t.Fatal("a failed point comes before others")
			}
		}
	}
	front := []*point{{cost: 10, fitness: 1}, {cost: 1, fitness: 9}, {cost: 2, fitness: 8}, {cost: 6, fitness: 2}}
	sortPoints(front)
	if got := fmt.Sprint(front[2].cost, front[2].crowding, front[3].cost, front[3].crowding); got != "6 8 2 5" {
		t.Errorf("between the ends are %s", got)
	}
}

func TestEstimates(t *testing.T) {
	var e Estimates
	if !math.IsNaN(e.Of(1)) {
		t.Error("an estimate of nobody")
	}
	e.Tell([]int{1, 2}, []float64{1, 2}, 100)
	e.Tell([]int{1, 2, 3, 4}, []float64{3, 6, 1.5, math.NaN()}, 100) // three times as hard
	for id, want := range map[int]float64{1: 1, 2: 2, 3: 0.5} {
		if got := e.Of(id); math.Abs(got-want) > 1e-12 { // scores agree: there is no error yet
			t.Errorf("candidate %d: %g, want %g", id, got, want)
		}
	}
	e.Tell([]int{4, 5}, []float64{1, 0}, 100)
	if !math.IsNaN(e.Of(4)) || e.Of(5) != 0 {
		t.Errorf("one that failed has %g, and the perfect one %g", e.Of(4), e.Of(5))
	}
	e.Tell([]int{1, 3}, []float64{1, 1}, 300) // candidate 3 was lucky
	if a, b := e.Of(1), e.Of(3); !(b > 0.7*a && b < a) {
		t.Errorf("after 400 and 500 tokens: %g and %g", b, a)
	}
	e.Tell([]int{1, 6}, []float64{1, 1}, 100)
	if a, b := e.Of(1), e.Of(6); !(a < b) {
		t.Errorf("as good on 600 tokens as another on 100: %g and %g", a, b)
	}
}

// The error that estimates are given is that which they have: relative, and 1/√tokens.
func TestEstimatesKnowTheirError(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	var e Estimates
	ids := make([]int, 40)
	for slice := range 30 {
		fitness := make([]float64, len(ids))
		hardness := math.Exp(rng.NormFloat64() / 4)
		for i := range ids {
			ids[i] = i
			fitness[i] = hardness * float64(1+i) * (1 + 0.05*rng.NormFloat64()/math.Sqrt(float64(1+slice%2)))
		}
		e.Tell(ids, fitness, 100*(1+slice%2))
	}
	known := e.of[7]
	if got, want := e.Of(7)/known.fitness-1, 0.05*math.Sqrt(100/known.tokens); math.Abs(got/want-1) > 0.1 {
		t.Errorf("the error is %.4f, want %.4f", got, want)
	}
	for i := range ids {
		if got := e.of[i].fitness / e.of[0].fitness / float64(1+i); math.Abs(got-1) > 0.05 {
			t.Errorf("candidate %d is off by %.3f", i, got-1)
		}
	}
}

// BenchmarkParetoPropose makes the 128 offspring of a generation of 10,000 sites with 16 levels each.
func BenchmarkParetoPropose(b *testing.B) {
	wide := wideSearch(b, true)
	settings := wide.settings
	s, err := newPareto(wide.ops, settings, 1)
	if err != nil {
		b.Fatal(err)
	}
	p := s.(*pareto)
	batch, _ := p.Ask()
	fitness := make([]float64, len(batch.Candidates))
	for i := range fitness {
		fitness[i] = float64(1 + i)
	}
	p.Tell(fitness)
	for generation := 2; b.Loop(); generation++ {
		if n := len(p.breed(generation)); n != 128 {
			b.Fatal(n, "offspring")
		}
	}
}

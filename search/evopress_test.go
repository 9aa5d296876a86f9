package search

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
)

var fast = Settings{Generations: 60, Offspring: 16, Survivors: []int{4, 1}, Tokens: []int{64, 512}, Start: Start{Candidates: 8, Tokens: 64}}

func TestEvoPressFindsPlantedOptima(t *testing.T) {
	spaces := []struct {
		name, group string
		space       *Space
	}{
		{"depth", "", depthSpace(10, 3, 4)},
		{"sparsity", "", sparsitySpace(2, 2)},
		{"bits exact", "", intSpace(12, 4)},
		{"bits between", "", intSpace(12, 3.5)},
		{"k-quants", "none", bytesSpace(2, 4, false)},
		{"joint", "", bytesSpace(2, 3.5, true)},
	}
	landscapes := []struct {
		name string
		make func(Genome) landscape
	}{{"additive", additive}, {"pairwise", pairwise}}
	for _, each := range spaces {
		for _, l := range landscapes {
			t.Run(each.name+"/"+l.name, func(t *testing.T) {
				settings := fast
				settings.Generations, settings.Offspring, settings.Group = 200, 32, each.group
				solved := 0
				for seed := range uint64(5) {
					optimum := plant(t, each.space, seed)
					s := mustNew(t, "evopress", each.space, settings, seed)
					run(t, s, l.make(optimum))
					if slices.Equal(s.Best().Genome, optimum) {
						solved++
					}
				}
				if solved < 5 {
					t.Errorf("%d of 5 seeds found the optimum", solved)
				}
			})
		}
	}
}

// plant draws an optimum on the budget.
func plant(t *testing.T, space *Space, seed uint64) Genome {
	o := mustOperators(t, space, "", "")
	ind := o.Start(Rand(seed, 999, 0))
	for n := range 30 {
		ind.Mutate(Rand(seed, 999, n))
	}
	return ind.Levels
}

func TestEvoPressBeatsRandomOnDeceptiveAndNoisy(t *testing.T) {
	tests := []struct {
		name  string
		space *Space
		make  func(Genome) landscape
	}{
		{"deceptive", intSpace(20, 4), deceptive},
		{"noisy", intSpace(20, 3.5), func(g Genome) landscape { return noisy(additive(g), 20) }},
		{"noisy joint", bytesSpace(3, 3.5, true), func(g Genome) landscape { return noisy(pairwise(g), 20) }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for seed := range uint64(4) {
				optimum := plant(t, test.space, seed)
				truth := additive(optimum)
				if test.name == "deceptive" {
					truth = deceptive(optimum)
				}
				evolved, drawn := mustNew(t, "evopress", test.space, fast, seed), mustNew(t, "random", test.space, fast, seed)
				run(t, evolved, test.make(optimum))
				run(t, drawn, test.make(optimum))
				e, r := truth(evolved.Best().Genome, Batch{}), truth(drawn.Best().Genome, Batch{})
				if e >= r {
					t.Errorf("seed %d: evopress %.1f, random %.1f", seed, e, r)
				}
			}
		})
	}
}

// depthToy is 16 sublayers of which 6 are dropped, with interactions between neighbours, and the optimum of all C(16, 6) = 8008
// ways.
func depthToy() (space *Space, damage landscape, best float64) {
	importance := []float64{9, 4, 1, 3, 2, 5, 1, 2, 3, 4, 2, 1, 3, 2, 6, 8}
	damage = func(g Genome, _ Batch) float64 {
		sum := 0.0
		for i := range g {
			if g[i] == Drop {
				sum += importance[i]
				if i > 0 && g[i-1] == Drop {
					sum += 2.5
				}
			}
		}
		return sum
	}
	space = attentionSpace(16, 6)
	return space, damage, optimum(space, func(g Genome, b Batch) float64 {
		if kept := slices.DeleteFunc(slices.Clone(g), func(l uint8) bool { return l == Drop }); len(kept) < 10 {
			return math.Inf(1)
		}
		return damage(g, b)
	})
}

func TestEvoPressSolvesDepthToy(t *testing.T) {
	space, damage, best := depthToy()
	for seed := range uint64(10) {
		s := mustNew(t, "evopress", space, Settings{}, seed) // the paper's: k(n−k)/1.5 = 40 generations
		asked, _ := run(t, s, damage)
		if got := damage(s.Best().Genome, Batch{}); got != best {
			t.Errorf("seed %d: %v after %d batches, the optimum is %v", seed, got, len(asked), best)
		}
		if len(asked) != 1+40*2 {
			t.Errorf("seed %d: %d batches, want the start and 40 generations of 2 stages", seed, len(asked))
		}
	}
}

// With uneven steps the optimum of a knapsack is known by enumeration.
func TestEvoPressNearKnapsackOptimum(t *testing.T) {
	space := bytesSpace(1, 3.9, false)
	damage := func(g Genome, _ Batch) float64 {
		sum := 0.0
		for i, level := range g {
			sum += float64(3+i*i%7) * math.Pow(0.3, float64(level))
		}
		return sum
	}
	best := math.Inf(1)
	g := make(Genome, len(space.Sites))
	for n := range 78125 { // 5^7
		for i := range g {
			g[i] = uint8(n % 5)
			n /= 5
		}
		if space.Feasible(g) {
			best = min(best, damage(g, Batch{}))
		}
	}
	for _, group := range []string{"size", "none"} {
		settings := fast
		settings.Group, settings.Generations = group, 100
		for seed := range uint64(5) {
			s := mustNew(t, "evopress", space, settings, seed)
			run(t, s, damage)
			if got := damage(s.Best().Genome, Batch{}); got > 1.05*best {
				t.Errorf("group %s seed %d: %.4f, the optimum is %.4f", group, seed, got, best)
			}
		}
	}
}

func TestEvoPressProtocol(t *testing.T) {
	space := bytesSpace(3, 3.6, true)
	settings := Settings{Generations: 7, Offspring: 12, Survivors: []int{1, 1, 1}, Tokens: []int{10, 20, 30}, Start: Start{Candidates: 5, Tokens: 4}}
	s := mustNew(t, "evopress", space, settings, 3)
	if s.Best().ID != -1 {
		t.Errorf("best before the first scores: %+v", s.Best())
	}
	asked, told := run(t, s, additive(plant(t, space, 3)))
	if len(asked) != 1+7*3 {
		t.Fatalf("%d batches, want 22", len(asked))
	}
	genomes := map[int]Genome{}
	next, parent := 0, -1
	for k, b := range asked {
		generation, stage := (k+2)/3, (k+2)%3
		if k == 0 {
			generation, stage = 0, 0
		}
		tokens := []int{10, 20, 30}[stage]
		if k == 0 {
			tokens = 4
		}
		if b.Generation != generation || b.Stage != stage || b.Tokens != tokens {
			t.Fatalf("batch %d is generation %d stage %d on %d tokens", k, b.Generation, b.Stage, b.Tokens)
		}
		want := []int{12, 1, 2}[stage] // elitism by stage, although every stage keeps one
		if k == 0 {
			want = 5
		}
		if len(b.Candidates) != want {
			t.Fatalf("batch %d has %d candidates, want %d", k, len(b.Candidates), want)
		}
		seen := map[string]bool{}
		for slot, c := range b.Candidates {
			if !space.Feasible(c.Genome) {
				t.Fatalf("candidate %d is over budget", c.ID)
			}
			if seen[c.Genome.String()] {
				t.Fatalf("batch %d repeats a genome", k)
			}
			seen[c.Genome.String()] = true
			if stage > 0 {
				continue
			}
			if c.ID != next || c.Slot != slot || c.Generation != generation || c.Parent != parent {
				t.Fatalf("batch %d slot %d is %+v, want ID %d of parent %d", k, slot, c, next, parent)
			}
			if c.Operator == "" || c.Parent >= 0 && slices.Equal(c.Genome, genomes[c.Parent]) {
				t.Fatalf("candidate %d is its parent: %q", c.ID, c.Operator)
			}
			genomes[c.ID] = c.Genome
			next++
		}
		if stage == 2 && b.Candidates[1].ID != parent {
			t.Fatalf("batch %d: the parent %d is not scored again", k, parent)
		}
		if k == 0 || stage == 2 {
			least := slices.Index(told[k], slices.Min(told[k]))
			parent = b.Candidates[least].ID
		}
	}
	if s.Best().ID != parent {
		t.Errorf("the winner is %d, the final parent %d", s.Best().ID, parent)
	}
	if _, ok := s.Ask(); ok {
		t.Error("asked on after the end")
	}
}

func TestAskRepeatsUntilTold(t *testing.T) {
	for _, method := range Methods() {
		space := intSpace(6, 3.5)
		switch axes := axesOf[method.Name]; {
		case axes == nil || slices.Contains(axes, Bits):
		case slices.Contains(axes, Sparsity):
			space = sparsitySpace(2, 2)
		default:
			space = depthSpace(4, 1, 2) // which brute enumerates, too
		}
		s := mustNew(t, method.Name, space, withImportance(space), 1)
		mustPanic(t, "Tell without Ask", func() { s.Tell(nil) })
		a, _ := s.Ask()
		b, _ := s.Ask()
		if fmt.Sprint(a) != fmt.Sprint(b) {
			t.Errorf("%s: two asks differ", method.Name)
		}
		mustPanic(t, "a short Tell", func() { s.Tell(make([]float64, len(a.Candidates)+1)) })
		s.Tell(make([]float64, len(a.Candidates)))
		mustPanic(t, "a second Tell", func() { s.Tell(make([]float64, len(a.Candidates))) })
	}
}

func mustPanic(t *testing.T, what string, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Errorf("%s did not panic", what)
		}
	}()
	f()
}

func TestFailedCandidatesAreNeverSelected(t *testing.T) {
	space := intSpace(12, 3.5)
	broken := func(g Genome, b Batch) float64 { // a third of candidates fail, each failure below every score
		return []float64{math.NaN(), math.Inf(-1), math.Inf(1), 1, 2, 3, 4, 5, 6}[(int(g[0])+3*int(g[1])+5*int(g[2]))%9]
	}
	s := mustNew(t, "evopress", space, fast, 1)
	asked, told := run(t, s, broken)
	for k, b := range asked {
		if b.Stage == 0 {
			continue
		}
		for _, c := range b.Candidates {
			for i, earlier := range asked[k-1].Candidates {
				if f := told[k-1][i]; c.ID == earlier.ID && (math.IsNaN(f) || math.IsInf(f, 0)) {
					t.Fatalf("candidate %d failed and was selected", c.ID)
				}
			}
		}
	}
	if f := broken(s.Best().Genome, Batch{}); math.IsNaN(f) || math.IsInf(f, 0) {
		t.Errorf("the winner scores %v", f)
	}

	s = mustNew(t, "evopress", space, fast, 1)
	asked, _ = run(t, s, func(Genome, Batch) float64 { return math.NaN() })
	if s.Best().ID != 0 || len(asked) != 1+2*fast.Generations {
		t.Errorf("all failed: best %d after %d batches, want the first start and the full course", s.Best().ID, len(asked))
	}
}

func TestTiesGoToTheChild(t *testing.T) {
	s := mustNew(t, "evopress", intSpace(12, 4), fast, 1)
	run(t, s, func(Genome, Batch) float64 { return 1 })
	if s.Best().Generation != fast.Generations {
		t.Errorf("on a plateau the winner is of generation %d, want a drift to the last", s.Best().Generation)
	}
}

func TestExhaustedSpaceEnds(t *testing.T) {
	for _, space := range []*Space{attentionSpace(4, 0), attentionSpace(4, 1), intSpace(1, 3), intSpace(2, 2)} {
		s := mustNew(t, "evopress", space, fast, 1)
		asked, _ := run(t, s, func(g Genome, _ Batch) float64 { return float64(g[0]) })
		if last := asked[len(asked)-1]; last.Generation != fast.Generations {
			t.Errorf("ended in generation %d", last.Generation)
		}
	}
}

func TestWarmStart(t *testing.T) {
	space := bytesSpace(2, 3.5, true)
	settings := fast
	settings.Start.Genome = plant(t, space, 5)
	b, _ := mustNew(t, "evopress", space, settings, 1).Ask()
	if len(b.Candidates) != 1 || !slices.Equal(b.Candidates[0].Genome, settings.Start.Genome) {
		t.Errorf("starts: %+v", b.Candidates)
	}
	for i := range settings.Start.Genome {
		settings.Start.Genome[i] = uint8(len(space.Sites[i].Levels) - 1)
	}
	if _, err := New("evopress", space, settings, 1); err == nil || !strings.Contains(err.Error(), "another budget") {
		t.Errorf("a start over the budget: %v", err)
	}
}

func TestDescribe(t *testing.T) {
	space := bytesSpace(2, 4, true)
	parent := slices.Repeat(Genome{1}, len(space.Sites))
	child := slices.Clone(parent)
	child[2], child[1] = 2, Drop
	child[6], child[7], child[8] = 0, 0, 0
	if got, want := describe(space, parent, child), "blk.0.mlp keep>drop, blk.0.attn_q q3_k>q4_k"; got != want {
		t.Errorf("describe = %q, want %q", got, want)
	}
	for i := 11; i < 17; i++ {
		child[i] = 3
	}
	if got := describe(space, parent, child); !strings.HasSuffix(got, ", +4 more") {
		t.Errorf("describe = %q", got)
	}
}

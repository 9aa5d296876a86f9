package search

import (
	"fmt"
	mathrand "math/rand"
	"math/rand/v2"
	"slices"
	"testing"
)

var (
	_ Random = (*rand.Rand)(nil)
	_ Random = Intn((*mathrand.Rand)(nil))
)

// checkIndividual is what must hold of every individual between operators.
func checkIndividual(t *testing.T, ind *Individual, what string) {
	t.Helper()
	s := ind.Space
	if !s.Feasible(ind.Levels) {
		t.Fatalf("%s: %v costs %v, over a limit of %v", what, ind.Levels, s.Cost(ind.Levels), s.Constraints)
	}
	if !slices.Equal(ind.cost, s.Cost(ind.Levels)) {
		t.Fatalf("%s: costs %v kept, %v true", what, ind.cost, s.Cost(ind.Levels))
	}
	if !slices.Equal(ind.Levels, s.Canonical(ind.Levels)) {
		t.Fatalf("%s: %v is not canonical", what, ind.Levels)
	}
	if len(ind.log) != 0 {
		t.Fatalf("%s: a log of %d changes is left", what, len(ind.log))
	}
}

// checkSpent: no more than 0.5 % of the first limit is unused if a layer or a sublayer could still use it.
func checkSpent(t *testing.T, ind *Individual, what string) {
	t.Helper()
	limit := ind.Space.Constraints[0].Limit
	if ind.slack()*slackShare <= limit {
		return
	}
	for i := range ind.Levels {
		trial := slices.Clone(ind.Levels)
		if ind.canRaise(i) || ind.dropped(i) {
			trial[i]++
			// A step without a cost spends nothing.
			if ind.Space.Feasible(trial) && ind.Space.Cost(trial)[0] > ind.cost[0] {
				t.Fatalf("%s: %d of %d unused and %s can be raised", what, ind.slack(), limit, ind.Space.Sites[i].Name)
			}
		}
	}
}

func axes(s *Space) []string {
	all := []string{Sparsity, Bits, Joint}
	for i := range s.Sites {
		if s.Sites[i].IsGate() {
			return append(all, Depth)
		}
	}
	return all
}

func TestOperatorsStayWithinRandomBudgets(t *testing.T) {
	for seed := range 300 {
		rng := Rand(uint64(seed), 0, 0)
		space := randomSpace(rng)
		for _, axis := range axes(space) {
			for _, group := range []string{"size", "name", "none"} {
				what := fmt.Sprintf("seed %d %s %s", seed, axis, group)
				o := mustOperators(t, space, axis, group)
				a, b := o.Start(rng), o.Sample(rng)
				checkIndividual(t, a, what+" start")
				checkIndividual(t, b, what+" sample")
				for range 10 {
					before := b.Clone()
					a.Mutate(rng)
					checkIndividual(t, a, what+" mutate")
					if axis == Joint {
						checkSpent(t, a, what+" mutate")
					}
					a.Crossover(b, rng)
					checkIndividual(t, a, what+" crossover")
					checkIndividual(t, b, what+" crossover")
					checkIndividual(t, before, what+" clone")
				}
			}
		}
	}
}

func TestDepthDropsExactly(t *testing.T) {
	space := depthSpace(12, 3, 5)
	o := mustOperators(t, space, "", "")
	count := func(ind *Individual) (attn, mlp int) {
		for i := 0; i < len(ind.Levels); i += 2 {
			attn, mlp = attn+1-int(ind.Levels[i]), mlp+1-int(ind.Levels[i+1])
		}
		return attn, mlp
	}
	rng := Rand(1, 0, 0)
	ind, other := o.Start(rng), o.Sample(rng)
	for range 500 {
		before := slices.Clone(ind.Levels)
		ind.Mutate(rng)
		if n := distance(before, ind.Levels); n > 6 {
			t.Fatalf("a mutation changed %d gates, at most three exchanges are allowed", n)
		}
		ind.Crossover(other, rng)
		for _, each := range []*Individual{ind, other} {
			if attn, mlp := count(each); attn != 3 || mlp != 5 {
				t.Fatalf("dropped %d attention and %d MLP sublayers, want 3 and 5", attn, mlp)
			}
		}
	}
}

func TestSparsityKeepsTheBudgetExactly(t *testing.T) {
	space := sparsitySpace(3, 4)
	o := mustOperators(t, space, "", "")
	ind := o.Start(Rand(1, 0, 0))
	for i, level := range ind.Levels {
		if level != 4 {
			t.Fatalf("%s starts at level %d, want the centre 4", space.Sites[i].Name, level)
		}
	}
	sizes := map[int64]bool{}
	for n := range 500 {
		ind.Mutate(Rand(1, 1, n))
		if ind.slack() != 0 {
			t.Fatalf("after %d mutations %d of the budget are unused", n, ind.slack())
		}
	}
	for i, level := range ind.Levels {
		if level != 4 {
			sizes[space.Sites[i].Weights] = true
		}
	}
	if len(sizes) != 3 {
		t.Errorf("layers of %d sizes traded, want 3", len(sizes))
	}
}

// Shares of each layer are rounded, so a limit may lie a few weights below the centre.
func TestSparsityStartsNextToARoundedLimit(t *testing.T) {
	space := sparsitySpace(3, 4)
	space.Constraints[0].Limit--
	ind := mustOperators(t, space, "", "").Start(Rand(1, 0, 0))
	if n := distance(ind.Levels, slices.Repeat(Genome{4}, len(ind.Levels))); n != 1 {
		t.Errorf("%d layers start off the centre, want 1: %v", n, ind.Levels)
	}
}

func TestBitsStart(t *testing.T) {
	exact := mustOperators(t, intSpace(8, 3), "", "")
	if got := exact.Start(Rand(1, 0, 0)).Levels; !slices.Equal(got, Genome{1, 1, 1, 1, 1, 1, 1, 1}) {
		t.Errorf("a budget of 3 bits starts at %v, want 3 bits everywhere", got)
	}
	between := mustOperators(t, intSpace(8, 3.5), "", "")
	seen := map[string]bool{}
	for slot := range 20 {
		ind := between.Start(Rand(1, 0, slot))
		if ind.slack() != 0 {
			t.Errorf("start %v leaves %d bits", ind.Levels, ind.slack())
		}
		if slices.Max(ind.Levels) > 2 {
			t.Errorf("start %v is above the ceiling of 4 bits", ind.Levels)
		}
		seen[ind.Levels.String()] = true
	}
	if len(seen) < 10 {
		t.Errorf("20 random starts, %d distinct", len(seen))
	}
}

func TestGroupRules(t *testing.T) {
	space := bytesSpace(4, 3.4375, false) // q3_k everywhere, exactly
	sum := func(g Genome, of func(*Site) bool) (n int) {
		for i, level := range g {
			if of(&space.Sites[i]) {
				n += int(level)
			}
		}
		return n
	}
	small := func(s *Site) bool { return s.Weights == 1024 }
	for _, group := range []string{"size", "name", "none"} {
		o := mustOperators(t, space, Bits, group)
		moved := 0
		for n := range 300 {
			ind := o.Start(Rand(1, 0, 0))
			start := slices.Clone(ind.Levels)
			ind.Mutate(Rand(1, 1, n))
			checkIndividual(t, ind, group)
			if sum(ind.Levels, small) != sum(start, small) {
				moved++
			}
		}
		if group == "none" && moved == 0 {
			t.Error("with rule none, small layers never traded with large ones")
		}
	}
	if _, err := NewOperators(space, Bits, "colour"); err == nil {
		t.Error("an unknown group rule was accepted")
	}
}

func TestKeptSublayerReturnsAtBaseLevels(t *testing.T) {
	o := mustOperators(t, bytesSpace(4, 4.6, true), "", "") // q4_k is the best uniform level
	ind := o.Start(Rand(1, 0, 0))
	ind.drop(0)
	ind.keep(0)
	if got := ind.Levels[2:6]; !slices.Equal(got, Genome{2, 2, 2, 2}) {
		t.Errorf("attention came back at %v, want q4_k", got)
	}
}

func TestCrossoverMixes(t *testing.T) {
	o := mustOperators(t, intSpace(40, 4), "", "")
	a, b := o.individual(make(Genome, 40)), o.individual(slices.Repeat(Genome{2}, 40))
	a.Crossover(b, Rand(3, 0, 0))
	if n := distance(b.Levels, slices.Repeat(Genome{2}, 40)); n == 0 || n == 40 {
		t.Errorf("%d of 40 sites exchanged", n)
	}
	defer func() {
		if recover() == nil {
			t.Error("individuals of different operators crossed")
		}
	}()
	a.Crossover(mustOperators(t, intSpace(40, 4), "", "").Start(Rand(1, 0, 0)), Rand(3, 0, 0))
}

func TestDetectAxis(t *testing.T) {
	tests := []struct {
		space *Space
		want  string
	}{
		{depthSpace(2, 1, 1), Depth}, {sparsitySpace(2, 2), Sparsity}, {bytesSpace(2, 4, false), Bits}, {bytesSpace(2, 4, true), Joint},
	}
	for _, test := range tests {
		if got := DetectAxis(test.space); got != test.want {
			t.Errorf("DetectAxis = %s, want %s", got, test.want)
		}
	}
	if _, err := NewOperators(intSpace(2, 3), Depth, ""); err == nil {
		t.Error("depth axis accepted without gates")
	}
	if _, err := NewOperators(intSpace(2, 3), "width", ""); err == nil {
		t.Error("unknown axis accepted")
	}
}

func TestUniformFallsBackByCostPerWeight(t *testing.T) {
	space := bytesSpace(2, 3.4375, false)
	// The last layer lacks K-quants, as a width that is no multiple of 256 does.
	last := &space.Sites[len(space.Sites)-1]
	last.Levels = []Level{{"q4_0", []int64{last.Weights / 32 * 18}}, {"q8_0", []int64{last.Weights / 32 * 34}}}
	for _, u := range uniforms(space) {
		got := last.Levels[u.genome[len(u.genome)-1]].Name
		if want := "q4_0"; got != want { // q6_k has 6.56 bits, q8_0 8.5
			t.Errorf("%s takes %s, want %s", u.name, got, want)
		}
	}
}

// A second cost need not rise with the level: here only the way through a step that saves nothing leads to the limit.
func TestRepairPassesStepsThatDoNotHelp(t *testing.T) {
	space := &Space{
		Sites: []Site{{Name: "blk.0.ffn_up", Gate: -1, Levels: []Level{
			{"a", []int64{1, 2}}, {"b", []int64{2, 9}}, {"c", []int64{3, 9}},
		}}},
		Constraints: []Constraint{{Name: "bytes", Limit: 3}, {Name: "latency", Limit: 5}},
	}
	ind := mustOperators(t, space, Joint, "").individual(Genome{2})
	ind.lowerToBudget(Rand(1, 0, 0))
	if ind.Levels[0] != 0 || !ind.fits() {
		t.Errorf("repaired to level %d", ind.Levels[0])
	}
}

func TestPick(t *testing.T) {
	rng := Rand(1, 0, 0)
	if got := pick(rng, 1_000_000, func(i int) bool { return i == 77 }); got != 77 {
		t.Errorf("the one eligible of a million: %d", got)
	}
	if got := pick(rng, 10, func(int) bool { return false }); got != -1 {
		t.Errorf("none eligible: %d", got)
	}
	if got := pick(rng, 0, func(int) bool { return true }); got != -1 {
		t.Errorf("empty: %d", got)
	}
}

func TestRandStreamsDiffer(t *testing.T) {
	seen := map[uint64]string{}
	for seed := range uint64(8) {
		for generation := range 8 {
			for slot := -8; slot < 8; slot++ {
				key := fmt.Sprint(seed, generation, slot)
				draw := Rand(seed, generation, slot).Uint64()
				if other, ok := seen[draw]; ok {
					t.Fatalf("(%s) and (%s) draw the same", key, other)
				}
				seen[draw] = key
			}
		}
	}
	if SliceRand(1, 2, 3).Uint64() != Rand(1, 2, -4).Uint64() {
		t.Error("SliceRand must use the slots below 0")
	}
	if got := Intn(mathrand.New(mathrand.NewSource(1))).IntN(10); got < 0 || got > 9 {
		t.Errorf("adapter drew %d of [0, 10)", got)
	}
}

func distance(a, b Genome) (n int) {
	for i := range a {
		if a[i] != b[i] {
			n++
		}
	}
	return n
}

package search

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// separable is a landscape whose damages add up, as methods that measure single sites suppose.
func separable(space *Space, seed uint64) landscape {
	rng := rand.New(rand.NewPCG(seed, 1))
	table := make([][]float64, len(space.Sites))
	for i := range table {
		site := &space.Sites[i]
		table[i] = make([]float64, len(site.Levels))
		sensitivity := math.Exp(2 * rng.NormFloat64())
		if site.IsGate() {
			sensitivity *= 8 // to drop a sublayer is worse than to store it badly
		}
		for l := len(site.Levels) - 2; l >= 0; l-- {
			table[i][l] = table[i][l+1] + sensitivity*rng.Float64()*math.Pow(0.3, float64(l))
		}
	}
	return func(g Genome, _ Batch) float64 {
		sum := 1.0
		for i, level := range g {
			if space.active(g, i) {
				sum += table[i][level]
			}
		}
		return sum
	}
}

// optimum is the least fitness over all feasible genomes.
func optimum(space *Space, f landscape) float64 {
	best := math.Inf(1)
	g := make(Genome, len(space.Sites))
	for {
		if space.within(space.Cost(g)) {
			best = min(best, f(space.Canonical(g), Batch{}))
		}
		i := 0
		for ; i < len(g); i++ {
			if int(g[i])+1 < len(space.Sites[i].Levels) {
				g[i]++
				break
			}
			g[i] = 0
		}
		if i == len(g) {
			return best
		}
	}
}

// Where damages add up and costs are whole units, dynamic programming is exact; the others come near.
func TestSeparableMethodsOnAdditiveDamages(t *testing.T) {
	small := func(gates bool) *Space { // one layer and perhaps one gate in each of four sublayers
		space := intSpace(4, 3.5)
		if gates {
			for i := range 4 {
				space.Sites = append(space.Sites, Site{Name: string(rune('a' + i)), Kind: "mlp", Block: i, Gate: -1, Levels: gateLevels([]int64{512})})
				space.Sites[i].Gate = 4 + i
			}
		}
		return space
	}
	within := map[string]float64{"dp": 1 + 1e-12, "lagrangian": 1.1, "greedy": 1.15}
	for _, each := range []struct {
		name  string
		space *Space
	}{{"bits", small(false)}, {"joint", small(true)}, {"depth", depthSpace(4, 1, 2)}, {"k-quants", bytesSpace(1, 3.9, false)}} {
		worst := map[string]float64{}
		for seed := range uint64(20) {
			f := separable(each.space, seed)
			best := optimum(each.space, f)
			for method := range within {
				s := mustNew(t, method, each.space, fast, seed)
				run(t, s, f)
				worst[method] = max(worst[method], f(s.Best().Genome, Batch{})/best)
			}
		}
		for method, limit := range within {
			if worst[method] > limit {
				t.Errorf("%s on %s: %.6f times the optimum at worst, want %.3f", method, each.name, worst[method], limit)
			}
		}
	}
}

// A level that cannot be scored is taken only where nothing else fits.
func TestFailedProbesAreAvoided(t *testing.T) {
	space := intSpace(8, 4)
	f := func(g Genome, b Batch) float64 {
		sum := 1.0
		for i, level := range g {
			if level == 0 || i == 3 && level == 1 {
				return math.NaN()
			}
			sum += float64(i+1) * math.Pow(0.3, float64(level))
		}
		return sum
	}
	for _, method := range []string{"greedy", "dp", "lagrangian"} {
		s := mustNew(t, method, space, fast, 1)
		run(t, s, f)
		if math.IsNaN(f(s.Best().Genome, Batch{})) {
			t.Errorf("%s chose %v", method, s.Best().Genome)
		}
	}
}

func TestMeasurementsMustBeAffordable(t *testing.T) {
	settings := fast
	settings.Generations, settings.Offspring = 1, 4
	_, err := New("dp", intSpace(100, 3.5), settings, 1)
	if err == nil || !strings.Contains(err.Error(), "401 measurements of single sites need 26176 tokens") {
		t.Errorf("%v", err)
	}
	settings = fast
	settings.Generations = 4000
	b, _ := mustNew(t, "dp", intSpace(100, 3.5), settings, 1).Ask()
	if b.Tokens != 512 || len(b.Candidates) != 401 || !b.Probe {
		t.Errorf("%d candidates on %d tokens: where it can afford the last stage's, it takes them", len(b.Candidates), b.Tokens)
	}
}

func TestLocalErrorsAreChecked(t *testing.T) {
	space := intSpace(2, 3.5)
	for name, errors := range map[string][][]float64{
		"layers": {{1, 1, 1, 1, 1}}, "levels": {{1}, {1}}, "NaN": {{1, 1, 1, 1, math.NaN()}, {1, 1, 1, 1, 1}},
	} {
		settings := fast
		settings.LocalErrors = errors
		if _, err := New("dp-local", space, settings, 1); err == nil || !strings.Contains(err.Error(), "local errors of") {
			t.Errorf("%s: %v", name, err)
		}
	}
	// The second layer is ten times as sensitive.
	settings := fast
	settings.LocalErrors = [][]float64{{.5, .2, .1, .05, 0}, {5, 2, 1, .5, 0}}
	b, ok := mustNew(t, "dp-local", space, settings, 1).Ask()
	if want := (Genome{0, 3}); !ok || b.Tokens != 512 || b.Candidates[0].Genome.String() != want.String() {
		t.Errorf("%+v, want %v", b, want)
	}
}

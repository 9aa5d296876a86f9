package search

import (
	"fmt"
	"slices"
	"testing"
)

// apartLevels are bytes per 256 weights and the kept share of weights: between quantized and sparse levels the two costs pull apart.
var apartLevels = []struct {
	name  string
	bytes int64
	kept  float64
}{{"q2_k", 84, 1}, {"sparse-0.75+q4_0", 68, 0.25}, {"sparse-0.50+q4_0", 104, 0.5}, {"q3_k", 110, 1}, {"q4_k", 144, 1}, {"sparse-0.50+q8_0", 168, 0.5}, {"q6_k", 210, 1}}

// apartSpace bounds bits per weight and the share of zeros at once.
func apartSpace(blocks int, bitsPerWeight, sparsity float64, gates bool) *Space {
	s := bytesSpace(blocks, bitsPerWeight, gates)
	weights := int64(0)
	for i := range s.Sites {
		site := &s.Sites[i]
		if site.IsGate() {
			site.Levels = gateLevels([]int64{256, 0})
			continue
		}
		weights += site.Weights
		site.Levels = nil
		for _, l := range apartLevels {
			site.Levels = append(site.Levels, Level{l.name, []int64{site.Weights / 256 * l.bytes, int64(l.kept * float64(site.Weights))}})
		}
		slices.SortFunc(site.Levels, func(a, b Level) int { return int(a.Costs[0] - b.Costs[0]) })
	}
	s.Constraints = append(s.Constraints, Constraint{Name: "non-zeros", Limit: weights - int64(sparsity*float64(weights))})
	return s
}

// Bytes and zeros bound at once: what is cheapest in one is not in the other. Every method stays within both, uses what there is, and
// drops nothing where levels do.
func TestLimitsThatPullApart(t *testing.T) {
	for _, gates := range []bool{false, true} {
		for _, test := range []struct{ bits, sparsity float64 }{{3.3, 0.3}, {2.7, 0.5}, {5, 0.45}, {3.25, 0.5}} {
			space := apartSpace(3, test.bits, test.sparsity, gates)
			if err := space.Validate(); err != nil {
				t.Fatalf("%+v: %v", test, err)
			}
			optimum := make(Genome, len(space.Sites))
			for i := range optimum {
				optimum[i] = uint8(len(space.Sites[i].Levels) - 1)
			}
			f := additive(optimum)
			fitness := map[string]float64{}
			for _, method := range []string{"evopress", "greedy", "dp", "lagrangian", "annealing", "genetic", "random", "uniform"} {
				what := fmt.Sprintf("%v bits, %v zeros, gates %v, %s", test.bits, test.sparsity, gates, method)
				settings := Settings{Generations: 30, Offspring: 8, Survivors: []int{4, 1}, Tokens: []int{64, 512}}
				settings = settings.standIns(space)
				s := mustNew(t, method, space, settings, 3)
				asked, _ := run(t, s, f)
				for _, b := range asked {
					for _, c := range b.Candidates {
						if !b.Probe && !space.Feasible(c.Genome) {
							t.Fatalf("%s: %v costs %v", what, c.Genome, space.Cost(c.Genome))
						}
					}
				}
				o := mustOperators(t, space, "", "")
				best := o.individual(s.Best().Genome)
				checkSpent(t, best, what)
				fitness[method] = f(best.Levels, Batch{})
				if !gates {
					continue
				}
				for _, gate := range o.gates() {
					if best.dropped(gate) && method == "uniform" {
						t.Errorf("%s: %s is dropped", what, space.Sites[gate].Name)
					}
				}
			}
			for _, method := range []string{"evopress", "greedy", "dp", "lagrangian", "genetic"} {
				if fitness[method] >= fitness["uniform"] {
					t.Errorf("%+v, gates %v: %v", test, gates, fitness)
				}
			}
		}
	}
}

// Where no single level is within two limits, the baseline mixes levels before it drops sublayers, and drops what has to be dropped by
// importance.
func TestUniformBetweenTwoLimits(t *testing.T) {
	for _, drops := range []int{0, 2} {
		space := apartSpace(6, 2.9, 0.1, true)
		for i := range space.Sites {
			site := &space.Sites[i]
			site.Levels = slices.DeleteFunc(site.Levels, func(l Level) bool { return l.Name == "sparse-0.75+q4_0" })
			for l := range site.Levels {
				kept := int64(0)
				if site.Kind == "mlp" && l == Keep {
					kept = 1
				}
				site.Levels[l].Costs = append(site.Levels[l].Costs, kept)
			}
		}
		space.Constraints = append(space.Constraints, Constraint{Name: "MLP", Limit: int64(6 - drops)})
		o := mustOperators(t, space, "", "")
		if drops == 0 && o.admits(&o.base) {
			t.Errorf("%s everywhere is within the limits", o.base.name)
		}
		importance := make([]float64, 12)
		for k := range importance {
			importance[k] = float64((k*5 + 3) % 12)
		}
		b, _ := mustNew(t, "uniform", space, Settings{Importance: importance}, 1).Ask()
		g := b.Candidates[0].Genome
		if !space.Feasible(g) {
			t.Errorf("%v costs %v", g, space.Cost(g))
		}
		var want, got []int
		for _, gate := range o.ranked(importance) {
			if space.Sites[gate].Kind == "mlp" && len(want) < drops {
				want = append(want, gate)
			}
			if g[gate] == Drop {
				got = append(got, gate)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%d drops are demanded, the gates %v drop, want %v", drops, got, want)
		}
	}
}

// A number of drops beside a size: as many sublayers are dropped as must be and no more, those that come back have the levels that
// the others have, and a mutation that exchanges two leaves most layers as they are.
func TestSizeAndDrops(t *testing.T) {
	const blocks, dropped = 12, 3
	space := bytesSpace(blocks, 4.6*(blocks-dropped)/blocks, true)
	for i := range space.Sites {
		site := &space.Sites[i]
		for l := range site.Levels {
			kept := []int64{0, 0}
			if site.IsGate() && l == Keep {
				kept[site.Gate+1+i%9] = 1 // nine sites to a block, the first two its gates
			}
			site.Levels[l].Costs = append(site.Levels[l].Costs, kept...)
		}
	}
	space.Constraints = append(space.Constraints, Constraint{Name: "attention", Limit: blocks - dropped}, Constraint{Name: "MLP", Limit: blocks - dropped})
	o := mustOperators(t, space, "", "")
	if o.base.name != "q4_k" || o.ceil.name != "q5_k" {
		t.Errorf("the uniform levels around the budget are %s and %s, want q4_k and q5_k", o.base.name, o.ceil.name)
	}
	exchanges, changes := 0, 0
	for n := range 200 {
		ind := o.Start(Rand(1, 0, n))
		before := slices.Clone(ind.Levels)
		ind.Mutate(Rand(1, 1, n))
		checkIndividual(t, ind, "mutated")
		checkSpent(t, ind, "mutated")
		gates, layers := 0, 0
		for i := range before {
			switch gate := space.Sites[i].Gate; {
			case before[i] == ind.Levels[i]:
			case o.gate[i]:
				gates++
			case before[gate] == ind.Levels[gate]:
				layers++
			}
		}
		if gates == 2 && ind.cost[1] == blocks-dropped && ind.cost[2] == blocks-dropped {
			exchanges, changes = exchanges+1, changes+layers
		}
	}
	if exchanges < 10 || changes > 5*exchanges {
		t.Errorf("%d exchanges of sublayers changed %d levels elsewhere", exchanges, changes)
	}
}

// In small spaces with random costs there is hardly a budget that can be met and is taken for one that cannot.
func TestHavensAreFound(t *testing.T) {
	met, missed := 0, 0
	for seed := range 3000 {
		rng := Rand(uint64(seed), 1, 0)
		space := randomSpace(rng)
		if len(space.Sites) > 9 || !space.pullApart() {
			continue
		}
		// Any genome makes limits that it meets.
		planted := make(Genome, len(space.Sites))
		for i := range planted {
			planted[i] = uint8(rng.IntN(len(space.Sites[i].Levels)))
			if space.Sites[i].IsGate() {
				planted[i] = Keep
			}
		}
		for c, cost := range space.Cost(planted) {
			space.Constraints[c].Limit = cost + cost/50
		}
		switch _, err := newOperators(space); {
		case err == nil:
			met++
		default:
			missed++
		}
	}
	t.Logf("%d budgets met, %d not", met, missed)
	if met < 200 || missed*20 > met {
		t.Errorf("%d budgets were met, %d could have been", met, missed)
	}
}

package search

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// quadratic is a landscape as the surrogate supposes it, with the damages and the matrix that it does not know.
func quadratic(o *Operators, rng *rand.Rand) (d damages, f func(Genome) float64) {
	n := len(o.space.Sites)
	d = make(damages, n)
	for i := range d {
		levels := len(o.space.Sites[i].Levels)
		d[i] = make([]float64, levels)
		for l := levels - 2; l >= 0; l-- {
			d[i][l] = d[i][l+1] + 0.01 + 0.05*rng.Float64()
		}
	}
	a := make([]float64, n*n)
	for i := range n {
		for j := range i {
			a[i*n+j] = 0.15 * rng.NormFloat64()
			a[j*n+i] = a[i*n+j]
		}
	}
	s := newSurrogate(o, d)
	s.a = a
	return d, s.predict
}

// Told enough differences, the surrogate knows differences that it was not told.
func TestSurrogateLearnsPairs(t *testing.T) {
	for _, each := range []struct {
		name  string
		space *Space
	}{{"bits", intSpace(3, 3.5)}, {"depth", depthSpace(8, 2, 2)}, {"joint", bytesSpace(2, 3.5, true)}} {
		t.Run(each.name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, 2))
			o := mustOperators(t, each.space, "", "none")
			d, f := quadratic(o, rng)
			s := newSurrogate(o, d)
			parent := o.Sample(rng).Levels
			errorOf := func() float64 {
				rng := rand.New(rand.NewPCG(3, 4))
				wrong, all := 0.0, 0.0
				for range 50 {
					g := o.Sample(rng).Levels
					want := f(g) - f(parent)
					wrong += square(s.predict(g) - s.predict(parent) - want)
					all += square(want)
				}
				return math.Sqrt(wrong / all)
			}
			before := errorOf()
			for range memory {
				child := o.Sample(rng).Levels
				s.learn(child, parent, f(child)-f(parent), 1e-8)
			}
			s.fit()
			if after := errorOf(); after > 0.1*before || before < 0.05 {
				t.Errorf("relative error %.3f, of damages alone %.3f", after, before)
			}
		})
	}
}

// Only the latest comparisons count; noisy ones count little.
func TestSurrogateForgets(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	o := mustOperators(t, intSpace(2, 3.5), "", "")
	d, f := quadratic(o, rng)
	s := newSurrogate(o, d)
	parent := o.Sample(rng).Levels
	for range memory {
		child := o.Sample(rng).Levels
		s.learn(child, parent, -5, 1e-8)
	}
	for range memory {
		child := o.Sample(rng).Levels
		s.learn(child, parent, f(child)-f(parent), 1e-8)
	}
	s.fit()
	child := o.Sample(rng).Levels
	want := f(child) - f(parent)
	if got := s.predict(child) - s.predict(parent); len(s.seen) != memory || math.Abs(got-want) > 0.05*math.Abs(want) {
		t.Errorf("%d comparisons, predicted %v, want %v", len(s.seen), got, want)
	}
	deaf := newSurrogate(o, d)
	for range 50 {
		deaf.learn(o.Sample(rng).Levels, parent, 5, 1e9)
	}
	deaf.fit()
	if a, b := deaf.predict(child), newSurrogate(o, d).predict(child); math.Abs(a-b) > 1e-3*b {
		t.Errorf("predicted %v after mere noise, %v before", a, b)
	}
}

// A climber's prediction follows whatever moves it makes.
func TestClimberKeepsCount(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for range 60 {
		space := randomSpace(rng)
		o, err := NewOperators(space, "", "")
		if err != nil {
			continue
		}
		d, _ := quadratic(o, rng)
		s := newSurrogate(o, d)
		n := len(d)
		s.a = make([]float64, n*n)
		for i := range n {
			for j := range i + 1 {
				s.a[i*n+j] = 0.2 * rng.NormFloat64()
				s.a[j*n+i] = s.a[i*n+j]
			}
		}
		c := s.climber(o.Start(rng))
		for range 5 {
			if !c.wander(3, rng) {
				break
			}
			if !space.Feasible(c.Levels) {
				t.Fatal("over the budget")
			}
			if want := s.predict(c.Levels); math.Abs(c.value-want) > 1e-9*(1+math.Abs(want)) {
				t.Fatalf("value %v, predicted %v", c.value, want)
			}
		}
	}
}

// Rankings find the same steps as a look at every site.
func TestRankingsFindWhatAScanFinds(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	children := 0
	for n := range 200 {
		o, err := NewOperators(randomSpace(rng), "", "")
		if err != nil {
			continue
		}
		d, _ := quadratic(o, rng)
		ranked, scanning := newSurrogate(o, d), newSurrogate(o, d)
		scanning.a = make([]float64, len(d)*len(d)) // pair terms, of zero
		start := o.Start(rng)
		a, b := ranked.climber(start.Clone()), scanning.climber(start)
		for slot := range 8 {
			got, want := a.child(1<<slot, Rand(1, n, slot)), b.child(1<<slot, Rand(1, n, slot))
			if !slices.Equal(got, want) {
				t.Fatalf("space %d, slot %d: %v by rankings, %v by a scan", n, slot, got, want)
			}
			if got != nil {
				children++
			}
		}
	}
	if children < 500 {
		t.Errorf("only %d children", children)
	}
}

// Of a ladder two levels are measured; the disturbance of the others is on lines, and three points around a level make a parabola.
func TestInterpolation(t *testing.T) {
	space := &Space{Constraints: []Constraint{{Name: "weights", Limit: 32}}}
	for i := range 4 {
		site := Site{Name: fmt.Sprint(i), Gate: -1}
		for l := range 17 {
			site.Levels = append(site.Levels, Level{Name: fmt.Sprintf("sparse-%d", 16-l), Costs: []int64{int64(l)}})
		}
		space.Sites = append(space.Sites, site)
	}
	o := mustOperators(t, space, "", "")
	truth := func(i, l int) float64 { return square(0.1 * float64((1+i)*(16-l))) }
	local := make([][]float64, len(space.Sites))
	for i := range local {
		for l := range 17 {
			local[i] = append(local[i], square(float64(16-l)/16))
		}
	}
	for name, errors := range map[string][][]float64{"known": local, "unknown": o.steepness()} {
		plan := o.fewProbes(errors)
		if want := 2 * len(space.Sites); len(plan) != want {
			t.Fatalf("%d probes, want %d", len(plan), want)
		}
		fitness := []float64{3}
		for _, p := range plan {
			fitness = append(fitness, 3+truth(p.site, int(p.level)))
		}
		for i, site := range interpolated(measured(o, plan, fitness), plan, errors) {
			for l, got := range site {
				if want := truth(i, l); math.Abs(got-want) > 1e-12 {
					t.Fatalf("%s: damage of level %d of site %d is %v, want %v", name, l, i, got, want)
				}
			}
		}
	}

	// Levels need not be in order of what they do: the worst is measured, and one between by its local error.
	mixed := &Space{Sites: []Site{{Name: "a", Gate: -1, Levels: []Level{{Name: "q2_k", Costs: []int64{1}}, {Name: "sparse", Costs: []int64{2}}, {Name: "q6_k", Costs: []int64{3}}}}},
		Constraints: []Constraint{{Name: "weights", Limit: 3}}}
	m := mustOperators(t, mixed, "", "")
	errors := [][]float64{{0.04, 0.25, 0.01}}
	plan := m.fewProbes(errors)
	if want := []probe{{0, 1}}; !slices.Equal(plan, want) {
		t.Fatalf("probes %v, want %v", plan, want)
	}
	if d := interpolated(measured(m, plan, []float64{1, 17}), plan, errors)[0]; math.Abs(d[0]-1) > 1e-12 || d[1] != 16 || d[2] != 0 {
		t.Errorf("damages %v, want 1, 16, 0", d)
	}

	g := o.base.genome
	around := o.neighbours(g)
	parabola := func(l, at uint8) float64 { x := float64(l) - float64(at); return 0.3*x*x - 0.1*x }
	fitness := []float64{2}
	for _, p := range around {
		fitness = append(fitness, 2+parabola(p.level, g[p.site]))
	}
	for i, site := range localDamages(o, g, around, fitness) {
		for l, got := range site {
			want := failed
			if d := l - int(g[i]); d >= -1 && d <= 1 {
				want = parabola(uint8(l), g[i])
			}
			if math.Abs(got-want) > 1e-12 {
				t.Fatalf("local damage of level %d of site %d is %v, want %v", l, i, got, want)
			}
		}
	}
}

func TestTrust(t *testing.T) {
	const noise = 1
	combine := func(t *trust, measured, predicted float64) float64 {
		estimate, variance := t.combine(measured, predicted, noise)
		if variance < 0 || variance > noise {
			return math.NaN()
		}
		return estimate
	}
	var t1 trust
	if got := combine(&t1, 3, -1); got != 3 {
		t.Errorf("an untried prediction changes %v", got)
	}
	for range 50 {
		t1.observe(1, 1, noise)
	}
	if got := combine(&t1, 1, 0); !(got <= 0.5) {
		t.Errorf("good predictions leave %v of 1", got)
	}
	var t2 trust
	for range 50 {
		t2.observe(1, 11, noise)
	}
	if got := combine(&t2, 1, 0); !(got >= 0.95) {
		t.Errorf("bad predictions leave %v of 1", got)
	}
}

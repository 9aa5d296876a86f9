package eaopt

import (
	"fmt"
	"math"
	"reflect"
	"runtime"
	"slices"
	"testing"

	"github.com/finch-llm/finch/search"
	"github.com/finch-llm/finch/search/searchtest"
)

func TestMain(m *testing.M) {
	search.Register(Method())
	m.Run()
}

var fast = search.Settings{
	Generations: 12, Offspring: 16, Survivors: []int{8, 2, 1}, Tokens: []int{64, 128, 512}, Start: search.Start{Candidates: 8, Tokens: 64},
}

func TestConformance(t *testing.T) {
	for _, axis := range searchtest.Axes() {
		t.Run(axis, func(t *testing.T) {
			space := searchtest.Space(axis)
			want := searchtest.Conform(t, "eaopt", space, fast)
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
			if got := searchtest.Conform(t, "eaopt", space, fast); !reflect.DeepEqual(got, want) {
				t.Error("another number of threads asks otherwise")
			}
		})
	}
}

func begin(t *testing.T, space *search.Space, settings search.Settings, seed uint64) search.Strategy {
	t.Helper()
	s, err := search.New("eaopt", space, settings, seed)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// answer plays a search for so many batches and returns what it asked.
func answer(s search.Strategy, batches int, f func(search.Genome, search.Batch) float64) (asked []search.Batch) {
	for range batches {
		b, more := s.Ask()
		if !more {
			break
		}
		asked = append(asked, b)
		var fitness []float64
		for _, c := range b.Candidates {
			fitness = append(fitness, f(c.Genome, b))
		}
		s.Tell(fitness)
	}
	return asked
}

func distance(g search.Genome, _ search.Batch) float64 {
	sum := 0.0
	for i, level := range g {
		sum += math.Abs(float64(level) - float64(i%5))
	}
	return sum
}

// It is EvoPress: the same stages for the same numbers of candidates, and as near to the optimum as search's own.
func TestIsEvoPress(t *testing.T) {
	for _, axis := range searchtest.Axes() {
		space, settings := searchtest.Space(axis), fast
		settings.Generations = 150
		ours, own := begin(t, space, settings, 1), must(search.New("evopress", space, settings, 1))
		shape := func(asked []search.Batch) (shape []string) {
			for _, b := range asked {
				shape = append(shape, fmt.Sprint(b.Generation, b.Stage, b.Tokens, len(b.Candidates)))
			}
			return shape
		}
		if got, want := shape(answer(ours, 1000, distance)), shape(answer(own, 1000, distance)); !slices.Equal(got, want) {
			t.Errorf("%s: it asks %v, evopress %v", axis, got, want)
		}
		if got, want := distance(ours.Best().Genome, search.Batch{}), distance(own.Best().Genome, search.Batch{}); got > want+2 {
			t.Errorf("%s: it found %v, evopress %v", axis, got, want)
		}
	}
}

func must(s search.Strategy, err error) search.Strategy {
	if err != nil {
		panic(err)
	}
	return s
}

// 6 generations and then 12 are 12 generations.
func TestExtends(t *testing.T) {
	space, short := searchtest.Space(search.Bits), fast
	short.Generations = 6
	first := answer(begin(t, space, short, 3), 1000, distance)
	all := answer(begin(t, space, fast, 3), 1000, distance)
	if len(first) != 1+6*3 || len(all) != 1+12*3 || !reflect.DeepEqual(first, all[:len(first)]) {
		t.Errorf("%d batches do not begin %d", len(first), len(all))
	}
}

// The best wins whatever the starts, another seed searches elsewhere, and a warm start is the one start.
func TestStarts(t *testing.T) {
	space := searchtest.Space(search.Bits)
	a, _ := begin(t, space, fast, 1).Ask()
	b, _ := begin(t, space, fast, 2).Ask()
	if len(a.Candidates) != 8 || reflect.DeepEqual(a, b) {
		t.Errorf("%d starts", len(a.Candidates))
	}
	if c, _ := begin(t, searchtest.Space(search.Sparsity), fast, 1).Ask(); len(c.Candidates) != 1 {
		t.Errorf("%d starts, of which one meets the budget", len(c.Candidates))
	}
	warm := fast
	warm.Start.Genome = a.Candidates[3].Genome
	s := begin(t, space, warm, 1)
	if c, _ := s.Ask(); len(c.Candidates) != 1 || !slices.Equal(c.Candidates[0].Genome, warm.Start.Genome) {
		t.Errorf("a warm start asks %v", c)
	}
}

// What cannot be scored never wins while another can; where nothing can, the search still ends.
func TestFailedScores(t *testing.T) {
	space := searchtest.Space(search.Bits)
	for name, fails := range map[string]func(search.Genome, search.Batch) bool{
		"odd":   func(g search.Genome, _ search.Batch) bool { return (int(g[0])+int(g[1]))%2 == 1 },
		"stage": func(_ search.Genome, b search.Batch) bool { return b.Stage == 0 && b.Generation > 0 },
		"all":   func(search.Genome, search.Batch) bool { return true },
	} {
		s := begin(t, space, fast, 1)
		asked := answer(s, 1000, func(g search.Genome, b search.Batch) float64 {
			if fails(g, b) {
				return [...]float64{math.NaN(), math.Inf(-1), math.Inf(1)}[len(g)%3]
			}
			return distance(g, b)
		})
		best := s.Best()
		if name == "odd" && fails(best.Genome, search.Batch{}) {
			t.Errorf("%v has won", best.Genome)
		}
		if last := asked[len(asked)-1]; last.Generation != fast.Generations || last.Stage != 2 {
			t.Errorf("%s: it ends at %d, %d", name, last.Generation, last.Stage)
		}
	}
}

package search

import (
	"math"
	"slices"
	"strings"
	"testing"
)

// sparseBlocks has one layer of weights in each block, each 0, 1, … 100 % sparse from the sparsest, and a limit of sparsity 0.7.
func sparseBlocks(weights ...int64) (*Space, Settings) {
	space, settings := &Space{Constraints: []Constraint{{Name: "non-zeros"}}}, fast
	for b, n := range weights {
		site := Site{Name: string(rune('a' + b)), Kind: "ffn_up", Block: b, Weights: n, Gate: -1}
		var zeros []float64
		for percent := int64(100); percent >= 0; percent-- {
			site.Levels = append(site.Levels, Level{"sparse-" + string(rune(percent)), []int64{n - n*percent/100}})
			zeros = append(zeros, float64(percent)/100)
		}
		space.Sites, settings.Zeros = append(space.Sites, site), append(settings.Zeros, zeros)
		space.Constraints[0].Limit += n * 30 / 100
	}
	return space, settings
}

// The authors' formula by hand: at S = 0.7 the extremes are 2λ = 0.16 apart, and the mean stays 0.7.
func TestOWL(t *testing.T) {
	for _, test := range []struct {
		name     string
		weights  []int64
		outliers []float64
		want     []float64
	}{
		{"even", []int64{1000, 1000, 1000}, []float64{.02, .04, .03}, []float64{.78, .62, .70}},
		{"lopsided", []int64{1000, 1000, 1000, 1000}, []float64{.01, .01, .01, .05}, []float64{.74, .74, .74, .58}},
		{"alike", []int64{1000, 1000}, []float64{.05, .05}, []float64{.7, .7}},
		{"of two sizes", []int64{3000, 1000}, []float64{0, .05}, []float64{.74, .58}},
	} {
		t.Run(test.name, func(t *testing.T) {
			space, settings := sparseBlocks(test.weights...)
			settings.Outliers = test.outliers
			b, _ := mustNew(t, "owl", space, settings, 1).Ask()
			for i, level := range b.Candidates[0].Genome {
				if got := settings.Zeros[i][level]; math.Abs(got-test.want[i]) > 1e-9 {
					t.Errorf("block %d is %v sparse, want %v", i, got, test.want[i])
				}
			}
		})
	}
}

// Between rungs, and where the ladder ends before the sparsity that is wanted, the budget holds and is used.
func TestOWLOnTheLadder(t *testing.T) {
	for step := range int64(5) {
		space := sparsitySpace(3, 2)
		space.Constraints[0].Limit += step * 37
		settings := withImportance(space)
		settings.Outliers = []float64{0, .5, 1}
		b, _ := mustNew(t, "owl", space, settings, 1).Ask()
		g := b.Candidates[0].Genome
		if spare := space.Constraints[0].Limit - space.Cost(g)[0]; spare < 0 || spare*slackShare > space.Constraints[0].Limit {
			t.Errorf("%d of the budget are left", spare)
		}
		if !(slices.Max(g[:7]) < 2 && slices.Min(g[14:]) > 2) {
			t.Errorf("%v: the first block has the fewest outliers, the last the most", g)
		}
	}
}

func TestWhatOWLNeeds(t *testing.T) {
	sparse, settings := sparseBlocks(1000, 1000)
	for _, test := range []struct {
		name  string
		space *Space
		spoil func(*Settings)
		want  string
	}{
		{"outliers", sparse, func(*Settings) {}, "set Outliers"},
		{"too few", sparse, func(s *Settings) { s.Outliers = []float64{1} }, "outliers are [1] for 2 blocks"},
		{"NaN", sparse, func(s *Settings) { s.Outliers = []float64{1, math.NaN()} }, "outliers are"},
		{"zeros", sparse, func(s *Settings) { s.Zeros = s.Zeros[:1] }, "zeros of 1 layers"},
		{"levels without zeros", intSpace(2, 3.5), func(s *Settings) { s.Zeros = [][]float64{make([]float64, 5), make([]float64, 5)} }, `such as "wanda-0.50"`},
		{"gates", depthSpace(2, 1, 1), func(s *Settings) { s.Zeros = nil }, "leave the level drop out"},
	} {
		spoiled := settings
		test.spoil(&spoiled)
		if _, err := New("owl", test.space, spoiled, 1); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
	if _, err := Check("owl", sparse, settings); err != nil {
		t.Errorf("refused before anything is measured: %v", err)
	}
}

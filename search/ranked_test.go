package search

import (
	"slices"
	"strings"
	"testing"
)

// Single scores cannot see that neighbours must not go together; scores after each drop can.
func TestShortenedOnTheDepthToy(t *testing.T) {
	space, damage, best := depthToy()
	got := map[string]float64{}
	for _, method := range []string{"shortened", "shortened-iterative"} {
		s := mustNew(t, method, space, Settings{}, 1)
		asked, _ := run(t, s, damage)
		got[method] = damage(s.Best().Genome, Batch{})
		want := 2
		if method == "shortened-iterative" {
			want = 7
		}
		if last := asked[len(asked)-1]; len(asked) != want || last.Probe || last.Tokens != 32768 || !asked[0].Probe {
			t.Errorf("%s: %d batches, the last %+v", method, len(asked), last)
		}
	}
	if !(got["shortened"] > got["shortened-iterative"]) || got["shortened-iterative"] > 1.2*best {
		t.Errorf("%v, the optimum is %v", got, best)
	}
}

func TestShortGPT(t *testing.T) {
	space := depthSpace(4, 1, 2)
	settings := Settings{Importance: []float64{5, 1, 2, 9, 2, 3, 7, 2}} // attention 5 2 2 7, MLP 1 9 3 2
	b, _ := mustNew(t, "shortgpt", space, settings, 1).Ask()
	if want := (Genome{1, 0, 0, 1, 1, 1, 1, 0}); !slices.Equal(b.Candidates[0].Genome, want) {
		t.Errorf("genome %v, want %v", b.Candidates[0].Genome, want)
	}
}

func TestSubcloningRanksByChange(t *testing.T) {
	space := attentionSpace(4, 2)
	settings := Settings{Importance: []float64{1, 2, 3, 4}, Change: []float64{4, 1, 3, 2}}
	b, _ := mustNew(t, "subcloning", space, settings, 1).Ask()
	if want := (Genome{1, 0, 1, 0}); !slices.Equal(b.Candidates[0].Genome, want) {
		t.Errorf("genome %v, want %v", b.Candidates[0].Genome, want)
	}
}

// The window is as long as the stricter limit needs; where the other asks for less, single sublayers come back.
func TestSlidingWindow(t *testing.T) {
	distances := func(boundaries int, near ...[2]int) [][]float64 {
		d := make([][]float64, boundaries)
		for a := range d {
			d[a] = slices.Repeat([]float64{0.5}, boundaries)
		}
		for _, pair := range near {
			d[pair[0]][pair[1]] = 0.1
		}
		return d
	}
	for _, test := range []struct {
		name      string
		space     *Space
		distances [][]float64
		want      Genome
	}{
		{"two of five", attentionSpace(5, 2), distances(6, [2]int{2, 4}, [2]int{1, 2}), Genome{1, 1, 0, 0, 1}},
		{"the last", attentionSpace(5, 2), distances(6, [2]int{3, 5}), Genome{1, 1, 1, 0, 0}},
		{"one attention and two MLPs", depthSpace(4, 1, 2), distances(5, [2]int{1, 3}), Genome{1, 1, 1, 0, 0, 0, 1, 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			b, _ := mustNew(t, "sliding-window", test.space, Settings{Distances: test.distances}, 1).Ask()
			if !slices.Equal(b.Candidates[0].Genome, test.want) {
				t.Errorf("genome %v, want %v", b.Candidates[0].Genome, test.want)
			}
		})
	}
}

func TestWhatDepthMethodsNeed(t *testing.T) {
	space := attentionSpace(4, 2)
	for _, test := range []struct {
		method   string
		settings Settings
		want     string
	}{
		{"subcloning", Settings{}, "set Change"},
		{"sliding-window", Settings{}, "set Distances"},
		{"shortgpt", Settings{}, "set Importance"},
		{"subcloning", Settings{Change: []float64{1}}, "change of 1 sublayers for 4 gates"},
		{"sliding-window", Settings{Distances: [][]float64{{0}}}, "distances of 1 boundaries for 4 blocks"},
		{"sliding-window", Settings{Distances: slices.Repeat([][]float64{{0}}, 5)}, "distances of a boundary"},
	} {
		if _, err := New(test.method, space, test.settings, 1); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.method, err, test.want)
		}
		if _, err := Check(test.method, space, Settings{}); err != nil {
			t.Errorf("%s is refused before anything is measured: %v", test.method, err)
		}
	}
}

// Where sublayers differ in size, the last to be dropped may make room for one that was dropped before.
func TestRankingBringsBackWhatFits(t *testing.T) {
	space := &Space{Constraints: []Constraint{{Name: "bytes", Limit: 30}}}
	for i, bytes := range []int64{5, 5, 20, 20} {
		space.Sites = append(space.Sites, Site{Name: string(rune('a' + i)), Kind: "mlp", Block: i, Gate: -1, Levels: gateLevels([]int64{bytes})})
	}
	o := mustOperators(t, space, "", "")
	ind, err := o.dropRanked([]float64{1, 2, 3, 4})
	if err != nil {
		t.Fatal(err)
	}
	if want := (Genome{1, 1, 0, 1}); !slices.Equal(ind.Levels, want) {
		t.Errorf("%v, want %v: a and b fit in beside d", ind.Levels, want)
	}
}

func TestMostDrops(t *testing.T) {
	for _, test := range []struct {
		space *Space
		want  int
	}{{depthSpace(8, 2, 3), 5}, {attentionSpace(16, 6), 6}, {attentionSpace(4, 0), 0}} {
		if got := mustOperators(t, test.space, "", "").mostDrops(); got != test.want {
			t.Errorf("%d, want %d", got, test.want)
		}
	}
}

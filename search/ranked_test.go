package search

import (
	"slices"
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

package search

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// enumerate lists the feasible canonical genomes that no step up leaves feasible, by trying all.
func enumerate(t *testing.T, space *Space) (all []string) {
	o := mustOperators(t, space, "", "")
	g := make(Genome, len(space.Sites))
	for {
		if space.Feasible(g) && slices.Equal(g, space.Canonical(g)) {
			ind := o.individual(slices.Clone(g))
			room := ind.anyRaiseFits()
			for i := range g {
				room = room || ind.keepFits(i)
			}
			if !room {
				all = append(all, g.String())
			}
		}
		i := 0
		for ; i < len(g); i++ {
			if g[i]++; int(g[i]) < len(space.Sites[i].Levels) {
				break
			}
			g[i] = 0
		}
		if i == len(g) {
			slices.Sort(all)
			return all
		}
	}
}

func TestBruteEnumeratesAll(t *testing.T) {
	spaces := []*Space{depthSpace(4, 1, 2), intSpace(4, 3.5), attentionSpace(10, 3)}
	rng := rand.New(rand.NewPCG(1, 2))
	for len(spaces) < 100 {
		space := randomSpace(rng)
		constraints := len(space.Constraints)
		if len(spaces) < 60 {
			constraints = 1 // dearer levels cost no less in it
		}
		space.Constraints = space.Constraints[:constraints]
		combinations := 1
		for i := range space.Sites {
			levels := space.Sites[i].Levels
			combinations *= len(levels)
			for l := range levels {
				levels[l].Costs = levels[l].Costs[:constraints]
			}
			if combinations > 20000 {
				break
			}
		}
		if combinations <= 20000 && space.Validate() == nil {
			spaces = append(spaces, space)
		}
	}
	gates := 0
	for _, space := range spaces {
		settings := fast
		settings.Generations = 100_000
		b, _ := mustNew(t, "brute", space, settings, 1).Ask()
		var got []string
		for _, c := range b.Candidates {
			got = append(got, c.Genome.String())
		}
		slices.Sort(got)
		if want := enumerate(t, space); !slices.Equal(got, want) {
			t.Errorf("%d candidates, want %d, in %+v", len(got), len(want), space)
		}
		if space.Sites[0].IsGate() {
			gates++
		}
	}
	if gates < 10 {
		t.Errorf("only %d spaces have gates", gates)
	}
}

func TestBruteSolvesDepthToy(t *testing.T) {
	space, damage, best := depthToy()
	settings := Settings{Generations: 5000}
	s := mustNew(t, "brute", space, settings, 1)
	asked, _ := run(t, s, damage)
	if got := damage(s.Best().Genome, Batch{}); got != best || len(asked[0].Candidates) != 8008 {
		t.Errorf("%v of %d candidates, the optimum of 8008 is %v", got, len(asked[0].Candidates), best)
	}
	if _, err := New("brute", space, Settings{}, 1); err == nil || !strings.Contains(err.Error(), "more than the 204 candidates") {
		t.Errorf("with the tokens of 40 generations: %v", err)
	}
}

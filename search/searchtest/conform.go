// Package searchtest is the suite that every search method must pass, those of other modules included.
package searchtest

import (
	"fmt"
	"hash/fnv"
	"math"
	"reflect"
	"slices"
	"testing"

	"github.com/finch-llm/finch/search"
)

// unused is the share of the first limit that a winner may leave where a site could still use it.
const unused = 1. / 200

// Conform plays a method to its end on a noisy landscape and checks what its callers rely on. It returns what was asked.
func Conform(t *testing.T, method string, space *search.Space, settings search.Settings) []search.Batch {
	t.Helper()
	s := begin(t, method, space, settings)
	checkMisuse(t, s)
	foretold := s.Effort()
	asked, told := play(s)
	if s.Effort() != foretold {
		t.Errorf("%+v was foretold, and then %+v", foretold, s.Effort())
	}
	checkCandidates(t, space, asked)
	checkCourse(t, space, settings, foretold, asked)
	checkWinner(t, space, s.Best(), asked)
	replay(t, begin(t, method, space, settings), asked, told)
	return asked
}

func begin(t *testing.T, method string, space *search.Space, settings search.Settings) search.Strategy {
	t.Helper()
	s, err := search.New(method, space, settings, 7)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// checkMisuse expects a panic where nothing was asked, or something else is told, and the same question until it is answered.
func checkMisuse(t *testing.T, s search.Strategy) {
	t.Helper()
	panics := func(what string, fitness []float64) {
		defer func() {
			if recover() == nil {
				t.Errorf("%s did not panic", what)
			}
		}()
		s.Tell(fitness)
	}
	if s.Best().ID != -1 {
		t.Error("there is a best candidate before the first score")
	}
	panics("Tell without Ask", nil)
	a, _ := s.Ask()
	if b, _ := s.Ask(); !reflect.DeepEqual(a, b) {
		t.Error("two asks differ")
	}
	panics("a long Tell", make([]float64, len(a.Candidates)+1))
}

// play answers to the end.
func play(s search.Strategy) (asked []search.Batch, told [][]float64) {
	for {
		b, more := s.Ask()
		if !more {
			return asked, told
		}
		fitness := make([]float64, len(b.Candidates))
		for i, c := range b.Candidates {
			fitness[i] = score(c.Genome, b)
		}
		asked, told = append(asked, b), append(told, fitness)
		s.Tell(fitness)
	}
}

// score is the distance to a genome, and noise that is drawn anew for every slice. Now and then it fails.
func score(g search.Genome, b search.Batch) float64 {
	h := fnv.New64a()
	fmt.Fprint(h, g, b.Generation, b.Stage)
	noise := float64(h.Sum64()>>11) / (1 << 53)
	if noise < 0.01 {
		return math.NaN()
	}
	sum := 4 * noise
	for i, level := range g {
		sum += (1 + float64(i%3)) * math.Abs(float64(level)-float64(i*5%4))
	}
	return sum
}

// checkCandidates: genomes are canonical and within the budget, unless they are measurements; IDs count proposals.
func checkCandidates(t *testing.T, space *search.Space, asked []search.Batch) {
	t.Helper()
	genomes := map[int]string{}
	for _, b := range asked {
		for _, c := range b.Candidates {
			if !b.Probe && !space.Feasible(c.Genome) || !slices.Equal(c.Genome, space.Canonical(c.Genome)) {
				t.Fatalf("candidate %d is over budget or not canonical", c.ID)
			}
			if c.ID == len(genomes) {
				genomes[c.ID] = c.Genome.String()
			}
			if genomes[c.ID] != c.Genome.String() {
				t.Fatalf("candidate ID %d is out of order or changed its genome", c.ID)
			}
			if c.Parent >= c.ID {
				t.Fatalf("candidate %d is the child of %d, which is younger", c.ID, c.Parent)
			}
		}
	}
}

// checkCourse: a search takes no more than it said, and that is no more than evopress would with these settings.
func checkCourse(t *testing.T, space *search.Space, settings search.Settings, most search.Effort, asked []search.Batch) {
	t.Helper()
	settings, err := search.Complete(space, settings)
	if err != nil {
		t.Fatal(err)
	}
	tokens, batches := int64(0), map[[2]int]bool{}
	for _, b := range asked {
		tokens += int64(b.Tokens) * int64(len(b.Candidates))
		if key := [2]int{b.Generation, b.Stage}; batches[key] {
			t.Errorf("generation %d stage %d is asked twice", b.Generation, b.Stage)
		} else {
			batches[key] = true
		}
		if b.Generation > most.Generations {
			t.Errorf("generation %d of %d", b.Generation, most.Generations)
		}
	}
	if total := settings.TotalTokens(); tokens > most.Tokens || most.Tokens > total {
		t.Errorf("%d tokens scored, %d foretold, %d allowed", tokens, most.Tokens, total)
	}
}

// checkWinner: it was scored as a candidate, and spends the budget.
func checkWinner(t *testing.T, space *search.Space, best search.Candidate, asked []search.Batch) {
	t.Helper()
	if !slices.ContainsFunc(asked, func(b search.Batch) bool {
		return !b.Probe && slices.ContainsFunc(b.Candidates, func(c search.Candidate) bool { return c.ID == best.ID })
	}) {
		t.Errorf("the winner %d was never scored as a candidate", best.ID)
	}
	cost, limit := space.Cost(best.Genome)[0], space.Constraints[0].Limit
	if float64(limit-cost) <= unused*float64(limit) {
		return
	}
	for i := range space.Sites {
		dearer := slices.Clone(best.Genome)
		dearer[i]++
		if space.Feasible(dearer) && space.Cost(dearer)[0] > cost {
			t.Errorf("the winner leaves %d of %d unused, and %s could use it", limit-cost, limit, space.Sites[i].Name)
		}
	}
}

// replay tells recorded scores to a fresh strategy, as a resumed run does, and expects every ask again.
func replay(t *testing.T, s search.Strategy, asked []search.Batch, told [][]float64) {
	t.Helper()
	for k, want := range asked {
		got, more := s.Ask()
		if !more || !reflect.DeepEqual(got, want) {
			t.Fatalf("replayed batch %d differs:\n got %v\nwant %v", k, got, want)
		}
		s.Tell(told[k])
	}
	if _, more := s.Ask(); more {
		t.Fatal("the replay asks on")
	}
}

package search

import (
	"cmp"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
)

// Candidate is a genome that a strategy wants scored. Genomes are canonical and not to be modified.
type Candidate struct {
	ID         int // counts the candidates of a run in order of proposal, from 0
	Generation int // in which it was made; 0 is the start
	Slot       int // its number among those made in that generation
	Genome     Genome
	Parent     int    // ID, or -1
	Operator   string // what made it, for people: "start", "blk.3.attn_q q4_k>q3_k"
}

// Batch is a set of candidates to be scored on one slice of Tokens tokens, which the caller draws from
// SliceRand(seed, Generation, Stage). A candidate that reached a later stage, and a parent, appear again under their ID.
type Batch struct {
	Generation, Stage, Tokens int
	Candidates                []Candidate
	Probe                     bool // the candidates are measurements: they may be over the limits, and none of them can win
}

// Strategy decides what is scored next.
type Strategy interface {
	// Ask returns the batch to score, the same one until it is told; false when the search is finished.
	Ask() (Batch, bool)
	// Tell gives the fitness of each candidate of the batch, in its order. Lower is better; NaN and ±Inf mean that
	// scoring failed, and such a candidate is never selected while another is left. It panics if the number is wrong or
	// nothing was asked.
	Tell(fitness []float64)
	// Best is the candidate to ship: when the search is finished, its winner. Before the first Tell it has ID -1.
	Best() Candidate
	// Effort is what the whole search takes at most. It is the same at all times.
	Effort() Effort
}

// Effort is what a search takes.
type Effort struct {
	Tokens      int64 // to score, of candidates and measurements
	Generations int   // after the start; 0 where there are none
}

// Method is a registered strategy.
type Method struct {
	Name, About string
	Extends     bool // a search with more generations begins with all that one with fewer asks

	// Make begins a search with a seed. The settings are complete and checked.
	Make func(*Operators, Settings, uint64) (Strategy, error)
}

// registered are the methods of other packages.
var registered []Method

// Register adds a method to those of this package. A program's main calls it before all else, as it would drivers of
// database/sql. It panics if the name is taken.
func Register(m Method) {
	if slices.ContainsFunc(Methods(), func(o Method) bool { return o.Name == m.Name }) {
		panic(fmt.Sprintf("search: there is a method %q already", m.Name))
	}
	registered = append(registered, m)
}

// Methods lists the strategies; a new one is a line here.
func Methods() []Method {
	return append([]Method{
		{"finch", "evolution that starts from measured damages of single sites and learns how they add up", true, newFinch},
		{"evopress", "(1+λ) evolution with staged selection (arXiv 2410.14649)", true, newEvoPress},
		{"greedy", "steps down of the least measured damage of single sites for what they save", false, newGreedy},
		{"dp", "dynamic programming on measured damages of single sites (SPDY, L-GreCo)", false, newDP},
		{"dp-local", "the same on local errors of single layers, without a token", false, newDPLocal},
		{"lagrangian", "Lagrangian relaxation on measured damages of single sites: the convex hull", false, newLagrangian},
		{"shortgpt", "sublayers of the least block influence dropped (arXiv 2403.03853)", false, newShortGPT},
		{"shortened", "sublayers dropped without which, each by itself, the model scores best (arXiv 2402.02834)", false, newShortened},
		{"shortened-iterative", "the same one sublayer after the other", false, newShortenedIterative},
		{"sliding-window", "the consecutive blocks dropped between whose ends the stream turns least (arXiv 2403.17887)", false, newWindow},
		{"subcloning", "sublayers of the blocks dropped that change the stream least (arXiv 2312.09299)", false, newSubcloning},
		{"owl", "blocks with fewer outlying weights made sparser (arXiv 2310.05175)", false, newOWL},
		{"annealing", "simulated annealing with evopress's mutations", false, newAnnealing},
		{"genetic", "a generational genetic algorithm with crossover", false, newGenetic},
		{"pareto", "the front of cost against fitness: NSGA-II with a budget for every child", false, newPareto},
		{"random", "the best of as many random candidates as the same tokens can score", false, newRandom},
		{"brute", "every candidate that leaves no room in the budget, for small spaces", false, newBrute},
		{"uniform", "one level for all layers, spare budget in block order; sublayers by importance", false, newUniform},
	}, registered...)
}

// New makes a strategy. Zero settings take defaults (see Settings). Errors name the setting or site to change.
func New(method string, space *Space, settings Settings, seed uint64) (Strategy, error) {
	methods := Methods()
	k := slices.IndexFunc(methods, func(m Method) bool { return m.Name == method })
	if k < 0 {
		names := make([]string, len(methods))
		for i, m := range methods {
			names[i] = m.Name
		}
		return nil, fmt.Errorf("unknown search method %q: write one of %s", method, strings.Join(names, ", "))
	}
	o, settings, err := prepare(space, settings)
	if err != nil {
		return nil, fmt.Errorf("search %s: %w", method, err)
	}
	strategy, err := methods[k].Make(o, settings, seed)
	if err != nil {
		return nil, fmt.Errorf("search %s: %w", method, err)
	}
	return strategy, nil
}

// Complete checks settings against a space and fills in their defaults, as New does: for plans.
func Complete(space *Space, settings Settings) (Settings, error) {
	_, settings, err := prepare(space, settings)
	return settings, err
}

// Check finds what New would refuse, and what its strategy would take, before a caller measures what some methods want to
// know, such as the importance of sublayers: where settings lack that, zeros stand in.
func Check(method string, space *Space, settings Settings) (Effort, error) {
	if _, err := Complete(space, settings); err != nil { // stand-ins need a valid space
		return Effort{}, err
	}
	strategy, err := New(method, space, settings.standIns(space), 0)
	if err != nil {
		return Effort{}, err
	}
	return strategy.Effort(), nil
}

// standIns fills in what is measured, as far as the space has use for it.
func (s Settings) standIns(space *Space) Settings {
	gates := 0
	for i := range space.Sites {
		if space.Sites[i].IsGate() {
			gates++
		}
	}
	if gates > 0 && s.Importance == nil {
		s.Importance, s.Change = make([]float64, gates), make([]float64, gates)
		s.Distances = make([][]float64, blockCount(space)+1)
		for b := range s.Distances {
			s.Distances[b] = make([]float64, len(s.Distances))
		}
	}
	if s.Outliers == nil {
		s.Outliers = make([]float64, blockCount(space))
	}
	if s.LocalErrors == nil {
		for i := range space.Sites {
			s.LocalErrors = append(s.LocalErrors, make([]float64, len(space.Sites[i].Levels)))
		}
	}
	return s
}

// Extends says whether a search with these settings begins with all that one with fewer generations asks, of a method that says it does: more
// generations may pay for another beginning.
func Extends(method string, space *Space, settings Settings, fewer int) bool {
	first := func(generations int) (Batch, error) {
		s := settings.standIns(space)
		s.Generations = generations
		strategy, err := New(method, space, s, 0)
		if err != nil {
			return Batch{}, err
		}
		b, _ := strategy.Ask()
		return b, nil
	}
	short, err := first(fewer)
	if err != nil {
		return false
	}
	long, err := first(settings.Generations)
	return err == nil && reflect.DeepEqual(short, long)
}

func prepare(space *Space, settings Settings) (*Operators, Settings, error) {
	o, err := NewOperators(space, settings.Axis, settings.Group)
	if err != nil {
		return nil, settings, err
	}
	settings = settings.defaults(o)
	return o, settings, settings.check(o)
}

// none stands for no candidate.
var none = Candidate{ID: -1, Parent: -1}

// fittest returns the best candidates, at most n, best first. Failed ones are left out. Ties go to the earlier in the
// batch.
func fittest(candidates []Candidate, fitness []float64, n int) []Candidate {
	var order []int
	for i, f := range fitness {
		if !math.IsNaN(f) && !math.IsInf(f, 0) {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(fitness[a], fitness[b]) })
	selected := make([]Candidate, 0, n)
	for _, i := range order[:min(n, len(order))] {
		selected = append(selected, candidates[i])
	}
	return selected
}

// checkTold panics unless fitness answers the batch.
func checkTold(batch *Batch, fitness []float64) {
	if batch == nil {
		panic("search: Tell without Ask")
	}
	if len(fitness) != len(batch.Candidates) {
		panic(fmt.Sprintf("search: told %d fitness values for a batch of %d", len(fitness), len(batch.Candidates)))
	}
}

// redraws bounds how often a duplicate is drawn again.
const redraws = 64

// distinct draws until a genome is none of those seen, and remembers it. It gives up with nil after redraws duplicates
// in a row: hardly anything new is left there.
func distinct(seen map[string]bool, draw func() *Individual) *Individual {
	for range redraws {
		if ind := draw(); !seen[string(ind.Levels)] {
			seen[string(ind.Levels)] = true
			return ind
		}
	}
	return nil
}

// Package eaopt runs finch's genome on github.com/MaxHalford/eaopt: the (1+λ) evolution of EvoPress (arXiv 2410.14649), with eaopt.GA
// for its loop, an eaopt.Model for its selection in stages, and told scores for eaopt's Evaluate.
//
// An eaopt.GA calls Evaluate and waits, where a finch strategy asks and is told. So each generation is a GA of its own, whose
// random numbers come from (seed, generation) alone: an Evaluate whose score is not told yet ends it with an error, the strategy
// asks for what was missing, and the generation is played again from its beginning, the same, and a stage further. That takes no
// goroutine that waits, and makes a resumed search exact, which a GA with a stream of random numbers that runs on is not.
package eaopt

import (
	"errors"
	"fmt"
	"math"
	"math/rand"

	"github.com/MaxHalford/eaopt"

	"github.com/finch-llm/finch/search"
)

// Method is for search.Register.
func Method() search.Method {
	return search.Method{Name: "eaopt", About: "EvoPress's evolution run by github.com/MaxHalford/eaopt", Extends: true, Make: newStrategy}
}

// strategy is a search whose generations are played by eaopt.
type strategy struct {
	ops      *search.Operators
	settings search.Settings
	seed     uint64

	generation int
	parent     search.Candidate
	proposed   int             // candidates so far, those of this generation not among them
	told       map[int]answers // of this generation, by stage
	pending    *search.Batch
	asked      bool

	// Of one play of the generation:
	made   map[string]search.Candidate // by genome; the parent is among them
	stage  int                         // that individuals are evaluated in; -1: only the parent is there
	racing []search.Candidate          // what is scored in it
}

// answers are the fitness values of a stage by genome.
type answers map[string]float64

func newStrategy(ops *search.Operators, settings search.Settings, seed uint64) (search.Strategy, error) {
	none := search.Candidate{ID: -1, Parent: -1}
	return &strategy{ops: ops, settings: settings, seed: seed, parent: none, told: map[int]answers{}}, nil
}

func (s *strategy) Ask() (search.Batch, bool) {
	if s.pending == nil && s.generation <= s.settings.Generations {
		s.play()
	}
	if s.pending == nil {
		return search.Batch{}, false
	}
	s.asked = true
	return *s.pending, true
}

func (s *strategy) Tell(fitness []float64) {
	if !s.asked {
		panic("eaopt: Tell without Ask")
	}
	if len(fitness) != len(s.pending.Candidates) {
		panic(fmt.Sprintf("eaopt: told %d fitness values for a batch of %d", len(fitness), len(s.pending.Candidates)))
	}
	stage := answers{}
	for i, c := range s.pending.Candidates {
		stage[string(c.Genome)] = fitness[i]
	}
	s.told[s.pending.Stage] = stage
	s.pending, s.asked = nil, false
	s.play()
}

func (s *strategy) Best() search.Candidate { return s.parent }

func (s *strategy) Effort() search.Effort {
	return search.Effort{Tokens: s.settings.TotalTokens(), Generations: s.settings.Generations}
}

// errUntold ends a play at a stage that is yet to be scored.
var errUntold = errors.New("the stage has not been scored")

// play plays the generation as far as its scores are told: to its end, or until pending says what to score next.
func (s *strategy) play() {
	s.made = map[string]search.Candidate{string(s.parent.Genome): s.parent}
	s.stage, s.racing = -1, nil
	winner, err := s.evolve()
	if errors.Is(err, errUntold) {
		tokens := s.settings.Start.Tokens
		if s.generation > 0 {
			tokens = s.settings.Tokens[s.stage]
		}
		s.pending = &search.Batch{Generation: s.generation, Stage: s.stage, Tokens: tokens, Candidates: s.racing}
		return
	}
	if err != nil {
		panic("eaopt: " + err.Error()) // of a configuration that is none of the user's
	}
	s.parent = s.made[string(winner)]
	s.proposed += len(s.made) - 1
	s.generation++
	clear(s.told)
}

// evolve is one generation of a GA: in the first its initial population are the starts, in others the parent.
func (s *strategy) evolve() (winner search.Genome, err error) {
	config := eaopt.GAConfig{
		NPops: 1, PopSize: 1, NGenerations: 1, HofSize: 1, Model: staged{s},
		RNG: rand.New(rand.NewSource(int64(search.Rand(s.seed, s.generation, 0).Uint64()))),
	}
	begin := func(*rand.Rand) eaopt.Genome { return s.genome(s.parent.Genome) }
	if s.generation == 0 {
		s.stage = 0
		begin = s.start
		if s.settings.Start.Genome == nil {
			config.PopSize = uint(s.settings.Start.Candidates)
		}
		config.EarlyStop = func(*eaopt.GA) bool { return true }
	}
	ga, err := config.NewGA()
	if err != nil {
		return nil, err
	}
	if err := ga.Minimize(begin); err != nil {
		return nil, err
	}
	return ga.Populations[0].Individuals[0].Genome.(*genome).Levels, nil
}

// start draws a genome to begin with. Where hardly any new one is left, as where one alone meets the budget, it is one of before.
func (s *strategy) start(rng *rand.Rand) eaopt.Genome {
	if warm := s.settings.Start.Genome; warm != nil {
		start := s.genome(warm)
		s.racing = append(s.racing, s.candidate(start, 0, "start"))
		return start
	}
	start, fresh := s.fresh(func() *genome { return &genome{s.ops.Start(search.Intn(rng)), s} })
	if fresh {
		s.racing = append(s.racing, s.candidate(start, len(s.racing), "start"))
	}
	return start
}

// redraws bounds how often a duplicate is drawn again.
const redraws = 64

// fresh draws until a genome is new in this generation.
func (s *strategy) fresh(draw func() *genome) (g *genome, fresh bool) {
	for range redraws {
		g = draw()
		if _, old := s.made[string(g.Levels)]; !old {
			return g, true
		}
	}
	return g, false
}

// candidate numbers a new genome.
func (s *strategy) candidate(g *genome, slot int, operator string) search.Candidate {
	c := search.Candidate{
		ID: s.proposed + len(s.made) - 1, Generation: s.generation, Slot: slot, Genome: g.Levels, Parent: s.parent.ID, Operator: operator,
	}
	s.made[string(g.Levels)] = c
	return c
}

// evaluate is the told fitness of a genome in the stage. The parent of a generation is not scored before its children are there.
func (s *strategy) evaluate(g search.Genome) (float64, error) {
	if s.stage < 0 {
		return 0, nil
	}
	stage, ok := s.told[s.stage]
	if !ok {
		return 0, errUntold
	}
	if f := stage[string(g)]; !math.IsNaN(f) && !math.IsInf(f, 0) {
		return f, nil
	}
	return math.Inf(1), nil // scoring failed; an error would end the search
}

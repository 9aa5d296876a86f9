package search

import (
	"fmt"
	"math"
	"slices"
)

// damages is what each level of each site costs in fitness by itself [sites][levels]: with all other sites at their
// dearest level, less the fitness of all at their dearest. For a gate it is that of dropping its sublayer. Methods that
// take damages to add up, where pairs of sites may interact, solve the rest exactly or nearly so.
type damages [][]float64

// failed stands for the damage of a level whose scoring failed: more than any sum of others, and finite, so that
// differences stay numbers.
const failed = math.MaxFloat32

// dearest has every sublayer kept and every layer at its dearest level.
func (o *Operators) dearest() Genome {
	g := make(Genome, len(o.space.Sites))
	for i := range g {
		g[i] = uint8(len(o.space.Sites[i].Levels) - 1)
	}
	return g
}

// newSeparable makes a method that measures every site by itself, solves for the allocation of the least sum of damages,
// and scores that once.
func newSeparable(o *Operators, settings Settings, operator string, solve func(*Operators, damages) *Individual) (Strategy, error) {
	plan := o.allProbes()
	tokens, err := settings.affordable(len(plan)+1, "measurements of single sites")
	if err != nil {
		return nil, err
	}
	s := newSteps(settings.measuring(len(plan)+1, tokens))
	s.ask(Batch{Tokens: tokens, Candidates: s.probes(o, plan), Probe: true}, func(_ []Candidate, fitness []float64) {
		s.propose(settings, 1, solve(o, measured(o, plan, fitness)), operator)
	})
	return s, nil
}

// probes are all sites at their dearest level, and then each site of the plan at its.
func (s *steps) probes(o *Operators, plan []probe) []Candidate {
	dearest := o.dearest()
	candidates := []Candidate{s.candidate(0, 0, dearest, -1, "all at their dearest")}
	for _, p := range plan {
		g := slices.Clone(dearest)
		g[p.site] = p.level
		g = o.space.Canonical(g)
		candidates = append(candidates, s.candidate(0, s.proposed, g, 0, describe(o.space, dearest, g)))
	}
	return candidates
}

// measured reads the damages off the scores of probes: none of levels that are not in the plan.
func measured(o *Operators, plan []probe, fitness []float64) damages {
	base := fitness[0]
	if !finite(base) {
		base = 0
	}
	d := make(damages, len(o.space.Sites))
	for i := range d {
		d[i] = make([]float64, len(o.space.Sites[i].Levels))
	}
	for k, p := range plan {
		if d[p.site][p.level] = fitness[k+1] - base; !finite(d[p.site][p.level]) {
			d[p.site][p.level] = failed
		}
	}
	return d
}

// affordable is the most tokens, of those that a stage scores, that so many candidates can be scored on, with one more in
// the last stage, for what evopress would spend.
func (s Settings) affordable(candidates int, what string) (int, error) {
	left := s.TotalTokens() - int64(s.lastTokens())
	most := 0
	for _, tokens := range s.Tokens {
		if int64(tokens)*int64(candidates) <= left {
			most = max(most, tokens)
		}
	}
	if most == 0 {
		return 0, fmt.Errorf("%d %s need %d tokens, and evopress with these settings would spend %d: raise generations or offspring, or lower the tokens of the first stage",
			candidates, what, int64(candidates)*int64(s.Tokens[0])+int64(s.lastTokens()), s.TotalTokens())
	}
	return most, nil
}

// measuring is the effort of scoring so many measurements on so many tokens each, and then one candidate.
func (s Settings) measuring(count, tokens int) Effort {
	return Effort{Tokens: int64(count)*int64(tokens) + int64(s.lastTokens())}
}

// sublayer is the damage that the layers of a gate do at their levels.
func (d damages) sublayer(ind *Individual, gate int) float64 {
	sum := 0.0
	for _, layer := range ind.ops.layers[gate] {
		sum += d[layer][ind.Levels[layer]]
	}
	return sum
}

package search

import (
	"fmt"
	"slices"
)

// bruteVisits bounds the enumeration itself, which in unlucky spaces runs into many dead ends.
const bruteVisits = 1_000_000

// newBrute scores every candidate that leaves no room for a step up, on one slice of the last stage's length: the optimum, for spaces
// so small that evopress would spend as many tokens.
func newBrute(o *Operators, settings Settings, _ uint64) (Strategy, error) {
	e := &enumeration{low: o.individual(make(Genome, len(o.space.Sites))), high: o.individual(o.dearest()), visits: bruteVisits}
	e.most = int(settings.TotalTokens() / int64(settings.lastTokens()))
	for i := range o.space.Sites {
		if o.space.Sites[i].Gate < 0 {
			e.order = append(append(e.order, i), o.layers[i]...)
		}
	}
	if !e.from(0) {
		return nil, fmt.Errorf("the space has more than the %d candidates that the tokens of evopress with these settings can score: raise generations, or lower the tokens of the last stage",
			e.most)
	}
	s := newSteps(Effort{Tokens: int64(len(e.found)) * int64(settings.lastTokens())})
	batch := Batch{Tokens: settings.lastTokens()}
	for slot, g := range e.found {
		batch.Candidates = append(batch.Candidates, s.candidate(0, slot, g, none.ID, "enumerated"))
	}
	s.ask(batch, s.choose)
	return s, nil
}

// enumeration finds the feasible genomes that no single step up leaves feasible. It decides site after site, a gate before
// its layers. Two individuals agree in what is decided; the rest is at its lowest in one, and at its dearest in the other.
// If low is over a limit, no genome that follows is feasible; if a decided site of high can still go up, so it can in all that follow.
// Where limits pull apart, low counts with the least that the rest can cost of each, and whether a site can go up shows at the end.
type enumeration struct {
	low, high    *Individual
	order        []int
	most, visits int
	found        []Genome
}

// from goes through the choices of the n-th site and those after it; false if there are too many.
func (e *enumeration) from(n int) bool {
	if n == len(e.order) {
		if e.low.ops.apart && e.room(e.low, n) {
			return true
		}
		e.found = append(e.found, slices.Clone(e.low.Levels))
		return len(e.found) <= e.most
	}
	i := e.order[n]
	levels := len(e.low.Space.Sites[i].Levels)
	if !e.low.Space.active(e.low.Levels, i) {
		levels = 1 // of a sublayer that is dropped
	}
	lowest, highest := len(e.low.log), len(e.high.log)
	for level := range levels {
		if e.visits--; e.visits < 0 {
			return false
		}
		e.low.put(i, uint8(level))
		if e.high.ops.gate[i] && level == Drop {
			e.high.drop(i)
		} else {
			e.high.put(i, uint8(level))
		}
		if e.mayFit(n+1) && (e.low.ops.apart || !e.room(e.high, n+1)) && !e.from(n+1) {
			return false
		}
		e.low.rollback(lowest)
		e.high.rollback(highest)
	}
	return true
}

// mayFit says whether low is within the limits, or can come within them by the sites from the n-th on.
func (e *enumeration) mayFit(n int) bool {
	if e.low.fits() || !e.low.ops.apart {
		return e.low.fits()
	}
	for c, k := range e.low.Space.Constraints {
		least := e.low.cost[c]
		for _, i := range e.order[n:] {
			if site := &e.low.Space.Sites[i]; e.low.isLayer(i) && e.low.Space.active(e.low.Levels, i) {
				least -= site.Levels[0].Costs[c] - site.cheapest(c)
			}
		}
		if least > k.Limit {
			return false
		}
	}
	return true
}

// room says whether one of the first n sites of an individual can go up.
func (e *enumeration) room(ind *Individual, n int) bool {
	for _, i := range e.order[:n] {
		mark := len(ind.log)
		if ind.raiseFits(i) || ind.keepFits(i) {
			ind.rollback(mark)
			return true
		}
	}
	return false
}

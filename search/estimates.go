package search

import "math"

// Estimates says how fit candidates are that were scored on different slices. A harder slice multiplies the scores of all by about the same
// factor, which those show that earlier slices had, too: whoever takes part in a later race is compared with them on the same text. The more
// tokens a candidate was scored on, the less a further slice moves its estimate. The zero value knows nobody.
type Estimates struct {
	of map[int]estimate // by the candidate's ID

	deviations, scores float64 // squares of relative deviations of scores from earlier estimates, per token; their number
}

type estimate struct {
	fitness float64 // on the text of the first slice, as it were; NaN once scoring failed
	tokens  float64
}

// Tell gives the fitness of candidates on one slice. Slices come in the order of scoring.
func (e *Estimates) Tell(ids []int, fitness []float64, tokens int) {
	if e.of == nil {
		e.of = make(map[int]estimate)
	}
	factor := e.factor(ids, fitness)
	for i, id := range ids {
		f, weight := fitness[i]/factor, float64(tokens)
		if math.IsInf(f, 0) {
			f = math.NaN()
		}
		known := e.of[id]
		if known.fitness > 0 && f > 0 {
			deviation := f/known.fitness - 1
			e.deviations += deviation * deviation / (1/weight + 1/known.tokens)
			e.scores++
		}
		all := known.tokens + weight
		e.of[id] = estimate{(known.fitness*known.tokens + f*weight) / all, all}
	}
}

// factor is how many times harder a slice is than its candidates' earlier ones, by the mean over them in tokens.
func (e *Estimates) factor(ids []int, fitness []float64) float64 {
	sum, weights := 0.0, 0.0
	for i, id := range ids {
		known := e.of[id]
		if ratio := fitness[i] / known.fitness; known.fitness > 0 && ratio > 0 && !math.IsInf(ratio, 0) {
			sum += known.tokens * ratio
			weights += known.tokens
		}
	}
	if sum == 0 {
		return 1
	}
	return sum / weights
}

// Of is a candidate's fitness as far as it is known: the estimate and its standard error, by how far scores were from estimates so far. So of
// two that look alike the one that was scored on less is the worse. NaN if it failed or was never scored.
func (e *Estimates) Of(id int) float64 {
	known, ok := e.of[id]
	switch {
	case !ok:
		return math.NaN()
	case e.scores == 0:
		return known.fitness
	}
	return known.fitness * (1 + math.Sqrt(e.deviations/e.scores/known.tokens))
}

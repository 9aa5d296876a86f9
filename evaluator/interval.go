package evaluator

import (
	"math"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// Interval is a mean with the half-width of its 95 % confidence interval.
type Interval struct {
	Mean, Half float64
}

// batches is how many stretches of text an interval is estimated from. Neighbouring sequences come from one passage and
// depend on each other, so the spread is that of the means of long stretches (batch means: Law and Kelton, Simulation
// Modeling and Analysis), by Student's t.
const batches = 8

// over estimates the mean of a total per position. Fewer than two sequences per batch are taken one by one.
func over(sequences []Sums, total func(i int) float64) Interval {
	n := len(sequences)
	if n < 2 {
		batch := total(0) / float64(sequences[0].Positions)
		return Interval{batch, math.Inf(1)}
	}
	k := batches
	if n < 2*batches {
		k = n
	}
	values, weights := make([]float64, k), make([]float64, k)
	for b := range k {
		for i := b * n / k; i < (b+1)*n/k; i++ {
			values[b] += total(i)
			weights[b] += float64(sequences[i].Positions)
		}
		values[b] /= weights[b]
	}
	t := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: float64(k - 1)}.Quantile(0.975)
	return Interval{stat.Mean(values, weights), t * stat.StdDev(values, nil) / math.Sqrt(float64(k))}
}

// KLInterval is the mean KL per position and how well the slice determines it.
func (s *Score) KLInterval() Interval {
	return over(s.Sequences, func(i int) float64 { return s.Sequences[i].KL })
}

// NLLInterval is the mean negative log-likelihood per position; perplexity is its exponential.
func (s *Score) NLLInterval() Interval {
	return over(s.Sequences, func(i int) float64 { return s.Sequences[i].NLL })
}

// PairedKL is the mean difference in KL per position, a − b, of two networks on one slice. Paired by sequence, what makes
// a sequence hard for both cancels. a beats b when Mean + Half < 0.
func PairedKL(a, b *Score) Interval {
	return over(a.Sequences, func(i int) float64 { return a.Sequences[i].KL - b.Sequences[i].KL })
}

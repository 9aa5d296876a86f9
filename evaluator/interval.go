package evaluator

import (
	"math"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// Interval is a mean with the half-width of its 95 % confidence interval, by Student's t over sequences of text: tokens
// of one sequence depend on each other, sequences hardly do.
type Interval struct {
	Mean, Half float64
}

// over estimates the mean of a total per position. Sequences weigh as they have positions; the spread is that of the
// unweighted values, because gonum takes weights for frequencies and there are fewer sequences than positions.
func over(sequences []Sums, total func(i int) float64) Interval {
	values, weights := make([]float64, len(sequences)), make([]float64, len(sequences))
	for i, s := range sequences {
		weights[i] = float64(s.Positions)
		values[i] = total(i) / weights[i]
	}
	mean, n := stat.Mean(values, weights), float64(len(values))
	if n < 2 {
		return Interval{mean, math.Inf(1)}
	}
	t := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: n - 1}.Quantile(0.975)
	return Interval{mean, t * stat.StdDev(values, nil) / math.Sqrt(n)}
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

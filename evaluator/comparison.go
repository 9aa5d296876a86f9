package evaluator

import (
	"context"
	"math"
	"slices"

	"github.com/finch-llm/finch/kernels"
	"github.com/finch-llm/finch/model"
)

// Positions scores every position of a corpus, in the text's order.
func (e *Engine) Positions(ctx context.Context, network *model.Network, c *Corpus) ([]kernels.TokenScore, error) {
	n := c.positions()
	scores := make([]kernels.TokenScore, c.Len()*n)
	_, err := e.score(ctx, []*model.Network{network}, c.Whole(), func(_, i int, p positions) error {
		copy(scores[i*n:], p.scores)
		return nil
	})
	return scores, err
}

// Estimate is a mean, or a function of means, and its standard error as llama.cpp's perplexity program finds it: positions count as
// independent of each other.
type Estimate struct {
	Value float64 `json:"value"`
	Error float64 `json:"error"`
}

// Comparison is what llama.cpp's perplexity program prints of a model beside a base model. KLD is KL(base‖model) in nats; Δp is
// how much more likely the model finds the token that follows than the base does.
type Comparison struct {
	PPL         Estimate   `json:"ppl"`
	PPLBase     Estimate   `json:"ppl_base"`
	Correlation float64    `json:"ln_ppl_correlation"` // 0 if every position has the same likelihood, where it is undefined
	LogRatio    Estimate   `json:"ln_ppl_ratio"`
	Ratio       Estimate   `json:"ppl_ratio"`
	Difference  Estimate   `json:"ppl_difference"`
	KLD         Estimate   `json:"kld"`
	KLDs        []Quantile `json:"kld_quantiles"`
	DeltaP      Estimate   `json:"delta_p"`
	DeltaPs     []Quantile `json:"delta_p_quantiles"`
	RMSDeltaP   Estimate   `json:"rms_delta_p"`
	SameTop     Estimate   `json:"same_top_p"`
}

// Quantile is the value below which a fraction of all values are: 0 is their minimum, 1 their maximum.
type Quantile struct {
	Fraction float64 `json:"fraction"`
	Value    float64 `json:"value"`
}

var (
	kldFractions    = []float64{1, 0.999, 0.99, 0.95, 0.9, 0.5, 0.1, 0.05, 0.01, 0.001, 0}
	deltaPFractions = []float64{1, 0.999, 0.99, 0.95, 0.9, 0.75, 0.5, 0.25, 0.1, 0.05, 0.01, 0.001, 0}
)

// Perplexity is exp of the mean negative log-likelihood at some positions.
func Perplexity(scores []kernels.TokenScore) Estimate {
	return MeanOf(column(scores, func(s *kernels.TokenScore) float64 { return s.NLL })).Exp()
}

// Compare puts together the scores of a model's positions against a base's.
func Compare(scores []kernels.TokenScore) *Comparison {
	nll := column(scores, func(s *kernels.TokenScore) float64 { return s.NLL })
	base := column(scores, func(s *kernels.TokenScore) float64 { return s.TeacherNLL })
	kld := column(scores, func(s *kernels.TokenScore) float64 { return s.KL })
	delta := column(scores, func(s *kernels.TokenScore) float64 { return math.Exp(-s.NLL) - math.Exp(-s.TeacherNLL) })
	squares := make([]float64, len(delta))
	for i, d := range delta {
		squares[i] = d * d
	}
	same := 0.0
	for i := range scores {
		if scores[i].Top == scores[i].TeacherTop {
			same++
		}
	}
	n := float64(len(scores))

	q, b := MeanOf(nll), MeanOf(base)
	covariance := covarianceOfMeans(nll, base)
	c := &Comparison{PPL: q.Exp(), PPLBase: b.Exp(), KLD: MeanOf(kld), DeltaP: MeanOf(delta)}
	if q.Error > 0 && b.Error > 0 {
		c.Correlation = covariance / (q.Error * b.Error)
	}
	c.LogRatio = Estimate{q.Value - b.Value, deviation(q.Error*q.Error + b.Error*b.Error - 2*covariance)}
	c.Ratio = c.LogRatio.Exp()
	c.Difference = Estimate{
		c.PPL.Value - c.PPLBase.Value,
		deviation(c.PPL.Error*c.PPL.Error + c.PPLBase.Error*c.PPLBase.Error - 2*c.PPL.Value*c.PPLBase.Value*covariance),
	}
	c.KLDs, c.DeltaPs = quantiles(kld, kldFractions), quantiles(delta, deltaPFractions)
	mse := MeanOf(squares)
	c.RMSDeltaP.Value = math.Sqrt(mse.Value)
	if mse.Value > 0 {
		c.RMSDeltaP.Error = mse.Error / (2 * c.RMSDeltaP.Value)
	}
	c.SameTop = Estimate{same / n, deviation(same / n * (1 - same/n) / (n - 1))}
	return c
}

func column(scores []kernels.TokenScore, value func(*kernels.TokenScore) float64) []float64 {
	values := make([]float64, len(scores))
	for i := range scores {
		values[i] = value(&scores[i])
	}
	return values
}

// MeanOf gives values' mean and its standard error, of which a single value has none.
func MeanOf(values []float64) Estimate {
	n, sum, squares := float64(len(values)), 0.0, 0.0
	for _, v := range values {
		sum += v
		squares += v * v
	}
	mean := sum / n
	if n < 2 {
		return Estimate{Value: mean}
	}
	return Estimate{mean, deviation((squares/n - mean*mean) / (n - 1))}
}

// covarianceOfMeans is that of the means of a and b.
func covarianceOfMeans(a, b []float64) float64 {
	n, sumA, sumB, product := float64(len(a)), 0.0, 0.0, 0.0
	for i := range a {
		sumA += a[i]
		sumB += b[i]
		product += a[i] * b[i]
	}
	return (product/n - sumA/n*(sumB/n)) / (n - 1)
}

// Exp is the exponential, whose error is that of its linear approximation.
func (e Estimate) Exp() Estimate { return Estimate{math.Exp(e.Value), math.Exp(e.Value) * e.Error} }

// deviation is the square root of a variance, which rounding may have made negative.
func deviation(variance float64) float64 { return math.Sqrt(max(variance, 0)) }

// quantiles interpolates between the two values beside a fraction.
func quantiles(values, fractions []float64) []Quantile {
	sorted := slices.Clone(values)
	slices.Sort(sorted)
	list := make([]Quantile, len(fractions))
	for i, f := range fractions {
		at := f * float64(len(sorted)-1)
		low := int(at)
		high := min(low+1, len(sorted)-1)
		list[i] = Quantile{f, sorted[low] + (at-float64(low))*(sorted[high]-sorted[low])}
	}
	return list
}

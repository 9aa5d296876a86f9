package search

import (
	"errors"
	"math"
	"slices"
)

// owlRange is λ, half of what the sparsest block has more zeros than the one with the most outliers.
const owlRange = 0.08

// newOWL makes those blocks less sparse that have more outlying weights (Yin et al., "Outlier Weighed Layerwise Sparsity", arXiv
// 2310.05175). All layers of a block are equally sparse, as far as their levels allow. It is scored once.
func newOWL(o *Operators, settings Settings, _ uint64) (Strategy, error) {
	sparse := func(zeros []float64) bool { return slices.Max(zeros) > 0 }
	switch {
	case slices.Contains(o.gate, true):
		return nil, errors.New("it decides how sparse layers are and drops none: leave the level drop out")
	case !slices.ContainsFunc(settings.Zeros, sparse):
		return nil, errors.New(`it decides how sparse layers are, and no level is known to leave weights out: write levels such as "wanda-0.50"`)
	case settings.Outliers == nil:
		return nil, errors.New("the shares of outliers in blocks are not known: set Outliers")
	}
	return scoredOnce(settings, o.nearest(settings.Zeros, o.owl(settings)), "owl"), nil
}

// owl is how sparse each site is to be [sites]: S − r + mean(r) with r = 2λ(D − min D)/(max D − min D) for its block's share of outliers D. Thus
// the authors' code: sparsities keep the mean S and spread over 2λ, which need not lie evenly around S.
func (o *Operators) owl(settings Settings) []float64 {
	least, most := math.Inf(1), math.Inf(-1)
	for i := range o.space.Sites {
		d := settings.Outliers[o.space.Sites[i].Block]
		least, most = min(least, d), max(most, d)
	}
	r := make([]float64, len(o.space.Sites))
	sum, weights := 0.0, 0.0
	for i := range r {
		site := &o.space.Sites[i]
		if most > least {
			r[i] = 2 * owlRange * (settings.Outliers[site.Block] - least) / (most - least)
		}
		sum += float64(site.Weights) * r[i]
		weights += float64(site.Weights)
	}
	sparsity := o.uniformSparsity(settings.Zeros) + sum/max(1, weights)
	for i := range r {
		r[i] = sparsity - r[i]
	}
	return r
}

// uniformSparsity is the share of zeros that meets the budget, between those of the uniform genomes beside it.
func (o *Operators) uniformSparsity(zeros [][]float64) float64 {
	of := func(g Genome) float64 {
		sum, weights := 0.0, 0.0
		for i, level := range g {
			w := float64(o.space.Sites[i].Weights)
			sum += w * zeros[i][level]
			weights += w
		}
		return sum / max(1, weights)
	}
	below, base, ceil := of(o.base.genome), o.space.Cost(o.base.genome)[0], o.space.Cost(o.ceil.genome)[0]
	share := float64(o.space.Constraints[0].Limit-base) / float64(max(1, ceil-base))
	return below + max(0, min(share, 1))*(of(o.ceil.genome)-below)
}

// nearest is the individual whose layers are, weight by weight, nearest to the sparsities wanted of them.
func (o *Operators) nearest(zeros [][]float64, want []float64) *Individual {
	d := make(damages, len(want))
	g := make(Genome, len(want))
	for i := range d {
		d[i] = make([]float64, len(zeros[i]))
		for l, z := range zeros[i] {
			d[i][l] = float64(o.space.Sites[i].Weights) * (z - want[i]) * (z - want[i])
			if d[i][l] < d[i][g[i]] {
				g[i] = uint8(l)
			}
		}
	}
	ind := o.individual(g)
	d.lower(ind)
	d.raise(ind)
	return ind
}

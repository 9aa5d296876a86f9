package search

import (
	"cmp"
	"errors"
	"slices"
)

// newUniform is the baseline that needs no search: the best single level for all layers that fits, then the spare
// budget greedily in block order. Where no level fits with every sublayer kept, and on the depth axis, the least
// important sublayers are dropped, as ShortGPT does (arXiv 2403.03853). It is scored once, to have a fitness.
func newUniform(o *Operators, settings Settings, _ uint64) (Strategy, error) {
	ind, operator, err := o.naive(settings)
	if err != nil {
		return nil, err
	}
	return scoredOnce(settings, ind, operator), nil
}

// naive is that baseline.
func (o *Operators) naive(settings Settings) (ind *Individual, operator string, err error) {
	ind = o.individual(slices.Clone(o.base.genome))
	operator = "uniform"
	if o.base.name != "" {
		operator += " " + o.base.name
	}
	switch {
	case ind.fits():
	case o.apart: // the lowest levels are no way to the limits
		if settings.Importance != nil {
			ind.dropCounted(o.ranked(settings.Importance))
		}
		ind.lowerToBudget(Rand(0, 0, 0))
		operator += ", brought within the limits"
	default:
		if err := ind.dropByImportance(settings.Importance); err != nil {
			return nil, "", err
		}
		operator = "uniform, least important dropped"
	}
	ind.raiseInBlockOrder()
	return ind, operator, nil
}

// dropByImportance puts all layers at their lowest level and drops sublayers, the least important first, until every
// limit holds.
func (ind *Individual) dropByImportance(importance []float64) error {
	for i, isGate := range ind.ops.gate {
		if !isGate {
			ind.put(i, 0)
		}
	}
	if ind.fits() {
		return nil
	}
	if importance == nil {
		return errors.New("sublayers must be dropped to meet the budget and their importance is not known: set Importance")
	}
	for _, gate := range ind.ops.ranked(importance) {
		if ind.dropHelps(gate) {
			ind.drop(gate)
		}
	}
	return nil
}

// gates are the sites that keep or drop a sublayer.
func (o *Operators) gates() []int {
	var gates []int
	for i, isGate := range o.gate {
		if isGate {
			gates = append(gates, i)
		}
	}
	return gates
}

// ranked are the gates from the least important.
func (o *Operators) ranked(importance []float64) []int {
	gates := o.gates()
	rank := make([]int, len(gates)) // positions in gates
	for k := range rank {
		rank[k] = k
	}
	slices.SortStableFunc(rank, func(a, b int) int { return cmp.Compare(importance[a], importance[b]) })
	for k, position := range rank {
		rank[k] = gates[position]
	}
	return rank
}

// raiseInBlockOrder raises layer after layer by one level where that fits, from the first block to the last, until a
// whole pass raises none.
func (ind *Individual) raiseInBlockOrder() {
	sites := ind.Space.Sites
	order := make([]int, len(sites))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(sites[a].Block, sites[b].Block) })
	for raised := true; raised; {
		raised = false
		for _, i := range order {
			raised = ind.raiseFits(i) || ind.ops.apart && ind.jumpFits(i) || raised
		}
	}
}

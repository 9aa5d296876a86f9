package search

// newGreedy goes down from the dearest genome, one step of one site at a time, each the step of the least measured damage
// for what it saves, and spends what the last step left over. Tools that mix tensor types by hand-made tables of single
// measurements work so; Lagrangian relaxation differs in looking beyond the next level.
func newGreedy(o *Operators, settings Settings, _ uint64) (Strategy, error) {
	return newSeparable(o, settings, "greedy", func(o *Operators, d damages) *Individual {
		ind := o.individual(o.dearest())
		d.lower(ind)
		d.raise(ind)
		return ind
	})
}

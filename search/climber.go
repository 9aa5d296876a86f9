package search

import (
	"math"
	"slices"
)

// climber is an individual whose predicted fitness is kept up to date.
type climber struct {
	*Individual
	model *surrogate

	d, x  []float64 // damage and amplitude of each site at its level
	ax    []float64 // A·x
	value float64   // m(Levels)
	taboo []bool    // sites that repair leaves alone
}

func (s *surrogate) climber(ind *Individual) *climber {
	n := len(ind.Levels)
	c := &climber{
		Individual: ind, model: s,
		d: make([]float64, n), x: make([]float64, n), ax: make([]float64, n), taboo: make([]bool, n),
	}
	for i := range n {
		c.d[i], c.x[i] = s.at(ind.Levels, i)
		c.value += c.d[i]
	}
	if s.a != nil {
		for i := range n {
			c.ax[i] = dot(s.a[i*n:(i+1)*n], c.x)
		}
		c.value += dot(c.x, c.ax)
	}
	return c
}

// clone copies a climber, without what is taboo.
func (c *climber) clone() *climber {
	return &climber{
		Individual: c.Individual.Clone(), model: c.model,
		d: slices.Clone(c.d), x: slices.Clone(c.x), ax: slices.Clone(c.ax), value: c.value, taboo: make([]bool, len(c.taboo)),
	}
}

// moved are the sites that were put since the log had this length, each once.
func (c *climber) moved(mark int) []int {
	var sites []int
	for _, change := range c.log[mark:] {
		if !slices.Contains(sites, change.site) {
			sites = append(sites, change.site)
		}
	}
	return sites
}

// harm is by how much the puts since the log had this length raise the prediction.
func (c *climber) harm(mark int) float64 {
	sites := c.moved(mark)
	shifts := make([]float64, len(sites)) // of amplitudes
	sum := 0.0
	for k, i := range sites {
		damage, amplitude := c.model.at(c.Levels, i)
		shifts[k] = amplitude - c.x[i]
		sum += damage - c.d[i]
	}
	if c.model.a == nil {
		return sum
	}
	for k, i := range sites { // (x+s)ᵀA(x+s) − xᵀAx = 2sᵀAx + sᵀAs
		sum += 2 * shifts[k] * c.ax[i]
		for l, j := range sites {
			sum += shifts[k] * shifts[l] * c.model.a[i*len(c.x)+j]
		}
	}
	return sum
}

// commit takes note of the puts since the log had this length.
func (c *climber) commit(mark int) {
	c.value += c.harm(mark)
	for _, i := range c.moved(mark) {
		damage, amplitude := c.model.at(c.Levels, i)
		if shift := amplitude - c.x[i]; c.model.a != nil && shift != 0 {
			for j := range c.ax {
				c.ax[j] += shift * c.model.a[i*len(c.x)+j]
			}
		}
		c.d[i], c.x[i] = damage, amplitude
	}
	c.log = c.log[:mark]
}

// wander goes so many kicks from here, of which, after the first, those stay that are predicted to be better. It returns nil if there is no
// way.
func (c *climber) wander(kicks int, rng Random) *climber {
	at := c
	for range kicks {
		next := at.clone()
		if next.kick(rng) && (at == c || next.value < at.value) {
			at = next
		}
	}
	if at == c {
		return nil
	}
	return at
}

// kick changes one or two sites at random, and repairs the budget at others.
func (c *climber) kick(rng Random) bool {
	for range 1 + rng.IntN(2) {
		i := pick(rng, len(c.Levels), func(i int) bool { return !c.taboo[i] && c.canFlip(i) })
		if i < 0 {
			return false
		}
		mark := len(c.log)
		joint{}.flip(c.Individual, i, rng)
		c.commit(mark)
		c.taboo[i] = true
	}
	c.repair(rng)
	return true
}

// repair brings the individual within the limits and spends what is left by the best predicted steps, or at random where single steps
// do not lead there.
func (c *climber) repair(rng Random) {
	if !c.descend() {
		mark := len(c.log)
		c.ops.axis.repair(c.Individual, rng)
		c.commit(mark)
	}
	c.ascend()
}

// descend takes steps down until every limit holds, always the one of the least harm for what it saves. It gives up, with false, where
// no step saves anything.
func (c *climber) descend() bool {
	for !c.fits() {
		best, least := -1, math.Inf(1)
		over := c.excess()
		for i := range c.Levels {
			if c.taboo[i] {
				continue
			}
			saved := c.relief(i, over)
			if saved <= 0 {
				continue
			}
			mark := len(c.log)
			c.stepDown(i)
			if price := c.harm(mark) / saved; price < least {
				best, least = i, price
			}
			c.rollback(mark)
		}
		if best < 0 {
			return false
		}
		mark := len(c.log)
		c.stepDown(best)
		c.commit(mark)
	}
	return true
}

// ascend takes steps up while any fits that is predicted to help, always the one that helps most for what it costs, and others only while
// more is unused than an individual may leave.
func (c *climber) ascend() {
	for {
		best, most := -1, math.Inf(-1)
		for i := range c.Levels {
			mark, cost := len(c.log), c.cost[0]
			if c.taboo[i] || !c.raiseFits(i) && !c.keepFits(i) {
				continue
			}
			if value := worthwhile(-c.harm(mark), c.cost[0]-cost); value > most {
				best, most = i, value
			}
			c.rollback(mark)
		}
		if best < 0 || most <= 0 && !c.wasteful() {
			return
		}
		mark := len(c.log)
		if !c.raiseFits(best) {
			c.keepFits(best)
		}
		c.commit(mark)
	}
}

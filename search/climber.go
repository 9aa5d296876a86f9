package search

import "math"

// climber is an individual whose predicted loss is kept up to date.
type climber struct {
	*Individual
	s *surrogate

	x, ax []float64 // amplitudes, and A·x
	value float64   // predicted
	taboo []bool    // sites that are not to be moved back
}

func (s *surrogate) climber(ind *Individual) *climber {
	c := &climber{Individual: ind, s: s, taboo: make([]bool, len(ind.Levels))}
	c.x, c.value = s.amplitudes(ind.Levels)
	c.ax = make([]float64, len(c.x))
	if s.a != nil {
		for i := range c.ax {
			c.ax[i] = dot(s.a[i*len(c.x):(i+1)*len(c.x)], c.x)
		}
		c.value += dot(c.x, c.ax)
	}
	return c
}

func (c *climber) clone() *climber {
	d := *c
	d.Individual = c.Individual.Clone()
	d.x, d.ax = append([]float64(nil), c.x...), append([]float64(nil), c.ax...)
	d.taboo = make([]bool, len(c.taboo))
	return &d
}

// shift is a site whose amplitude has changed.
type shift struct {
	site int
	by   float64
}

// since says what the puts since the log had this length change in the prediction.
func (c *climber) since(mark int) (shifts []shift, difference float64) {
	n := len(c.x)
	for k := mark; k < len(c.log); k++ {
		i := c.log[k].site
		seen := false
		for _, s := range shifts {
			seen = seen || s.site == i
		}
		if seen {
			continue
		}
		damage, amplitude := c.s.at(c.Levels, i)
		was := c.before(mark, i)
		difference += damage - was
		shifts = append(shifts, shift{i, amplitude - c.x[i]})
	}
	if c.s.a == nil {
		return shifts, difference
	}
	for _, s := range shifts {
		difference += 2 * s.by * c.ax[s.site]
		for _, t := range shifts {
			difference += s.by * t.by * c.s.a[s.site*n+t.site]
		}
	}
	return shifts, difference
}

// before is the damage of site i before the puts since the log had this length.
func (c *climber) before(mark, i int) float64 {
	level := func(site int) uint8 {
		for k := mark; k < len(c.log); k++ {
			if c.log[k].site == site {
				return c.log[k].old
			}
		}
		return c.Levels[site]
	}
	if gate := c.Space.Sites[i].Gate; gate >= 0 && level(gate) == Drop {
		return 0
	}
	return c.s.d[i][level(i)]
}

// commit makes the puts since the log had this length part of the prediction.
func (c *climber) commit(mark int) {
	shifts, difference := c.since(mark)
	n := len(c.x)
	for _, s := range shifts {
		c.x[s.site] += s.by
		if c.s.a != nil {
			for j := range c.ax {
				c.ax[j] += s.by * c.s.a[s.site*n+j]
			}
		}
	}
	c.value += difference
	c.log = c.log[:mark]
}

// wander goes so many kicks from here, each repaired to the budget by the steepest steps; of the later ones those are kept that are
// predicted to be better. It returns nil if there is no way.
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

// kick changes one or two sites at random and repairs the budget at others.
func (c *climber) kick(rng Random) bool {
	for range 1 + rng.IntN(2) {
		i := pick(rng, len(c.Levels), func(i int) bool { return !c.taboo[i] && c.canFlip(i) })
		if i < 0 {
			return false
		}
		mark := len(c.log)
		joint{}.flip(c.Individual, i, rng)
		c.taboo[i] = true
		c.commit(mark)
	}
	if !c.descend() {
		return false
	}
	c.ascend()
	return true
}

// descend takes steps down until every limit holds, always the one of the least predicted harm for what it saves.
func (c *climber) descend() bool {
	for !c.fits() {
		best, least := -1, math.Inf(1)
		for i := range c.Levels {
			if c.taboo[i] || !c.kept(i) && !c.canLower(i) {
				continue
			}
			saved := c.relief(i)
			if saved <= 0 {
				continue
			}
			mark := len(c.log)
			c.stepDown(i)
			_, harm := c.since(mark)
			c.rollback(mark)
			if harm/saved < least {
				best, least = i, harm/saved
			}
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

// ascend takes steps up while any fits that is predicted to help, always the one that helps most for what it costs.
func (c *climber) ascend() {
	for {
		best, most := -1, math.Inf(-1)
		for i := range c.Levels {
			if c.taboo[i] {
				continue
			}
			mark, cost := len(c.log), c.cost[0]
			if !c.raiseFits(i) && !c.keepFits(i) {
				continue
			}
			_, harm := c.since(mark)
			if value := -harm / max(1, float64(c.cost[0]-cost)); value > most {
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

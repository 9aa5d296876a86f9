package search

import "math"

// climber is an individual whose predicted fitness is kept up to date, and that can go back to where it was.
type climber struct {
	*Individual
	model *surrogate

	d, x  []float64 // damage and amplitude of each site at its level
	ax    []float64 // A·x; nil: nothing learnt
	value float64   // m(Levels)

	taboo []bool // sites that repair leaves alone
	tried []int  // those sites

	start, last place // of a child, of a kick

	rankings []*ranking // of steps down by harm for what is saved of each limit, then of steps up by what is healed for its cost

	sites  []int // of moved; its memory is used again
	listed []int // the last list that each site was on [sites]
	lists  int   // so far
	shifts []float64
}

func (s *surrogate) climber(ind *Individual) *climber {
	n := len(ind.Levels)
	c := &climber{
		Individual: ind, model: s,
		d: make([]float64, n), x: make([]float64, n), taboo: make([]bool, n), listed: make([]int, n),
		rankings: make([]*ranking, len(ind.cost)+2),
	}
	for i := range n {
		c.d[i], c.x[i] = s.at(ind.Levels, i)
		c.value += c.d[i]
	}
	if s.a != nil {
		c.ax = make([]float64, n)
		for i := range n {
			c.ax[i] = dot(s.a[i*n:(i+1)*n], c.x)
		}
		c.value += dot(c.x, c.ax)
	}
	return c
}

// moved are the sites that were put since the log had this length, each once. They are good until it is called again.
func (c *climber) moved(mark int) []int {
	c.lists++
	c.sites = c.sites[:0]
	for _, change := range c.log[mark:] {
		if c.listed[change.site] != c.lists {
			c.listed[change.site] = c.lists
			c.sites = append(c.sites, change.site)
		}
	}
	return c.sites
}

// harm is by how much the puts since the log had this length, which are not committed, raise the prediction.
func (c *climber) harm(mark int) float64 {
	sites := c.moved(mark)
	shifts := c.shifts[:0] // of amplitudes
	sum := 0.0
	for _, i := range sites {
		damage, amplitude := c.model.at(c.Levels, i)
		shifts = append(shifts, amplitude-c.x[i])
		sum += damage - c.d[i]
	}
	c.shifts = shifts
	if c.ax == nil {
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

// harmOf is what harm would be after layer i alone was put to a level.
func (c *climber) harmOf(i int, level uint8) float64 {
	sum := c.model.d[i][level] - c.d[i]
	if c.ax != nil {
		shift := c.model.x[i][level] - c.x[i]
		sum += 2 * shift * c.ax[i]
		sum += shift * shift * c.model.a[i*len(c.x)+i]
	}
	return sum
}

// commit takes note of the puts since the log had this length.
func (c *climber) commit(mark int) {
	c.value += c.harm(mark)
	for _, i := range c.moved(mark) {
		damage, amplitude := c.model.at(c.Levels, i)
		if shift := amplitude - c.x[i]; c.ax != nil && shift != 0 {
			for j := range c.ax {
				c.ax[j] += shift * c.model.a[i*len(c.x)+j]
			}
		}
		c.d[i], c.x[i] = damage, amplitude
		c.touch(i)
	}
}

// place is where a climber was.
type place struct {
	mark  int // length of the log
	value float64
	ax    []float64
}

// remember is where the climber is; its commits stay in the log.
func (c *climber) remember(p *place) {
	p.mark, p.value, p.ax = len(c.log), c.value, append(p.ax[:0], c.ax...)
}

// back goes to a place that it came from.
func (c *climber) back(p *place) {
	sites := c.moved(p.mark)
	c.rollback(p.mark)
	for _, i := range sites {
		c.d[i], c.x[i] = c.model.at(c.Levels, i)
		c.touch(i)
	}
	c.value = p.value
	copy(c.ax, p.ax)
}

// child is the best, by prediction, of several walks of so many kicks from here, where the climber is again afterwards; nil if there is no
// way.
func (c *climber) child(kicks int, rng Random) Genome {
	var best Genome
	least := math.Inf(1)
	c.remember(&c.start)
	walks := tries
	if !c.model.learns() {
		walks = 1 // where damages only add up, the best of several is the one that went least far
	}
	for range walks {
		if c.wander(kicks, rng) && (best == nil || c.value < least) {
			best, least = append(best[:0], c.Levels...), c.value
		}
		c.back(&c.start)
	}
	return best
}

// wander goes so many kicks from here, of which, after the first, those stay that are predicted to be better. It says whether any did.
func (c *climber) wander(kicks int, rng Random) bool {
	away := false
	for range kicks {
		c.remember(&c.last)
		if c.kick(rng) && (!away || c.value < c.last.value) {
			away = true
		} else {
			c.back(&c.last)
		}
		c.forget()
	}
	return away
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
		c.taboo[i], c.tried = true, append(c.tried, i)
		c.commit(mark)
	}
	c.repair(rng)
	return true
}

// forget ends what is taboo.
func (c *climber) forget() {
	for _, i := range c.tried {
		c.taboo[i] = false
		c.touch(i)
	}
	c.tried = c.tried[:0]
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

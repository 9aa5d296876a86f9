package search

import "math"

// The best step down or up is found by looking at every site where there are pair terms, because any move then changes what all others
// are worth. Where damages add up it changes its own site's, and rankings of all sites' steps are kept.

// ranking is a tree of the steps of all sites, some of which have to be looked at again before its next use.
type ranking struct {
	*stepTree
	outdated []int
	listed   []bool // whether a site is among them [sites]
}

// touch takes note that the steps of a site and of its sublayer are not what they were.
func (c *climber) touch(i int) {
	gate := i
	if c.isLayer(i) {
		gate = c.Space.Sites[i].Gate
	}
	for k, r := range c.rankings {
		if r == nil {
			continue
		}
		if gate >= 0 {
			r.outdate(gate)
		}
		if gate != i && k < c.lowestUps() { // of no layer
			r.outdate(i)
		}
	}
}

// ups and lowestUps are the rankings after those of steps down, one for each limit.
func (c *climber) ups() int       { return len(c.cost) }
func (c *climber) lowestUps() int { return len(c.cost) + 1 }

func (r *ranking) outdate(i int) {
	if !r.listed[i] {
		r.listed[i], r.outdated = true, append(r.outdated, i)
	}
}

// ranking brings one of the rankings up to date, which is made when it is first needed.
func (c *climber) ranking(k int, step func(site int) node) *ranking {
	r := c.rankings[k]
	if r == nil {
		r = &ranking{stepTree: newStepTree(len(c.Levels), step), listed: make([]bool, len(c.Levels))}
		c.rankings[k] = r
	}
	for _, i := range r.outdated {
		r.put(i, step(i))
		r.listed[i] = false
	}
	r.outdated = r.outdated[:0]
	return r
}

// descend takes steps down until every limit holds, always the one of the least harm for what it saves. It gives up, with false, where
// no step saves anything.
func (c *climber) descend() bool {
	for !c.fits() {
		best := c.bestDown()
		if best < 0 {
			return false
		}
		mark := len(c.log)
		c.stepDown(best)
		c.commit(mark)
	}
	return true
}

// bestDown is the site of the best step down, or -1.
func (c *climber) bestDown() int {
	if limit := c.onlyViolated(); c.ax == nil && limit >= 0 {
		return c.ranking(limit, func(i int) node { return c.down(i, limit) }).first()
	}
	best, least := -1, math.Inf(1)
	over := c.excess()
	for i := range c.Levels {
		if c.taboo[i] {
			continue
		}
		if saved := c.relief(i, over); saved > 0 {
			if price := c.harmDown(i) / saved; price < least {
				best, least = i, price
			}
		}
	}
	return best
}

// onlyViolated is the limit that does not hold, or -1 if several do not.
func (c *climber) onlyViolated() int {
	only := -1
	for k, limit := range c.Space.Constraints {
		if c.cost[k] > limit.Limit {
			if only >= 0 {
				return -1
			}
			only = k
		}
	}
	return only
}

// down is the step down at site i as far as one limit is concerned.
func (c *climber) down(i, limit int) node {
	if c.taboo[i] {
		return noStep
	}
	saved := c.stepSaves(i, limit)
	if saved <= 0 {
		return noStep
	}
	return node{rank: c.harmDown(i) / float64(saved)}
}

// harmDown is the harm of a step down at a site that has one.
func (c *climber) harmDown(i int) float64 {
	if c.isLayer(i) {
		return c.harmOf(i, c.Levels[i]-1)
	}
	if c.ax == nil { // a survey's damages may have one for what is kept, which damages.harm takes for none
		harm := 0.0
		for _, layer := range c.ops.layers[i] {
			harm -= c.d[layer]
		}
		return harm + (c.model.d[i][Drop] - c.d[i])
	}
	mark := len(c.log)
	c.stepDown(i)
	harm := c.harm(mark)
	c.rollback(mark)
	return harm
}

// ascend takes steps up while any fits that is predicted to help, always the one that helps most for what it costs, and others only while
// more is unused than an individual may leave.
func (c *climber) ascend() {
	for {
		best, worth := c.bestUp()
		if best < 0 || worth <= 0 && !c.wasteful() {
			return
		}
		mark := len(c.log)
		if !c.raiseFits(best) {
			c.keepFits(best)
		}
		c.commit(mark)
	}
}

// bestUp is the site of the best step up that fits, or -1, and what it heals for its cost.
func (c *climber) bestUp() (best int, worth float64) {
	if c.ax == nil {
		visit := func(i int) float64 { return -c.worth(i) }
		best, rank := c.ranking(c.ups(), c.up).within(c.slack(), visit, -1, math.Inf(1))
		best, rank = c.ranking(c.lowestUps(), c.lowestUp).within(c.slack(), visit, best, rank)
		return best, -rank
	}
	best, worth = -1, math.Inf(-1)
	for i := range c.Levels {
		if w := c.worth(i); w > worth {
			best, worth = i, w
		}
	}
	return best, worth
}

// worth is what a step up at site i heals for its cost, -Inf if there is none that fits.
func (c *climber) worth(i int) float64 {
	switch {
	case c.taboo[i]:
	case c.canRaise(i):
		if c.hasRoom(i) {
			return -c.raised(i).rank
		}
	case c.dropped(i):
		mark, cost := len(c.log), c.cost[0]
		if c.keepFits(i) {
			return -c.takeBack(mark, cost).rank
		}
	}
	return math.Inf(-1)
}

// up is the step up at site i if there is room for it.
func (c *climber) up(i int) node {
	switch {
	case c.taboo[i]:
	case c.canRaise(i):
		return c.raised(i)
	case c.dropped(i):
		mark, cost := len(c.log), c.cost[0]
		c.keep(i)
		return c.takeBack(mark, cost)
	}
	return noStep
}

// lowestUp is the other way for a sublayer to come back, with its layers at their lowest.
func (c *climber) lowestUp(i int) node {
	if c.taboo[i] || !c.dropped(i) {
		return noStep
	}
	mark, cost := len(c.log), c.cost[0]
	c.put(i, Keep)
	for _, layer := range c.ops.layers[i] {
		c.put(layer, 0)
	}
	return c.takeBack(mark, cost)
}

// raised is layer i a level up.
func (c *climber) raised(i int) node {
	levels, l := c.Space.Sites[i].Levels, c.Levels[i]
	cost := levels[l+1].Costs[0] - levels[l].Costs[0]
	return node{-worthwhile(-c.harmOf(i, l+1), cost), cost}
}

// takeBack rolls back the puts since the log had this length, when this was the cost, and gives the step that they made.
func (c *climber) takeBack(mark int, cost int64) node {
	more := c.cost[0] - cost
	step := node{-worthwhile(-c.harm(mark), more), more}
	c.rollback(mark)
	return step
}

package search

import (
	"errors"
	"fmt"
	"math"
)

// maxLevels is what one byte of a genome can tell apart.
const maxLevels = 256

// Validate reports the first mistake in a space, or that no genome can meet its limits.
func (s *Space) Validate() error {
	_, err := newOperators(s)
	return err
}

// validate is about each site by itself, and each limit.
func (s *Space) validate() error {
	if len(s.Sites) == 0 {
		return errors.New("search space has no sites: nothing to search")
	}
	if len(s.Constraints) == 0 {
		return errors.New("search space has no constraint: set a budget")
	}
	names := make(map[string]bool, len(s.Sites))
	for i := range s.Sites {
		site := &s.Sites[i]
		if names[site.Name] {
			return fmt.Errorf("site %q appears twice in the search space", site.Name)
		}
		names[site.Name] = true
		if err := s.validateGate(site); err != nil {
			return fmt.Errorf("site %q: %w", site.Name, err)
		}
		if err := s.validateLevels(site); err != nil {
			return fmt.Errorf("site %q: %w", site.Name, err)
		}
	}
	if err := s.validateDrops(); err != nil {
		return err
	}
	if err := s.validateRange(); err != nil {
		return err
	}
	for c, k := range s.Constraints {
		if least := s.least(c); least > k.Limit {
			return fmt.Errorf("no feasible genome: with every site at its lowest level, %s comes to %d and the limit is %d "+
				"(%d over): raise the limit or add cheaper levels",
				k.Name, least, k.Limit, least-k.Limit)
		}
	}
	return nil
}

// least is the cost of constraint c that no genome is below: with every sublayer dropped, and layers without a gate at their cheapest.
func (s *Space) least(c int) int64 {
	sum := s.Constraints[c].Fixed
	for i := range s.Sites {
		switch site := &s.Sites[i]; {
		case site.IsGate():
			sum += site.Levels[Drop].Costs[c]
		case site.Gate < 0:
			sum += site.cheapest(c)
		}
	}
	return sum
}

// cheapest is the least that a level costs of constraint c.
func (site *Site) cheapest(c int) int64 {
	least := site.Levels[0].Costs[c]
	for _, level := range site.Levels {
		least = min(least, level.Costs[c])
	}
	return least
}

func (s *Space) validateGate(site *Site) error {
	switch {
	case site.Gate == -1:
		return nil
	case site.Gate < -1 || site.Gate >= len(s.Sites):
		return fmt.Errorf("gate %d is not a site: use an index below %d, or -1 for none", site.Gate, len(s.Sites))
	case site.IsGate():
		return errors.New("a gate cannot have a gate of its own: set its Gate to -1")
	case !s.Sites[site.Gate].IsGate():
		return fmt.Errorf(`gate %q must have the two levels "drop" and "keep", in this order`, s.Sites[site.Gate].Name)
	}
	return nil
}

func (s *Space) validateLevels(site *Site) error {
	if len(site.Levels) == 0 || len(site.Levels) > maxLevels {
		return fmt.Errorf("has %d levels: give it between 1 and %d", len(site.Levels), maxLevels)
	}
	if site.Weights < 0 {
		return fmt.Errorf("has %d weights: a count cannot be negative", site.Weights)
	}
	names := make(map[string]bool, len(site.Levels))
	for l, level := range site.Levels {
		if names[level.Name] {
			return fmt.Errorf("level %q appears twice", level.Name)
		}
		names[level.Name] = true
		if len(level.Costs) != len(s.Constraints) {
			return fmt.Errorf("level %q has %d costs for %d constraints", level.Name, len(level.Costs), len(s.Constraints))
		}
		for c, cost := range level.Costs {
			if cost < 0 {
				return fmt.Errorf("level %q costs %d of %s: a cost cannot be negative", level.Name, cost, s.Constraints[c].Name)
			}
		}
		if l > 0 && !site.IsGate() && level.Costs[0] < site.Levels[l-1].Costs[0] {
			return fmt.Errorf("level %q is cheaper in %s than level %q before it: order levels from the cheapest to the dearest",
				level.Name, s.Constraints[0].Name, site.Levels[l-1].Name)
		}
	}
	return nil
}

// validateDrops makes sure that dropping a sublayer saves something or nothing: whatever a file holds in its place must
// not cost more than the gate and its layers at their cheapest.
func (s *Space) validateDrops() error {
	for c, k := range s.Constraints {
		least := make([]int64, len(s.Sites)) // of a kept sublayer, by the index of its gate
		for i := range s.Sites {
			site := &s.Sites[i]
			switch {
			case site.IsGate():
				least[i] += site.Levels[Keep].Costs[c]
			case site.Gate >= 0:
				least[site.Gate] += site.cheapest(c)
			}
		}
		for i := range s.Sites {
			if site := &s.Sites[i]; site.IsGate() && least[i] < site.Levels[Drop].Costs[c] {
				return fmt.Errorf("site %q: keeping it costs less %s than dropping it", site.Name, k.Name)
			}
		}
	}
	return nil
}

// validateRange makes sure that no sum of costs can overflow, whatever the genome.
func (s *Space) validateRange() error {
	for c, k := range s.Constraints {
		if k.Fixed < 0 {
			return fmt.Errorf("constraint %s has the fixed cost %d: a cost cannot be negative", k.Name, k.Fixed)
		}
		total := k.Fixed
		for i := range s.Sites {
			var dearest int64
			for _, level := range s.Sites[i].Levels {
				dearest = max(dearest, level.Costs[c])
			}
			if dearest > math.MaxInt64-total {
				return fmt.Errorf("costs of %s add up to more than 2^63: use a coarser unit", k.Name)
			}
			total += dearest
		}
	}
	return nil
}

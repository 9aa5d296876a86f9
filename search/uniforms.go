package search

import (
	"cmp"
	"slices"
)

// uniform is one level for all layers, with every gate kept.
type uniform struct {
	name   string
	genome Genome
	costs  []int64 // of each constraint
}

// uniforms lists the uniform genomes of a space from the cheapest to the dearest, feasible or not; there is at least
// one. A level is named for all layers if half of those with a choice have it; a layer that lacks it (its width forbids
// the format, say) takes its dearest level that costs no more per weight. Where layers share no names, the position in
// the level list takes the place of the name.
func uniforms(space *Space) []uniform {
	var all []uniform
	for _, name := range sharedNames(space) {
		all = append(all, makeUniform(space, name, byName(space, name)))
	}
	if len(all) == 0 {
		return positions(space)
	}
	slices.SortStableFunc(all, func(a, b uniform) int { return cmp.Compare(a.costs[0], b.costs[0]) })
	return all
}

// positions lists the genomes with the k-th level of every layer, or its last.
func positions(space *Space) []uniform {
	longest := 0
	for i := range space.Sites {
		longest = max(longest, len(space.Sites[i].Levels))
	}
	all := make([]uniform, longest)
	for k := range all {
		all[k] = makeUniform(space, "", func(site *Site) int { return min(k, len(site.Levels)-1) })
	}
	return all
}

// equallyLong says whether all layers with a choice have the same number of levels.
func equallyLong(space *Space) bool {
	n := 0
	for i := range space.Sites {
		site := &space.Sites[i]
		if site.IsGate() || len(site.Levels) < 2 {
			continue
		}
		if n > 0 && len(site.Levels) != n {
			return false
		}
		n = len(site.Levels)
	}
	return true
}

func makeUniform(space *Space, name string, choose func(*Site) int) uniform {
	g := make(Genome, len(space.Sites))
	for i := range g {
		if site := &space.Sites[i]; site.IsGate() {
			g[i] = Keep
		} else {
			g[i] = uint8(choose(site))
		}
	}
	return uniform{name, g, space.Cost(g)}
}

// sharedNames are the level names that at least half of the layers with a choice have, in order of appearance.
func sharedNames(space *Space) []string {
	counts := make(map[string]int)
	var order, shared []string
	layers := 0
	for i := range space.Sites {
		site := &space.Sites[i]
		if site.IsGate() || len(site.Levels) < 2 {
			continue
		}
		layers++
		for _, level := range site.Levels {
			if counts[level.Name]++; counts[level.Name] == 1 {
				order = append(order, level.Name)
			}
		}
	}
	for _, name := range order {
		if 2*counts[name] >= layers {
			shared = append(shared, name)
		}
	}
	return shared
}

// byName chooses the named level, or else the dearest with no more cost per weight than that level has where it exists.
func byName(space *Space, name string) func(*Site) int {
	var cost, weights float64
	for i := range space.Sites {
		site := &space.Sites[i]
		if l := levelIndex(site, name); l >= 0 {
			cost += float64(site.Levels[l].Costs[0])
			weights += float64(site.Weights)
		}
	}
	return func(site *Site) int {
		if l := levelIndex(site, name); l >= 0 {
			return l
		}
		best := 0
		for l, level := range site.Levels {
			if float64(level.Costs[0])*weights <= cost*float64(site.Weights) {
				best = l
			}
		}
		return best
	}
}

func levelIndex(site *Site, name string) int {
	return slices.IndexFunc(site.Levels, func(level Level) bool { return level.Name == name })
}

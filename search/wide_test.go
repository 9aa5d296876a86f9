package search

import (
	"fmt"
	"math"
	"testing"
)

// BenchmarkPropose makes 128 offspring of 10,000 sites with 16 levels each, one generation's proposals.
func BenchmarkPropose(b *testing.B) {
	for _, gates := range []bool{false, true} {
		name := map[bool]string{false: "bits", true: "joint"}[gates]
		b.Run(name, func(b *testing.B) {
			e := wideSearch(b, gates)
			for b.Loop() {
				e.generation++
				if n := len(e.offspring()); n != 128 {
					b.Fatal(n, "offspring")
				}
			}
		})
	}
}

// BenchmarkCrossover makes 128 children of 64 pairs of parents that differ at nearly every site.
func BenchmarkCrossover(b *testing.B) {
	for _, gates := range []bool{false, true} {
		name := map[bool]string{false: "bits", true: "joint"}[gates]
		b.Run(name, func(b *testing.B) {
			o := wideSearch(b, gates).ops
			x, y := o.Sample(Rand(1, 0, 0)), o.Sample(Rand(1, 0, 1))
			for b.Loop() {
				for slot := range 64 {
					x.Clone().Crossover(y.Clone(), Rand(2, 0, slot))
				}
			}
		})
	}
}

// wideSearch is an evopress search over 10,000 sites of 16 unevenly spaced levels, ready to propose.
func wideSearch(b *testing.B, gates bool) *evopress {
	const n, gateOf = 10000, 8 // every eighth site is the gate of the seven after it
	space := &Space{Constraints: []Constraint{{Name: "bytes"}}}
	for i := range n {
		if gates && i%gateOf == 0 {
			space.Sites = append(space.Sites, Site{Name: fmt.Sprint(i), Kind: "mlp", Block: i, Gate: -1, Levels: gateLevels([]int64{10})})
			continue
		}
		site := Site{Name: fmt.Sprint(i), Kind: "ffn_up", Block: i, Weights: int64(4096 << (i % 3)), Gate: -1}
		if gates {
			site.Gate = i / gateOf * gateOf
		}
		for l := range 16 {
			site.Levels = append(site.Levels, Level{fmt.Sprint("l", l), []int64{site.Weights * int64(16+3*l+l*l/4) / 64}})
		}
		space.Sites = append(space.Sites, site)
		space.Constraints[0].Limit += site.Weights / 2
	}
	o := mustOperators(b, space, "", "")
	settings := Settings{}.defaults(o)
	e := &evopress{ops: o, settings: settings, seed: 1, parent: none}
	e.parent = e.candidate(0, o.Start(Rand(1, 0, 0)).Levels, "start")
	return e
}

// BenchmarkGreedy goes down from the dearest genome to the limit and spends what is left.
func BenchmarkGreedy(b *testing.B) {
	for _, gates := range []bool{false, true} {
		name := map[bool]string{false: "bits", true: "joint"}[gates]
		b.Run(name, func(b *testing.B) {
			o := wideSearch(b, gates).ops
			d := wideDamages(o, 1)
			for b.Loop() {
				ind := o.individual(o.dearest())
				d.lower(ind)
				d.raise(ind)
			}
		})
	}
}

// wideDamages grow from level to level by random amounts.
func wideDamages(o *Operators, seed uint64) damages {
	d, rng := make(damages, len(o.space.Sites)), Rand(seed, 0, 0)
	for i := range d {
		d[i] = make([]float64, len(o.space.Sites[i].Levels))
		for l := len(d[i]) - 2; l >= 0; l-- {
			d[i][l] = d[i][l+1] + rng.Float64()
		}
	}
	return d
}

// BenchmarkFinchPropose makes the 128 offspring of a generation of method finch, each the best of four walks of up to 128 kicks: from an
// allocation where its damages leave nothing to mend, and from one that is as good only by other damages, so that most kicks are accepted.
func BenchmarkFinchPropose(b *testing.B) {
	for _, gates := range []bool{false, true} {
		for _, settled := range []bool{true, false} {
			name := map[bool]string{false: "bits", true: "joint"}[gates] + map[bool]string{false: "/unsettled", true: "/settled"}[settled]
			b.Run(name, func(b *testing.B) {
				e := wideSearch(b, gates)
				o, d := e.ops, wideDamages(e.ops, 1)
				ind := o.individual(o.dearest())
				d.lower(ind)
				d.raise(ind)
				if !settled {
					d = wideDamages(o, 2)
				}
				f := &finch{steps: newSteps(Effort{}), ops: o, settings: e.settings, seed: 1, scored: map[string]Candidate{}, left: math.MaxInt64, model: newSurrogate(o, d)}
				f.parent = f.candidate(0, 0, ind.Levels, -1, "start")
				for b.Loop() {
					f.generation++
					f.breed(0, 0)
					if n := len(f.steps.next.Candidates); n < 100 { // some may be alike
						b.Fatal(n, "candidates")
					}
				}
			})
		}
	}
}

package search

import (
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"testing"
)

// landscape is a test problem: the fitness of a genome on one slice.
type landscape func(g Genome, b Batch) float64

// additive is the sum of the distances to a planted optimum, where it is 0.
func additive(optimum Genome) landscape {
	return func(g Genome, _ Batch) float64 {
		sum := 0.0
		for i := range g {
			sum += (1 + float64(i%3)) * math.Abs(float64(g[i])-float64(optimum[i]))
		}
		return sum
	}
}

// pairwise adds a penalty for neighbours that are both wrong and a bonus, less than either costs, for two that are
// wrong two sites apart, so that no site has a sensitivity of its own.
func pairwise(optimum Genome) landscape {
	base := additive(optimum)
	return func(g Genome, b Batch) float64 {
		wrong := func(i int) bool { return g[i%len(g)] != optimum[i%len(g)] }
		sum := base(g, b)
		for i := range g {
			if wrong(i) && wrong(i+1) {
				sum += 1.5
			}
			if wrong(i) && wrong(i+2) {
				sum -= 0.4
			}
		}
		return sum
	}
}

// deceptive is a trap in each pair of sites: one right alone is worse than none, both are best.
func deceptive(optimum Genome) landscape {
	return func(g Genome, _ Batch) float64 {
		sum := 0.0
		for i := 0; i+1 < len(g); i += 2 {
			a, b := g[i] == optimum[i], g[i+1] == optimum[i+1]
			switch {
			case a && b:
			case a || b:
				sum += 1.5
			default:
				sum++
			}
		}
		return sum
	}
}

// noisy adds an error that shrinks with the number of tokens, drawn anew for every candidate and slice.
func noisy(base landscape, sigma float64) landscape {
	return func(g Genome, b Batch) float64 {
		h := fnv.New64a()
		fmt.Fprint(h, g, b.Generation, b.Stage)
		return base(g, b) + sigma*rand.New(rand.NewPCG(h.Sum64(), 0)).NormFloat64()/math.Sqrt(float64(b.Tokens))
	}
}

// run plays a strategy on a landscape to its end.
func run(t testing.TB, s Strategy, f landscape) (asked []Batch, told [][]float64) {
	t.Helper()
	for {
		b, ok := s.Ask()
		if !ok {
			return asked, told
		}
		fitness := make([]float64, len(b.Candidates))
		for i, c := range b.Candidates {
			fitness[i] = f(c.Genome, b)
		}
		asked, told = append(asked, b), append(told, fitness)
		s.Tell(fitness)
	}
}

func mustNew(t testing.TB, method string, space *Space, settings Settings, seed uint64) Strategy {
	t.Helper()
	s, err := New(method, space, settings, seed)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mustOperators(t testing.TB, space *Space, axis, group string) *Operators {
	t.Helper()
	o, err := NewOperators(space, axis, group)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// depthSpace has two gates a block; attn and mlp of them are dropped.
func depthSpace(blocks, attn, mlp int) *Space {
	s := &Space{Constraints: []Constraint{
		{Name: "kept attention sublayers", Limit: int64(blocks - attn)},
		{Name: "kept MLP sublayers", Limit: int64(blocks - mlp)},
	}}
	for b := range blocks {
		s.Sites = append(s.Sites,
			Site{Name: fmt.Sprintf("blk.%d.attn", b), Kind: "attn", Block: b, Gate: -1, Levels: gateLevels([]int64{1, 0})},
			Site{Name: fmt.Sprintf("blk.%d.mlp", b), Kind: "mlp", Block: b, Gate: -1, Levels: gateLevels([]int64{0, 1})})
	}
	return s
}

func gateLevels(keep []int64) []Level {
	return []Level{{"drop", make([]int64, len(keep))}, {"keep", keep}}
}

// attentionSpace has n attention gates of which k are dropped.
func attentionSpace(n, k int) *Space {
	s := &Space{Constraints: []Constraint{{Name: "kept attention sublayers", Limit: int64(n - k)}}}
	for b := range n {
		s.Sites = append(s.Sites,
			Site{Name: fmt.Sprintf("blk.%d.attn", b), Kind: "attn", Block: b, Gate: -1, Levels: gateLevels([]int64{1})})
	}
	return s
}

// The layers of a small llama block: two sizes, as with grouped-query attention.
var blockLayers = []struct {
	kind    string
	weights int64
	mlp     bool
}{
	{"attn_q", 4096, false}, {"attn_k", 1024, false}, {"attn_v", 1024, false}, {"attn_output", 4096, false},
	{"ffn_gate", 12288, true}, {"ffn_up", 12288, true}, {"ffn_down", 12288, true},
}

// sparsitySpace has ladders of 2·count+1 levels around a density of 40 %, steps of 64 weights.
func sparsitySpace(blocks, count int) *Space {
	s := &Space{Constraints: []Constraint{{Name: "non-zeros"}}}
	for b := range blocks {
		for _, l := range blockLayers {
			site := Site{Name: fmt.Sprintf("blk.%d.%s", b, l.kind), Kind: l.kind, Block: b, Weights: l.weights, Gate: -1}
			centre := l.weights * 2 / 5
			for k := -count; k <= count; k++ {
				nonZeros := centre + int64(k)*64
				name := fmt.Sprintf("sparse-%.4f", 1-float64(nonZeros)/float64(l.weights))
				site.Levels = append(site.Levels, Level{name, []int64{nonZeros}})
			}
			s.Sites = append(s.Sites, site)
			s.Constraints[0].Limit += centre
		}
	}
	return s
}

// kQuants are bytes per 256 weights.
var kQuants = []struct {
	name  string
	bytes int64
}{{"q2_k", 84}, {"q3_k", 110}, {"q4_k", 144}, {"q5_k", 176}, {"q6_k", 210}}

// bytesSpace has the K-quants at every layer and a limit of bits per weight, with gates for a joint space.
func bytesSpace(blocks int, bitsPerWeight float64, gates bool) *Space {
	const header = 1000
	s := &Space{Constraints: []Constraint{{Name: "bytes", Fixed: header}}}
	weights := int64(0)
	for b := range blocks {
		attn, mlp := -1, -1
		if gates {
			attn, mlp = len(s.Sites), len(s.Sites)+1
			for _, kind := range []string{"attn", "mlp"} {
				s.Sites = append(s.Sites, Site{Name: fmt.Sprintf("blk.%d.%s", b, kind), Kind: kind, Block: b, Gate: -1,
					Levels: gateLevels([]int64{256})})
			}
		}
		for _, l := range blockLayers {
			site := Site{Name: fmt.Sprintf("blk.%d.%s", b, l.kind), Kind: l.kind, Block: b, Weights: l.weights, Gate: attn}
			if l.mlp {
				site.Gate = mlp
			}
			for _, q := range kQuants {
				site.Levels = append(site.Levels, Level{q.name, []int64{l.weights / 256 * q.bytes}})
			}
			s.Sites = append(s.Sites, site)
			weights += l.weights
		}
	}
	s.Constraints[0].Limit = header + int64(bitsPerWeight*float64(weights)/8)
	return s
}

// intSpace has n layers of one size with 2 to 6 bits and a limit in bits per weight.
func intSpace(n int, bitsPerWeight float64) *Space {
	const weights = 1024
	s := &Space{Constraints: []Constraint{{Name: "bits", Limit: int64(bitsPerWeight * weights * float64(n))}}}
	for i := range n {
		site := Site{Name: fmt.Sprintf("blk.%d.ffn_up", i), Kind: "ffn_up", Block: i, Weights: weights, Gate: -1}
		for bits := int64(2); bits <= 6; bits++ {
			site.Levels = append(site.Levels, Level{fmt.Sprintf("int%d", bits), []int64{bits * weights}})
		}
		s.Sites = append(s.Sites, site)
	}
	return s
}

// randomSpace draws sites, levels, gates, constraints and limits; every one is valid, and limits run from the cheapest
// genome to the dearest.
func randomSpace(rng *rand.Rand) *Space {
	s := &Space{}
	for c := range 1 + rng.IntN(3) {
		s.Constraints = append(s.Constraints, Constraint{Name: fmt.Sprint("c", c), Fixed: rng.Int64N(100)})
	}
	costs := func(least int64) []int64 {
		all := make([]int64, len(s.Constraints))
		for c := range all {
			all[c] = rng.Int64N(50)
		}
		all[0] = least
		return all
	}
	gates := rng.IntN(6)
	for i := range gates {
		s.Sites = append(s.Sites, Site{Name: fmt.Sprint("gate", i), Kind: fmt.Sprint("kind", i%2), Block: i, Gate: -1,
			Levels: gateLevels(costs(rng.Int64N(5)))})
	}
	for i := range rng.IntN(20) + 1 - min(gates, 1) {
		site := Site{Name: fmt.Sprint("layer", i), Kind: fmt.Sprint("kind", i%3), Block: i, Weights: 100 << rng.IntN(3), Gate: rng.IntN(gates+1) - 1}
		least := int64(0)
		for l := range 1 + rng.IntN(8) {
			least += rng.Int64N(40)
			site.Levels = append(site.Levels, Level{fmt.Sprint("l", l), costs(least)})
		}
		s.Sites = append(s.Sites, site)
	}
	top := make(Genome, len(s.Sites))
	for i := range top {
		top[i] = uint8(len(s.Sites[i].Levels) - 1)
	}
	low, high := s.Cost(make(Genome, len(s.Sites))), s.Cost(top)
	for c := range s.Constraints {
		s.Constraints[c].Limit = low[c] + int64(rng.Float64()*float64(max(0, high[c]-low[c])))
	}
	return s
}

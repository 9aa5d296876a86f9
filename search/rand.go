package search

import "math/rand/v2"

// Random is what operators need of a random number generator. *math/rand/v2.Rand is one; Intn makes one of a
// *math/rand.Rand.
type Random interface {
	IntN(n int) int   // uniform in [0, n)
	Float64() float64 // uniform in [0, 1)
}

// Intn adapts a generator with the method names of math/rand, which eaopt passes to its operators.
func Intn(rng interface {
	Intn(n int) int
	Float64() float64
}) Random {
	return intn{rng}
}

type intn struct {
	rng interface {
		Intn(n int) int
		Float64() float64
	}
}

func (r intn) IntN(n int) int   { return r.rng.Intn(n) }
func (r intn) Float64() float64 { return r.rng.Float64() }

// Rand is the generator of one slot of one generation. Any two triples give unrelated streams, so nothing that happens
// in one slot, a re-draw say, shifts what another draws. Slots of candidates are 0 and up; SliceRand uses those below.
func Rand(seed uint64, generation, slot int) *rand.Rand {
	// One absorb-and-mix step per word, so that neighbouring seeds, generations and slots share no state.
	state := mix(seed)
	state = mix(state ^ uint64(generation))
	state = mix(state ^ uint64(slot))
	return rand.New(rand.NewPCG(mix(state+1), mix(state+2)))
}

// SliceRand is the generator from which the caller draws the slice of a stage. It shares no stream with Rand(…, slot)
// for any candidate.
func SliceRand(seed uint64, generation, stage int) *rand.Rand {
	return Rand(seed, generation, -1-stage)
}

// mix is the SplitMix64 output function (Steele, Lea and Flood, OOPSLA 2014) after one step of its counter.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

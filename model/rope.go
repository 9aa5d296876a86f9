package model

import (
	"fmt"
	"math"
)

// RopeScaling stretches rotary positions beyond the context that a model was first trained with.
type RopeScaling struct {
	Type     string  // linear, llama3, yarn or longrope
	Factor   float64 // of linear and yarn
	Original int     // the first context, of yarn and longrope

	BetaFast, BetaSlow float64 // rotations within Original: frequencies of more are kept, of fewer stretched (yarn)
	Attention          float64 // that q and k are multiplied by; 0: 1, or yarn's own

	// Factors that frequencies are divided by [rotary/2]: of llama3, and of longrope in contexts up to Original; and of
	// longrope in longer ones.
	Short, Long []float32
}

// Rotary is how many of each head's dimensions are rotated: the first ones.
func (c *Config) Rotary() int {
	if c.RotaryDim > 0 {
		return c.RotaryDim
	}
	return c.HeadDim
}

// check refuses scaling that is not what its type needs.
func (s *RopeScaling) check(rotary int) error {
	factors := func(name string, list []float32) error {
		if len(list) != rotary/2 {
			return fmt.Errorf("rope scaling %s has %d %s factors for %d frequencies", s.Type, len(list), name, rotary/2)
		}
		for _, f := range list {
			if !(f > 0) {
				return fmt.Errorf("rope scaling %s has the %s factor %v", s.Type, name, f)
			}
		}
		return nil
	}
	switch s.Type {
	case "linear", "yarn":
		if !(s.Factor > 0) || s.Type == "yarn" && (s.Original <= 0 || !(s.BetaFast > s.BetaSlow) || !(s.BetaSlow > 0)) {
			return fmt.Errorf("rope scaling %s: factor %v, original context %d, betas %v and %v make no sense", s.Type, s.Factor, s.Original, s.BetaFast, s.BetaSlow)
		}
	case "llama3":
		return factors("frequency", s.Short)
	case "longrope":
		if s.Original <= 0 {
			return fmt.Errorf("rope scaling longrope: the original context is %d", s.Original)
		}
		if err := factors("long", s.Long); err != nil {
			return err
		}
		return factors("short", s.Short)
	default:
		return fmt.Errorf("rope scaling %q is not supported: finch runs linear, llama3, yarn and longrope", s.Type)
	}
	return nil
}

// factor is what frequency i of a base is divided by in texts of up to context tokens.
func (s *RopeScaling) factor(i, rotary int, base float64, context int) float64 {
	switch {
	case s == nil:
		return 1
	case s.Type == "linear":
		return s.Factor
	case s.Type == "yarn":
		return s.yarn(i, rotary, base)
	case s.Stretches(context):
		return float64(s.Long[i])
	}
	return float64(s.Short[i])
}

// Stretches says whether a runner for sequences of up to context tokens has other frequencies than one for shorter ones.
func (s *RopeScaling) Stretches(context int) bool {
	return s != nil && s.Type == "longrope" && context > s.Original
}

// yarn divides slow frequencies by Factor, fast ones not at all, and those between by something between (arXiv 2309.00071,
// "NTK-by-parts", with the bounds rounded outward as its authors' code does).
func (s *RopeScaling) yarn(i, rotary int, base float64) float64 {
	dimension := func(rotations float64) float64 {
		return float64(rotary) * math.Log(float64(s.Original)/(rotations*2*math.Pi)) / (2 * math.Log(base))
	}
	low := max(math.Floor(dimension(s.BetaFast)), 0)
	high := min(math.Ceil(dimension(s.BetaSlow)), float64(rotary-1))
	kept := 1 - min(max((float64(i)-low)/max(high-low, 0.001), 0), 1)
	return 1 / ((1-kept)/s.Factor + kept)
}

// attention is what q and k are multiplied by.
func (s *RopeScaling) attention() float64 {
	switch {
	case s == nil:
		return 1
	case s.Attention > 0:
		return s.Attention
	case s.Type == "yarn" && s.Factor > 1:
		return 0.1*math.Log(s.Factor) + 1
	}
	return 1
}

// llama3Factors are those by which Llama 3.1 and later divide frequencies: slow ones by factor, fast ones by nothing, in terms of how
// often they turn within the original context.
func llama3Factors(rotary int, base, factor, low, high float64, original int) []float32 {
	list := make([]float32, rotary/2)
	for i := range list {
		turns := float64(original) * math.Pow(base, -2*float64(i)/float64(rotary)) / (2 * math.Pi)
		kept := min(max((turns-low)/(high-low), 0), 1)
		list[i] = float32(1 / ((1-kept)/factor + kept))
	}
	return list
}

// rotation is the cosines and sines of all positions [context, rotary/2].
type rotation struct{ cos, sin []float32 }

func newRotation(context, rotary int, base float64, s *RopeScaling) rotation {
	half := rotary / 2
	r := rotation{make([]float32, context*half), make([]float32, context*half)}
	scale := s.attention()
	for i := range half {
		frequency := math.Pow(base, -2*float64(i)/float64(rotary)) / s.factor(i, rotary, base, context)
		for t := range context {
			angle := float64(t) * frequency
			r.cos[t*half+i], r.sin[t*half+i] = float32(scale*math.Cos(angle)), float32(scale*math.Sin(angle))
		}
	}
	return r
}

// at is the part for some tokens from start on.
func (r rotation) at(start, tokens, half int) (cos, sin []float32) {
	return r.cos[start*half : (start+tokens)*half], r.sin[start*half : (start+tokens)*half]
}

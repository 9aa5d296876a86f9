package evaluator

import (
	"math"
	"time"

	"github.com/finch-llm/finch/kernels"
)

// Sums are totals over the scored positions of one sequence, in nats. A position is scored when its next token is in
// the sequence, so a sequence of n tokens has n − 1, less those before Corpus.From.
type Sums struct {
	KL, KL2   float64 // KL(dense‖network) over the full vocabulary, and its square
	TopKL     float64 // KL over the teacher's top k tokens, the rest as one
	NLL, NLL2 float64 // negative log-likelihood of the next token, and its square
	Same      int     // positions at which both find the same token most likely
	Positions int
}

// total sums the scores of one sequence's positions.
func total(scores []kernels.TokenScore) Sums {
	sums := Sums{Positions: len(scores)}
	for _, s := range scores {
		sums.KL += s.KL
		sums.KL2 += s.KL * s.KL
		sums.TopKL += s.TopKL
		sums.NLL += s.NLL
		sums.NLL2 += s.NLL * s.NLL
		if s.Top == s.TeacherTop {
			sums.Same++
		}
	}
	return sums
}

func (s *Sums) add(o Sums) {
	s.KL += o.KL
	s.KL2 += o.KL2
	s.TopKL += o.TopKL
	s.NLL += o.NLL
	s.NLL2 += o.NLL2
	s.Same += o.Same
	s.Positions += o.Positions
}

// Score is what a network lost on a slice against the dense model.
type Score struct {
	Sums
	Sequences []Sums        // in the slice's order
	Tokens    int           // run through the network
	Time      time.Duration // of computing, summed over workers; of what several networks share, an equal part
}

// MeanKL is the mean KL(dense‖network) in nats per position.
func (s *Score) MeanKL() float64 { return s.KL / float64(s.Positions) }

// MeanTopKL is MeanKL over the teacher's top k tokens, the rest as one.
func (s *Score) MeanTopKL() float64 { return s.TopKL / float64(s.Positions) }

// Perplexity is exp of the mean negative log-likelihood of the text.
func (s *Score) Perplexity() float64 { return math.Exp(s.NLL / float64(s.Positions)) }

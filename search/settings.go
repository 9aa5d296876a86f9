package search

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// Settings of a search. A zero field takes the default of the axis, which is the paper's (arXiv 2410.14649); a joint
// search takes those of bits:
//
//	axis      generations  offspring  survivors @ tokens of each stage
//	depth     k(n−k)/1.5   32         2@2048, 1@32768             k of n sublayers of a type dropped
//	sparsity  400          64         8@2048, 2@16384, 1@65536
//	bits      150          128        16@2048, 4@16384, 1@131072
type Settings struct {
	Generations int   // after the start
	Offspring   int   // λ, new candidates of a generation
	Survivors   []int // kept after each stage; the last is 1
	Tokens      []int // scored in each stage, one entry for each of Survivors
	Text        int   // tokens that there are to score on; 0 is as many as the last stage takes

	Start Start

	Axis  string // Depth, Sparsity, Bits or Joint; "" for DetectAxis
	Group string // which layers may swap on the bits axis: "size" (default), "name" or "none"

	// Importance of each gate, in site order, for methods that rank sublayers: the least important are dropped first.
	// ShortGPT's is 1 − cos(h_in, h_out) of the block.
	Importance []float64

	// Change of the residual stream by the block of each gate, ‖h_out − h_in‖ / ‖h_out‖, in site order.
	Change []float64

	// Distances between the residual stream on the way into each block, and out of the last [blocks+1][blocks+1].
	Distances [][]float64

	// LocalErrors of each level of each layer [sites][levels], for methods that allocate by them; nil if not known.
	LocalErrors [][]float64

	// Zeros is the share of weights that each level of each layer leaves out [sites][levels]; nil if not known.
	Zeros [][]float64

	// Outliers is the share of outlying weights in each block [blocks], for methods that decide by it how sparse blocks are.
	Outliers []float64
}

// Start says where a search begins.
type Start struct {
	Candidates int    // random starts of which the best becomes the first parent; default 64
	Tokens     int    // on which starts are scored; default 2048
	Genome     Genome // if set, the one start: a warm start from an earlier result
}

// defaults fills the zero fields in for a space and its operators.
func (s Settings) defaults(o *Operators) Settings {
	generations, offspring, survivors, tokens := 150, 128, []int{16, 4, 1}, []int{2048, 16384, 131072}
	switch axis := o.axis.(type) {
	case depth:
		generations, offspring, survivors, tokens = axis.generations(o), 32, []int{2, 1}, []int{2048, 32768}
	case swap:
		if axis.ladder {
			generations, offspring, survivors, tokens = 400, 64, []int{8, 2, 1}, []int{2048, 16384, 65536}
		}
	}
	if s.Generations == 0 {
		s.Generations = generations
	}
	if s.Offspring == 0 {
		s.Offspring = offspring
	}
	if len(s.Survivors) == 0 && len(s.Tokens) == 0 {
		s.Survivors, s.Tokens = survivors, tokens
	}
	if s.Start.Candidates == 0 {
		s.Start.Candidates = 64
	}
	if s.Start.Tokens == 0 {
		s.Start.Tokens = 2048
	}
	return s
}

// generations is k(n−k)/1.5 for k of n sublayers dropped, of the type where that is most, and at least 1.
func (d depth) generations(o *Operators) int {
	start := o.Start(Rand(0, 0, 0)) // every start drops as many
	most := 0
	for _, members := range d.types {
		k := 0
		for _, gate := range members {
			if start.dropped(gate) {
				k++
			}
		}
		most = max(most, k*(len(members)-k))
	}
	return max(1, int(math.Round(float64(most)/1.5)))
}

func (s Settings) check(o *Operators) error {
	stages := len(s.Survivors)
	switch {
	case s.Generations < 1:
		return fmt.Errorf("generations = %d: at least 1", s.Generations)
	case s.Offspring < 1:
		return fmt.Errorf("offspring = %d: at least 1", s.Offspring)
	case stages == 0 || stages != len(s.Tokens):
		return fmt.Errorf("%d survivors for %d token counts: give one of each for every stage", stages, len(s.Tokens))
	case s.Survivors[stages-1] != 1:
		return fmt.Errorf("survivors ends with %d: the last stage keeps 1, the next parent", s.Survivors[stages-1])
	case s.Survivors[0] > s.Offspring:
		return fmt.Errorf("the first stage keeps %d of %d offspring: keep fewer or make more", s.Survivors[0], s.Offspring)
	case slices.Min(s.Tokens) < 1 || s.Start.Tokens < 1:
		return errors.New("tokens of every stage and of the start: at least 1")
	case s.Start.Candidates < 1:
		return fmt.Errorf("start candidates = %d: at least 1", s.Start.Candidates)
	}
	for k := 1; k < stages; k++ {
		if s.Survivors[k] < 1 || s.Survivors[k] > s.Survivors[k-1] {
			return fmt.Errorf("survivors %v: each stage keeps at least 1 and no more than the one before", s.Survivors)
		}
	}
	if s.Start.Genome != nil {
		if _, err := o.Individual(s.Start.Genome); err != nil {
			return fmt.Errorf("start genome: %w", err)
		}
	}
	if err := checkTable("local errors", s.LocalErrors, o); err != nil {
		return err
	}
	if err := checkTable("zeros", s.Zeros, o); err != nil {
		return err
	}
	if err := s.checkOutliers(o); err != nil {
		return err
	}
	if err := checkRanking("importance", s.Importance, o); err != nil {
		return err
	}
	if err := checkRanking("change", s.Change, o); err != nil {
		return err
	}
	return s.checkDistances(o)
}

// checkTable checks a value for each level of each site, if there are any.
func checkTable(what string, table [][]float64, o *Operators) error {
	if table == nil {
		return nil
	}
	if len(table) != len(o.space.Sites) {
		return fmt.Errorf("%s of %d layers for %d sites: give those of each site, in order", what, len(table), len(o.space.Sites))
	}
	for i, values := range table {
		site := &o.space.Sites[i]
		if len(values) != len(site.Levels) || slices.ContainsFunc(values, notFinite) {
			return fmt.Errorf("%s of %s are %v for %d levels: give a finite number for each", what, site.Name, values, len(site.Levels))
		}
	}
	return nil
}

func notFinite(x float64) bool { return math.IsNaN(x) || math.IsInf(x, 0) }

func (s Settings) checkOutliers(o *Operators) error {
	if s.Outliers == nil {
		return nil
	}
	if blocks := blockCount(o.space); len(s.Outliers) < blocks || slices.ContainsFunc(s.Outliers, notFinite) {
		return fmt.Errorf("outliers are %v for %d blocks: give a finite share for each", s.Outliers, blocks)
	}
	return nil
}

// checkRanking checks a value for each gate, if there are any.
func checkRanking(what string, values []float64, o *Operators) error {
	if values == nil {
		return nil
	}
	if gates := len(o.gates()); len(values) != gates {
		return fmt.Errorf("%s of %d sublayers for %d gates: give one for each gate, in site order", what, len(values), gates)
	}
	if slices.ContainsFunc(values, math.IsNaN) {
		return fmt.Errorf("%s holds a NaN: the ranking is undefined", what)
	}
	return nil
}

func (s Settings) checkDistances(o *Operators) error {
	if s.Distances == nil {
		return nil
	}
	// Blocks without a choice may follow the last that has one.
	if blocks := blockCount(o.space); len(s.Distances) < blocks+1 {
		return fmt.Errorf("distances of %d boundaries for %d blocks: give one more than blocks", len(s.Distances), blocks)
	}
	for _, row := range s.Distances {
		if len(row) != len(s.Distances) || slices.ContainsFunc(row, math.IsNaN) {
			return fmt.Errorf("distances of a boundary are %v: give a number to each of the %d", row, len(s.Distances))
		}
	}
	return nil
}

// blockCount is one more than the highest block that a site is in.
func blockCount(space *Space) int {
	n := 0
	for i := range space.Sites {
		n = max(n, space.Sites[i].Block+1)
	}
	return n
}

// lastTokens is what the last stage scores each candidate on.
func (s Settings) lastTokens() int { return s.Tokens[len(s.Tokens)-1] }

// TotalTokens is what a whole evopress run scores, parents included: start, then every stage of every generation.
func (s Settings) TotalTokens() int64 {
	starts := int64(s.Start.Candidates)
	if s.Start.Genome != nil {
		starts = 1
	}
	entering, generation := int64(s.Offspring), int64(0)
	for k, tokens := range s.Tokens {
		if k == len(s.Tokens)-1 {
			entering++ // the parent
		}
		generation += entering * int64(tokens)
		entering = int64(s.Survivors[k])
	}
	return starts*int64(s.Start.Tokens) + int64(s.Generations)*generation
}

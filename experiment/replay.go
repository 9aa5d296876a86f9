package experiment

import (
	"errors"
	"fmt"
	"math"

	"github.com/finch-llm/finch/search"
	"github.com/finch-llm/finch/store"
)

// errOtherSearch says that the recorded run asked other questions than the search asks now.
var errOtherSearch = errors.New("the recorded run was made by a search that asked otherwise, by another version of finch perhaps: go on with that version, or start anew with --fresh")

// replay takes the answers to a batch from its record, after checking that it is a record of these very questions.
func (r *run) replay(b *search.Batch, now, old *store.BatchRecord) ([]float64, error) {
	wrong := func(what string) error {
		return fmt.Errorf("generation %d stage %d: %s differ: %w", b.Generation, b.Stage, what, errOtherSearch)
	}
	if now.Slice != old.Slice {
		return nil, wrong("slices")
	}
	if len(now.Candidates) != len(old.Candidates) {
		return nil, wrong("numbers of candidates")
	}
	for i, c := range now.Candidates {
		if c.Status = old.Candidates[i].Status; c != old.Candidates[i] {
			return nil, wrong("candidates")
		}
	}
	scored := make(map[int64]bool, len(old.Scores))
	for _, s := range old.Scores {
		scored[s.Candidate] = true
	}
	asked := 0
	for _, c := range b.Candidates {
		if !r.infeasible[c.ID] {
			asked++
			if !scored[int64(c.ID+1)] {
				return nil, wrong("candidates")
			}
		}
	}
	if asked != len(scored) {
		return nil, wrong("numbers of candidates")
	}
	return told(b, old.Scores), nil
}

// told is the fitness of each candidate of a batch: NaN for those that have no score because no file can hold them.
func told(b *search.Batch, scores []store.Score) []float64 {
	of := make(map[int64]float64, len(scores))
	for _, s := range scores {
		of[s.Candidate] = s.Fitness
	}
	fitness := make([]float64, len(b.Candidates))
	for i, c := range b.Candidates {
		f, ok := of[int64(c.ID+1)]
		if !ok {
			f = math.NaN()
		}
		fitness[i] = f
	}
	return fitness
}

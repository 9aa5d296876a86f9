package experiment

import (
	"errors"
	"fmt"

	"github.com/finch-llm/finch/search"
	"github.com/finch-llm/finch/store"
)

// errOtherSearch says that the recorded run asked other questions than the search asks now.
var errOtherSearch = errors.New("the recorded run was made by a search that asked otherwise, by another version of finch perhaps: go on with that version, or start anew with --fresh")

// replay takes the answers to a batch from its record, after checking that it is a record of these very questions.
func replay(b *search.Batch, now, old *store.BatchRecord) ([]float64, error) {
	wrong := func(what string) error {
		return fmt.Errorf("generation %d stage %d: %s differ: %w", b.Generation, b.Stage, what, errOtherSearch)
	}
	if now.Slice != old.Slice {
		return nil, wrong("slices")
	}
	if len(now.Candidates) != len(old.Candidates) || len(b.Candidates) != len(old.Scores) {
		return nil, wrong("numbers of candidates")
	}
	for i, c := range now.Candidates {
		if c.Status = old.Candidates[i].Status; c != old.Candidates[i] {
			return nil, wrong("candidates")
		}
	}
	known := make(map[int64]float64, len(old.Scores))
	for _, s := range old.Scores {
		known[s.Candidate] = s.Fitness
	}
	fitness := make([]float64, len(b.Candidates))
	for i, c := range b.Candidates {
		f, ok := known[int64(c.ID+1)]
		if !ok {
			return nil, wrong("candidates")
		}
		fitness[i] = f
	}
	return fitness, nil
}

package experiment

import (
	"cmp"
	"errors"
	"fmt"
	"math"

	"github.com/finch-llm/finch/search"
	"github.com/finch-llm/finch/store"
)

// errOtherSearch says that the recorded run asked other questions than the search asks now.
var errOtherSearch = errors.New("the recorded run was made by a search that asked otherwise, by another version of finch perhaps: go on with that version, or start anew with --fresh")

// replay takes the answers to a batch from its record, after checking that it is a record of these very questions.
func (r *run) replay(b *search.Batch, now, old *store.BatchRecord) (a answers, err error) {
	wrong := func(what string) error {
		return fmt.Errorf("generation %d stage %d: %s differ: %w", b.Generation, b.Stage, what, errOtherSearch)
	}
	if now.Slice != old.Slice {
		return a, wrong("slices")
	}
	if len(now.Candidates) != len(old.Candidates) {
		return a, wrong("numbers of candidates")
	}
	for i, c := range now.Candidates {
		if c.Status = old.Candidates[i].Status; c != old.Candidates[i] {
			return a, wrong("candidates")
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
				return a, wrong("candidates")
			}
		}
	}
	if asked != len(scored) {
		return a, wrong("numbers of candidates")
	}
	return told(b, old.Scores), nil
}

// answers are what a search is told, and what faults counts: of each candidate of a batch its fitness, NaN if it has none, and why it
// failed; "" if it did not, or was not scored because no file can hold it.
type answers struct {
	fitness []float64
	failed  []string
}

// told are the answers that scores give to a batch.
func told(b *search.Batch, scores []store.Score) answers {
	of := make(map[int64]store.Score, len(scores))
	for _, s := range scores {
		of[s.Candidate] = s
	}
	a := answers{make([]float64, len(b.Candidates)), make([]string, len(b.Candidates))}
	for i, c := range b.Candidates {
		s, ok := of[int64(c.ID+1)]
		if !ok {
			s.Fitness = math.NaN()
		} else if math.IsNaN(s.Fitness) {
			a.failed[i] = cmp.Or(s.Fault, "not finite")
		}
		a.fitness[i] = s.Fitness
	}
	return a
}

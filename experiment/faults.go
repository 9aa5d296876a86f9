package experiment

import (
	"fmt"
	"math"

	"github.com/finch-llm/finch/search"
)

// hopeless is how many scores in a row may fail: what is wrong then is not the candidates.
const hopeless = 10

// faults counts scores that are not finite.
type faults struct{ row int }

// count looks at the fitness of a batch, of which the infeasible candidates have none, and refuses to go on after too many
// failures in a row. Replayed batches count as scored ones do, so a run that goes on stops where it did.
func (f *faults) count(b *search.Batch, fitness []float64, infeasible map[int]bool) error {
	for i, c := range b.Candidates {
		switch {
		case infeasible[c.ID]:
		case math.IsNaN(fitness[i]):
			if f.row++; f.row == hopeless {
				return fmt.Errorf("%d scores in a row are not finite, the last that of candidate %d in generation %d: see finch query failures; allow milder levels, or see with finch eval whether the model itself gives finite ones",
					hopeless, c.ID+1, b.Generation)
			}
		default:
			f.row = 0
		}
	}
	return nil
}

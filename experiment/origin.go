package experiment

import (
	"fmt"
	"runtime"
	"strconv"

	"github.com/finch-llm/finch/evaluator"
	"github.com/finch-llm/finch/store"
)

// Origin is something that decides the bits of a run's scores and is not here as it was where the run was recorded.
type Origin struct {
	What    string // "model", "calibration text", …
	Was, Is string
	Again   string // how to have it as it was
	Input   bool   // its values are SHA-256 of what is read; else it is how scores are computed
	Rounds  bool   // scores differ from those that were recorded by rounding only
}

func (o Origin) String() string {
	if o.Input {
		return fmt.Sprintf("the %s is another (SHA-256 %.12s, here %.12s): %s", o.What, o.Was, o.Is, o.Again)
	}
	return fmt.Sprintf("the %s was %s, and is %s here: %s", o.What, o.Was, o.Is, o.Again)
}

// Origins lists what decides the bits of a recorded run and is not the same for a task here: what is read before how it is
// computed. What was not recorded, in databases of earlier versions, is taken to be the same.
func (s *Session) Origins(t *Task, r *store.Run) (other []Origin) {
	const old = "bring the old one back"
	for _, o := range []Origin{
		{"model", r.ModelHash, t.Model.Hash, old, true, false},
		{"calibration text", r.CalibrationHash, t.Calibration.Hash, old, true, false},
		{"evaluation text", r.EvaluationHash, t.Evaluation.Hash, old, true, false},
		{"engine version", known(r.Engine), strconv.Itoa(evaluator.Version), "use finch " + r.Version, false, false},
		{"processor architecture", r.Architecture, runtime.GOARCH, "use a machine with such a processor", false, true},
		{"kernel path", r.KernelPath, s.Path.Name(), "use --kernels " + r.KernelPath, false, true},
	} {
		if o.Was != o.Is && o.Was != "" {
			other = append(other, o)
		}
	}
	return other
}

// known is a version, or nothing if it is not known.
func known(version int) string {
	if version == 0 {
		return ""
	}
	return strconv.Itoa(version)
}

package compress

import (
	"fmt"
	"math"
	"strings"

	"github.com/finch-llm/finch/kernels"
)

// Level is one way to store a layer, or to keep or drop a sublayer. Levels are comparable: two with the same name are equal.
type Level struct {
	name       string
	compressor string         // its name in the registry; empty for keep and drop
	format     kernels.Format // of the stored weights
	pruning    pruning

	byActivation bool // inputs of largest mean square are rounded first
}

// The levels of a depth gate: the sublayer stays, or its output is left out of the residual stream.
var (
	Keep = Level{name: "keep"}
	Drop = Level{name: "drop"}
)

// ParseLevel finds a level by its name, such as "q4_k", "sparse-0.60", "sparse-0.50+q4_0", "sparse@4096" or "drop". The
// error lists the known names and the nearest one.
func ParseLevel(name string) (Level, error) {
	for _, gate := range []Level{Keep, Drop} {
		if name == gate.name {
			return gate, nil
		}
	}
	for _, c := range registry {
		level, ok, err := c.Parse(name)
		if err != nil {
			return Level{}, fmt.Errorf("level %q: %w", name, err)
		}
		if ok {
			return level, nil
		}
	}
	known := KnownLevels()
	return Level{}, fmt.Errorf("unknown level %q: did you mean %q? Known are %s", name, closest(name, known), strings.Join(known, ", "))
}

// KnownLevels lists the names that ParseLevel takes, in the order of the registry, capitals standing for a number or a
// format.
func KnownLevels() []string {
	var names []string
	for _, c := range registry {
		names = append(names, c.Levels()...)
	}
	return append(names, Keep.name, Drop.name)
}

// Name is the canonical name, which ParseLevel reads back.
func (l Level) Name() string { return l.name }

func (l Level) String() string { return l.name }

// Gate says that the level keeps or drops a sublayer: nothing is stored for it.
func (l Level) Gate() bool { return l.compressor == "" }

// Needs is what Compress has to know of a layer's inputs.
func (l Level) Needs() Needs {
	if l.Gate() {
		return NeedsNothing
	}
	return compressorOf(l).Needs(l)
}

// Version is that of the algorithm that stores a layer at the level, which is no gate.
func (l Level) Version() int { return compressorOf(l).Version() }

// Sparse says that zeros are not stored.
func (l Level) Sparse() bool { return l.pruning.sparse }

// Format is how the weights of a row of cols are stored: the format in the level's name or its fallback. Those of a sparse
// level are padded to whole blocks instead.
func (l Level) Format(cols int) kernels.Format {
	if l.pruning.sparse {
		return l.format
	}
	return Fallback(l.format, cols)
}

// At is what the level comes to for rows of cols: the same for all levels of a compressor that store them alike, as those
// do that take the same fallback. It has no name.
func (l Level) At(cols int) Level {
	l.name = ""
	if l.format = l.Format(cols); !l.pruning.sparse && l.format == kernels.F16 {
		return Level{format: l.format} // whoever rounds to it
	}
	return l
}

// Zeros is the number of weights that a sparse level prunes from a layer of so many weights.
func (l Level) Zeros(weights int64) int64 {
	if l.pruning.exact {
		return l.pruning.zeros
	}
	return int64(math.Round(l.pruning.share * float64(weights)))
}

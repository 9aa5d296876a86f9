package configs

import (
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
)

// File is one experiment file, checked and with every default filled in.
type File struct {
	Path        string
	Experiments []Experiment
}

// Find returns the experiment called name. Its error lists the names there are.
func (f *File) Find(name string) (*Experiment, error) {
	names := make([]string, len(f.Experiments))
	for i := range f.Experiments {
		if names[i] = f.Experiments[i].Name; names[i] == name {
			return &f.Experiments[i], nil
		}
	}
	return nil, &Error{File: f.Path, Message: fmt.Sprintf("no experiment is named %q: %s", name, suggest(name, names, "experiments"))}
}

// Experiment is one [[experiment]]. One execution of it with one of its seeds is a run.
type Experiment struct {
	Name        string // fit for a file name
	Seeds       []uint64
	Model       string // a path, a Hugging Face folder, builtin:finchling or hf://ORG/NAME, as written
	Calibration Text   // the tokens that candidates are scored on
	Evaluation  Text   // the tokens that winners and baselines are measured on
	Statistics  Statistics
	Target      string // the file that bytes are counted in: GGUF, Safetensors or Packed
	Levels      Levels
	Rules       Rules
	Budget      Budget
	Search      Search

	doc *document        // the file it was read from, or nil
	at  map[string]*mark // where each key was last written, and "" for the header of the experiment
}

// Targets.
const (
	GGUF        = "gguf"
	Safetensors = "safetensors"
	Packed      = "packed"
)

// Text is a stretch of tokens. Only whole sequences are used.
type Text struct {
	Data     string // builtin:calibration, builtin:evaluation, a path or hf://datasets/…, perhaps with #FIELD; of Statistics, also Self
	Tokens   int
	Sequence int // tokens per sequence
}

// Statistics is the text that levels are fitted to which learn from their layers' inputs, or the importance matrix. It is zero if there
// are no such levels.
type Statistics struct {
	Text
	Propagation string // Dense or Sequential: how the text gets to each layer
	Level       string // of the blocks that it goes through, if Sequential
	Imatrix     string // a file of llama.cpp's, and nothing else is set: for levels that ask for no more
}

// Self is the text that the model writes itself.
const Self = "self"

// Propagation of the text that statistics are taken on.
const (
	Dense      = "dense"      // through the model's own blocks
	Sequential = "sequential" // through compressed blocks
)

// Levels are the choices of every site: named levels, or a ladder of sparsities. Exactly one is set.
type Levels struct {
	Names  []string // as written; "drop" adds a keep/drop gate to every sublayer
	Sparse *Ladder
}

// LevelNames are all levels that a layer or a sublayer of the experiment may have by name, each with its key.
func (e *Experiment) LevelNames() iter.Seq2[string, string] {
	return func(yield func(key, name string) bool) {
		for i, name := range e.Levels.Names {
			if !yield(fmt.Sprintf("levels[%d]", i), name) {
				return
			}
		}
		for r, set := range e.Rules.LevelsFor {
			for i, name := range set.Levels {
				if !yield(fmt.Sprintf("levels_for[%d].levels[%d]", r, i), name) {
					return
				}
			}
		}
	}
}

// Drops reports whether sublayers may be dropped.
func (l Levels) Drops() bool { return slices.Contains(l.Names, Drop) }

// Ladder is 2·Count+1 sparsities around Center. One step is StepWeights weights in every layer, whatever its size, so
// that one layer a step up and another a step down keep the total exactly. Steps beyond 0–95 % are clipped.
type Ladder struct {
	Center      float64
	StepWeights int64 // 0: an eighth of the smallest layer's
	Count       int   // steps to either side
}

// Budget is the upper bounds that every candidate meets, all at once. Zero means unbounded; at least one is set.
type Budget struct {
	BitsPerWeight float64 // stored bits over dense weights, over the layers in the search
	Bytes         int64   // the exact size of the target file
	Sparsity      float64 // the least fraction of zero weights over the layers in the search
	Drop          float64 // the fraction of attention sublayers, and of MLP sublayers, to drop
	LatencyMS     float64 // milliseconds of a pass, by LatencyTable
	LatencyTable  string  // the file of the layers' times; set if LatencyMS is
}

// Fitness functions; lower is better.
const (
	KL     = "kl"      // KL(dense‖candidate) over the whole vocabulary
	PPL    = "ppl"     // perplexity
	TopKKL = "topk-kl" // KL over the TopK most probable tokens of the dense model
)

// Where a search begins.
const (
	StartRandom  = "random"  // at the best of some random candidates
	StartUniform = "uniform" // at the candidate that method uniform finds
)

// Group rules: between which layers a mutation trades levels.
const (
	GroupSize = "size" // layers of equal size
	GroupName = "name" // layers of the same kind, such as attn_q
	GroupNone = "none" // any layers
)

// Search is how the levels are chosen.
type Search struct {
	Method      string
	Generations int
	Offspring   int    // children per generation
	Survivors   []int  // candidates kept after each stage; never rising, the last is 1
	Tokens      []int  // tokens each candidate is scored on in each stage; never falling
	Fitness     string // KL, PPL or TopKKL
	TopK        int    // for TopKKL
	Starts      int    // random candidates that the first parent is chosen from
	Start       string // StartRandom, or StartUniform for the baseline as the only one
	StartTokens int    // tokens each of them is scored on
	Group       string // GroupSize, GroupName or GroupNone
	WholeBlocks bool   // drop attention and MLP of a block together
}

// Position is where key is written, as "experiments.toml:12". Keys are named as in the file, within the experiment:
// "budget.bytes", "search.tokens[1]". A key that is not written has the position of the table it would be in.
func (e *Experiment) Position(key string) string {
	if e.doc == nil {
		return "experiment " + e.Name
	}
	return place{line: e.doc.at(e.find(key).offset).line}.in(e.doc.name)
}

func (e *Experiment) line() int { return e.doc.at(e.at[""].offset).line }

// Errorf is an [Error] at key, for mistakes that show only later, such as a budget that this model cannot meet.
// The text should name the key, the reason and what to write instead.
func (e *Experiment) Errorf(key, format string, args ...any) error {
	if e.doc == nil {
		return &Error{File: "experiment " + e.Name, Message: fmt.Sprintf(format, args...)}
	}
	return e.doc.errorf(e.find(key).offset, format, args...)
}

// find is the mark of key, or of the nearest list or table around it that is written.
func (e *Experiment) find(key string) *mark {
	if m, ok := e.at[key]; ok || key == "" {
		return m
	}
	if list := strings.LastIndexByte(key, '['); strings.HasSuffix(key, "]") && list >= 0 {
		m := e.find(key[:list])
		if i, err := strconv.Atoi(key[list+1 : len(key)-1]); err == nil && i >= 0 && i < len(m.items) {
			return m.items[i]
		}
		return m
	}
	return e.find(key[:max(0, strings.LastIndexByte(key, '.'))])
}

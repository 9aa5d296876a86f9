package configs

import "slices"

// Defaults of the stages, in sequences: the paper's "super-fast" setting, 512 and 8192 tokens in sequences of 512.
const (
	firstStage = 1
	lastStage  = 16
)

// newExperiment has every default that does not depend on another setting.
func newExperiment(doc *document) *Experiment {
	return &Experiment{
		Seeds:       []uint64{1},
		Model:       "builtin:finchling",
		Calibration: Text{Data: "builtin:calibration", Tokens: 98304, Sequence: 512},
		Evaluation:  Text{Data: "builtin:evaluation", Tokens: 32768, Sequence: 512},
		Search: Search{
			Method:      "finch",
			Generations: 40,
			Offspring:   16,
			Fitness:     KL,
			TopK:        512, // fewer ignore too much of the tail
			Starts:      1,
			Start:       StartRandom,
			Group:       GroupSize,
		},
		doc: doc,
		at:  map[string]*mark{},
	}
}

// Defaults of statistics: more tokens change the moments of the inputs little.
const statisticsTokens = 32768

// complete fills in the defaults that follow from other settings.
func (e *Experiment) complete(traits []offered) {
	s, c := &e.Search, &e.Calibration
	if s.Tokens == nil {
		whole := c.Tokens / c.Sequence
		s.Tokens = []int{firstStage * c.Sequence, min(lastStage, whole) * c.Sequence}
	}
	if s.Survivors == nil && len(s.Tokens) == 2 {
		s.Survivors = []int{1, 1}
	}
	if s.StartTokens == 0 {
		s.StartTokens = s.Tokens[0]
	}
	if slices.ContainsFunc(traits, func(t offered) bool { return t.Statistics }) {
		e.Statistics.complete(c)
	} else {
		e.Statistics = Statistics{} // of [defaults], for other experiments
	}
	if e.Levels.Sparse != nil {
		ladder := *e.Levels.Sparse // a copy: other experiments share the one of [defaults]
		if ladder.Center == 0 {
			ladder.Center = e.Budget.Sparsity
		}
		if ladder.Count == 0 {
			ladder.Count = 8
		}
		e.Levels.Sparse = &ladder
	}
	if e.Target == "" {
		e.Target = GGUF
		// A GGUF has stand-ins for single sublayers that are dropped, for some models only.
		better := func(t offered) bool {
			return t.Sparsity > 0 || t.Drop && !e.Search.WholeBlocks || e.cannotHold(t.Trait) != ""
		}
		if e.Levels.Sparse != nil || slices.ContainsFunc(traits, better) {
			e.Target = Packed
		}
	}
}

// complete takes from the calibration text what is not set, unless it takes an importance matrix.
func (s *Statistics) complete(calibration *Text) {
	if s.Imatrix != "" {
		return
	}
	if s.Data == "" {
		s.Data = calibration.Data
	}
	if s.Tokens == 0 {
		s.Tokens = min(statisticsTokens, calibration.Tokens)
	}
	if s.Sequence == 0 {
		s.Sequence = calibration.Sequence
	}
	if s.Propagation == "" {
		s.Propagation = Dense
	}
}

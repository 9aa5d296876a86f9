package configs

import (
	"fmt"
	"path/filepath"
	"slices"
)

// offered is a level of an experiment, and where it is written.
type offered struct {
	key, name string
	Trait
}

// check fills in the defaults that depend on other settings and finds what only several settings together get wrong.
// Traits belong to LevelNames.
func (e *Experiment) check(traits []offered) error {
	if e.Name == "" {
		return e.Errorf("name", `the experiment has no name: write name = "…" below [[experiment]]`)
	}
	if err := e.checkTexts(); err != nil {
		return err
	}
	e.complete(traits)
	if err := e.checkStatistics(); err != nil {
		return err
	}
	if err := e.checkLevels(); err != nil {
		return err
	}
	if err := e.checkBudget(traits); err != nil {
		return err
	}
	if err := e.checkTarget(traits); err != nil {
		return err
	}
	return e.checkStages()
}

func (e *Experiment) checkTexts() error {
	for _, t := range []struct {
		key  string
		text Text
	}{{"calibration", e.Calibration}, {"evaluation", e.Evaluation}} {
		if t.text.Data == Self {
			return e.Errorf(t.key+".data", `%s.data is %q, the text that the model writes itself: only statistics are taken on it, so write another text, or "./%s" for a file of that name`, t.key, Self, Self)
		}
		if err := e.checkText(t.key, t.text); err != nil {
			return err
		}
	}
	return nil
}

func (e *Experiment) checkText(key string, t Text) error {
	if t.Tokens < t.Sequence {
		return e.Errorf(key+".tokens", "%s.tokens is %d, less than one sequence of %d: write at least %d, or a smaller %s.sequence",
			key, t.Tokens, t.Sequence, t.Sequence, key)
	}
	return nil
}

// checkStatistics keeps levels from being fitted to the text that they are judged by.
func (e *Experiment) checkStatistics() error {
	s := e.Statistics
	switch {
	case s == Statistics{}, s == Statistics{Imatrix: s.Imatrix}:
		return nil
	case s.Imatrix != "":
		return e.Errorf("statistics.imatrix", "statistics.imatrix is %q, which was made from a text already: leave data, tokens, sequence, propagation and level out, or imatrix", s.Imatrix)
	case filepath.Clean(s.Data) == filepath.Clean(e.Evaluation.Data):
		return e.Errorf("statistics.data", "statistics.data, which is calibration.data unless it is written, is %q, the text of evaluation: levels that were fitted to it would look better than they are, so write another text", s.Data)
	case s.Propagation == Sequential && s.Level == "":
		return e.Errorf("statistics.propagation", `statistics.propagation is %q, but statistics.level is missing: write the level of the blocks that the text goes through, such as level = "q4_0"`, s.Propagation)
	case s.Propagation == Dense && s.Level != "":
		return e.Errorf("statistics.level", `statistics.level is %q, but the text goes through uncompressed blocks: write propagation = %q, or leave level out`, s.Level, Sequential)
	}
	return e.checkText("statistics", s.Text)
}

func (e *Experiment) checkLevels() error {
	l := e.Levels
	switch {
	case l.Names == nil && l.Sparse == nil:
		return e.Errorf("levels", `levels is missing: write levels = ["q2_k", "q4_k"], ["drop"] or { sparse = { … } }`)
	case len(l.Names) == 1 && !l.Drops() && len(e.Rules.LevelsFor) == 0 && e.Search.Method != "uniform":
		return e.Errorf("levels", `levels has %q alone, which leaves nothing to choose: add another level, or write search.method = "uniform"`, l.Names[0])
	case l.Sparse == nil:
		return nil
	case l.Sparse.Center == 0:
		return e.Errorf("levels.sparse", "levels.sparse has no center: write center = 0.60, or a budget of sparsity to centre on")
	}
	return nil
}

func (e *Experiment) checkBudget(traits []offered) error {
	b := e.Budget
	quantized := slices.ContainsFunc(traits, func(t offered) bool { return t.Quantized })
	sparsest := 0.0
	if e.Levels.Sparse != nil {
		sparsest = MaxSparsity
	}
	for _, t := range traits {
		sparsest = max(sparsest, t.Sparsity)
	}
	switch {
	case b.LatencyTable != "" && b.LatencyMS == 0:
		return e.Errorf("budget.latency_table", "budget.latency_table bounds nothing by itself: write latency_ms beside it, or leave it out")
	case b.LatencyMS > 0 && b.LatencyTable == "":
		return e.Errorf("budget.latency_ms", `budget.latency_ms needs the times of the layers: write latency_table = "latency.json" beside it, which finch bench latency makes`)
	case b == Budget{}:
		return e.Errorf("budget", `budget is missing: write budget = { bits_per_weight = 3.5 }, or bytes = "1.2GiB", sparsity = 0.6 or drop = 0.25`)
	case b.Sparsity > 0 && sparsest == 0:
		return e.Errorf("budget.sparsity", `budget.sparsity needs levels with zeros: write levels = { sparse = { … } } or add "sparse-%.2f" to levels`, b.Sparsity)
	case b.Sparsity > sparsest && !e.Levels.Drops():
		return e.Errorf("budget.sparsity", "budget.sparsity is %s, but no level is sparser than %s: write at most that, or add a sparser level",
			decimal(b.Sparsity), decimal(sparsest))
	case e.Levels.Sparse != nil && b.Sparsity > 0 && b.Sparsity != e.Levels.Sparse.Center:
		return e.Errorf("levels.sparse.center", "levels.sparse.center is %s, but budget.sparsity is %s: a ladder is centred on its budget, so leave center out",
			decimal(e.Levels.Sparse.Center), decimal(b.Sparsity))
	case b.Drop > 0 && !e.Levels.Drops():
		return e.Errorf("budget.drop", `budget.drop needs the level "drop": add it to levels`)
	case b.BitsPerWeight > 0 && !quantized:
		return e.Errorf("budget.bits_per_weight", `budget.bits_per_weight needs quantized levels: add some, such as "q3_k", or bound bytes, sparsity or drop`)
	}
	return nil
}

// checkTarget finds levels that the target file cannot hold.
func (e *Experiment) checkTarget(traits []offered) error {
	for _, t := range traits {
		if reason := e.cannotHold(t.Trait); reason != "" {
			return e.Errorf(t.key, "%s is %q, but target is %q: %s", t.key, t.name, e.Target, reason)
		}
		if t.Sparsity > 0 && e.Target != Packed && e.Budget.Sparsity == 0 {
			return e.Errorf(t.key, `%s is %q, but target is %q, which stores zeros like any weight, so the level saves nothing: write target = "packed", or bound sparsity`,
				t.key, t.name, e.Target)
		}
		if t.Drop && e.Target == Safetensors && !e.Search.WholeBlocks && e.Budget.Drop == 0 {
			return e.Errorf(t.key, `%s is %q, but target is %q, where only whole blocks save anything: write search.whole_blocks = true, or target = "packed", or bound drop`,
				t.key, t.name, e.Target)
		}
	}
	if e.Levels.Sparse != nil && e.Target != Packed && e.Budget.Sparsity == 0 {
		return e.Errorf("levels.sparse", `levels.sparse saves nothing with target %q, which stores zeros like any weight: write target = "packed", or bound sparsity`, e.Target)
	}
	return nil
}

// cannotHold says why the target cannot hold a level and what to write instead, or "".
func (e *Experiment) cannotHold(t Trait) string {
	switch {
	case e.Target == GGUF && !t.GGUF:
		return `a GGUF cannot hold it exactly: write target = "packed"`
	case e.Target == Safetensors && !t.Safetensors && t.GGUF:
		return `no reader of safetensors files knows the format: write target = "gguf" or "packed"`
	case e.Target == Safetensors && !t.Safetensors:
		return `no reader of safetensors files knows the format: write target = "packed"`
	}
	return ""
}

// checkStages checks the stages of selection: how many survive and on how many tokens they are scored.
func (e *Experiment) checkStages() error {
	s := e.Search
	switch {
	case s.Survivors == nil:
		return e.Errorf("search.tokens", "search.survivors is missing: write one count for each of the %d stages of search.tokens, the last 1", len(s.Tokens))
	case len(s.Survivors) != len(s.Tokens):
		return e.Errorf("search.survivors", "search.survivors has %d stages and search.tokens has %d: write one count for each stage in both",
			len(s.Survivors), len(s.Tokens))
	}
	before, whose := s.Offspring, "search.offspring"
	for i, n := range s.Survivors {
		key := fmt.Sprintf("search.survivors[%d]", i)
		if n > before {
			return e.Errorf(key, "%s is %d, more than the %d of %s that it selects from: write at most %d", key, n, before, whose, before)
		}
		before, whose = n, key
	}
	if before != 1 {
		return e.Errorf(whose, "%s is %d, but the last stage keeps one parent: write 1", whose, before)
	}
	for i, n := range s.Tokens {
		key := fmt.Sprintf("search.tokens[%d]", i)
		if err := e.checkSlice(key, n); err != nil {
			return err
		}
		if i > 0 && n < s.Tokens[i-1] {
			return e.Errorf(key, "%s is %d, fewer than the %d of the stage before: write at least as many, since later stages score fewer candidates on more tokens", key, n, s.Tokens[i-1])
		}
	}
	return e.checkSlice("search.start_tokens", s.StartTokens)
}

// checkSlice checks that a slice of calibration tokens can be drawn.
func (e *Experiment) checkSlice(key string, tokens int) error {
	c := e.Calibration
	if tokens > c.Tokens {
		return e.Errorf(key, "%s is %d, more than the %d of calibration.tokens: write at most %d, or raise calibration.tokens",
			key, tokens, c.Tokens, c.Tokens/c.Sequence*c.Sequence)
	}
	if tokens%c.Sequence != 0 {
		nearest := max(1, (tokens+c.Sequence/2)/c.Sequence) * c.Sequence
		if nearest > c.Tokens {
			nearest -= c.Sequence
		}
		return e.Errorf(key, "%s is %d, no multiple of the %d tokens of calibration.sequence: write %d, or change calibration.sequence",
			key, tokens, c.Sequence, nearest)
	}
	return nil
}

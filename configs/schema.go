package configs

import (
	"fmt"
	"slices"
	"strings"
)

// field is one key of the schema: a value that is set, or a table of further fields.
type field struct {
	key   string
	set   func(*Experiment, setting) error
	table []field
}

// Limits, far beyond use, that keep every product of counts within int64.
const (
	maxExperiments = 1_000
	maxName        = 64
	maxSeeds       = 1_000
	maxLevels      = 256
	maxTokens      = 1_000_000_000
	maxSequence    = 1 << 20
	maxGenerations = 100_000
	maxOffspring   = 10_000
	maxStages      = 8
	maxTopK        = 1 << 20
	maxBits        = 32
	maxLatency     = 1e9
)

// schema has every key of an experiment, in the order of docs/experiments.md.
func (d Decoder) schema() []field {
	return []field{
		{key: "name", set: setName},
		{key: "seeds", set: setSeeds},
		{key: "model", set: func(e *Experiment, s setting) (err error) {
			e.Model, err = s.text("builtin:finchling")
			return err
		}},
		{key: "calibration", table: textFields(func(e *Experiment) *Text { return &e.Calibration })},
		{key: "evaluation", table: textFields(func(e *Experiment) *Text { return &e.Evaluation })},
		{key: "statistics", table: d.statisticsFields()},
		{key: "target", set: func(e *Experiment, s setting) (err error) {
			e.Target, err = s.choice([]string{GGUF, Safetensors, Packed})
			return err
		}},
		{key: "levels", set: d.setLevels},
		{key: "levels_for", set: d.setLevelsFor},
		{key: "same", set: setSame},
		{key: "protect", set: setProtect},
		{key: "budget", set: d.setBudget},
		{key: "search", set: d.setSearch},
	}
}

func textFields(of func(*Experiment) *Text) []field {
	return []field{
		{key: "data", set: func(e *Experiment, s setting) (err error) {
			of(e).Data, err = s.text("builtin:calibration")
			return err
		}},
		{key: "tokens", set: func(e *Experiment, s setting) (err error) {
			of(e).Tokens, err = s.count(1, maxTokens)
			return err
		}},
		{key: "sequence", set: func(e *Experiment, s setting) (err error) {
			of(e).Sequence, err = s.count(2, maxSequence) // the first token of a sequence predicts, the last is predicted
			return err
		}},
	}
}

func (d Decoder) statisticsFields() []field {
	return append(textFields(func(e *Experiment) *Text { return &e.Statistics.Text }),
		field{key: "propagation", set: func(e *Experiment, s setting) (err error) {
			e.Statistics.Propagation, err = s.choice([]string{Dense, Sequential})
			return err
		}},
		field{key: "level", set: d.setStatisticsLevel},
		field{key: "imatrix", set: func(e *Experiment, s setting) (err error) {
			e.Statistics.Imatrix, err = s.text("imatrix.gguf")
			return err
		}},
	)
}

func levelsFields() []field { return []field{{key: "sparse", table: ladderFields()}} }

func ladderFields() []field {
	return []field{
		{key: "center", set: func(e *Experiment, s setting) (err error) {
			e.Levels.Sparse.Center, err = s.fraction("0.60")
			if err == nil && e.Levels.Sparse.Center > MaxSparsity {
				err = s.wrong("at most " + decimal(MaxSparsity))
			}
			return err
		}},
		{key: "step_weights", set: func(e *Experiment, s setting) (err error) {
			e.Levels.Sparse.StepWeights, err = s.integer(1, 1<<40)
			return err
		}},
		{key: "count", set: func(e *Experiment, s setting) (err error) {
			e.Levels.Sparse.Count, err = s.count(1, (maxLevels-1)/2)
			return err
		}},
	}
}

func budgetFields() []field {
	return []field{
		{key: "bits_per_weight", set: func(e *Experiment, s setting) (err error) {
			e.Budget.BitsPerWeight, err = s.number(maxBits, "3.5")
			return err
		}},
		{key: "bytes", set: setBytes},
		{key: "sparsity", set: func(e *Experiment, s setting) (err error) {
			e.Budget.Sparsity, err = s.fraction("0.6")
			return err
		}},
		{key: "drop", set: func(e *Experiment, s setting) (err error) {
			e.Budget.Drop, err = s.fraction("0.25")
			return err
		}},
		{key: "latency_ms", set: func(e *Experiment, s setting) (err error) {
			e.Budget.LatencyMS, err = s.number(maxLatency, "12.5")
			return err
		}},
		{key: "latency_table", set: func(e *Experiment, s setting) (err error) {
			e.Budget.LatencyTable, err = s.text("latency.json")
			return err
		}},
	}
}

func (d Decoder) searchFields() []field {
	return []field{
		{key: "preset", set: func(*Experiment, setting) error { return nil }}, // setSearch has applied it
		{key: "method", set: func(e *Experiment, s setting) (err error) {
			e.Search.Method, err = s.choice(d.methods())
			return err
		}},
		{key: "generations", set: func(e *Experiment, s setting) (err error) {
			e.Search.Generations, err = s.count(1, maxGenerations)
			return err
		}},
		{key: "offspring", set: func(e *Experiment, s setting) (err error) {
			e.Search.Offspring, err = s.count(1, maxOffspring)
			return err
		}},
		{key: "survivors", set: func(e *Experiment, s setting) (err error) {
			e.Search.Survivors, err = s.counts(1, maxOffspring, maxStages, "[2, 1]")
			return err
		}},
		{key: "tokens", set: func(e *Experiment, s setting) (err error) {
			e.Search.Tokens, err = s.counts(1, maxTokens, maxStages, "[512, 8192]")
			return err
		}},
		{key: "fitness", set: func(e *Experiment, s setting) (err error) {
			e.Search.Fitness, err = s.choice([]string{KL, PPL, TopKKL})
			return err
		}},
		{key: "top_k", set: func(e *Experiment, s setting) (err error) {
			e.Search.TopK, err = s.count(1, maxTopK)
			return err
		}},
		{key: "starts", set: func(e *Experiment, s setting) (err error) {
			e.Search.Starts, err = s.count(1, maxOffspring)
			return err
		}},
		{key: "start", set: func(e *Experiment, s setting) (err error) {
			e.Search.Start, err = s.choice([]string{StartRandom, StartUniform})
			return err
		}},
		{key: "start_tokens", set: func(e *Experiment, s setting) (err error) {
			e.Search.StartTokens, err = s.count(1, maxTokens)
			return err
		}},
		{key: "group", set: func(e *Experiment, s setting) (err error) {
			e.Search.Group, err = s.choice([]string{GroupSize, GroupName, GroupNone})
			return err
		}},
		{key: "whole_blocks", set: func(e *Experiment, s setting) (err error) {
			e.Search.WholeBlocks, err = s.flag()
			return err
		}},
	}
}

// apply sets the fields of a table in e, in the order of the file. Where is the table's name in messages.
func (d Decoder) apply(e *Experiment, table setting, fields []field, where string) error {
	if _, ok := table.value.(map[string]any); !ok {
		return table.errorf("%s is %s: write a table with some of the keys %s", where, describe(table.value), quoteAll(keysOf(fields)))
	}
	for _, s := range table.children() {
		i := slices.IndexFunc(fields, func(f field) bool { return f.key == s.name })
		if i < 0 {
			return s.errorf("unknown key %s in %s: %s", describe(s.name), where, d.elsewhere(s, keysOf(fields)))
		}
		e.at[s.key] = s.mark
		var err error
		if fields[i].table != nil {
			err = d.apply(e, s, fields[i].table, s.key)
		} else {
			err = fields[i].set(e, s)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func keysOf(fields []field) []string {
	keys := make([]string, len(fields))
	for i, f := range fields {
		keys[i] = f.key
	}
	return keys
}

// elsewhere says which known key an unknown one resembles, or where it belongs.
func (d Decoder) elsewhere(s setting, known []string) string {
	if slices.Contains(keysOf(d.schema()), s.name) {
		if _, table := s.value.(map[string]any); table {
			return fmt.Sprintf("it belongs to an experiment: write [experiment.%s] below [[experiment]]", s.name)
		}
		return "it belongs to an experiment: write it right below [[experiment]]"
	}
	if nearest(s.name, known) != "" {
		return suggest(s.name, known, "keys here")
	}
	var owners []string
	for _, table := range []struct {
		name   string
		fields []field
	}{
		{"search", d.searchFields()},
		{"budget", budgetFields()},
		{"levels", levelsFields()},
		{"levels.sparse", ladderFields()},
		{"levels_for", d.levelsForFields(nil)},
		{"calibration", textFields(nil)},
		{"evaluation", textFields(nil)},
		{"statistics", d.statisticsFields()},
	} {
		if slices.Contains(keysOf(table.fields), s.name) {
			owners = append(owners, table.name+"."+s.name)
		}
	}
	if owners != nil {
		return "write " + strings.Join(owners, " or ") + ", within an experiment"
	}
	return suggest(s.name, known, "keys here")
}

// fitsFile says whether name can be that of a file on every system.
func fitsFile(name string) bool {
	stem, _, _ := strings.Cut(strings.ToLower(name), ".")
	reserved := slices.Contains([]string{"con", "prn", "aux", "nul"}, stem) || // on Windows
		len(stem) == 4 && (stem[:3] == "com" || stem[:3] == "lpt") && stem[3] >= '0' && stem[3] <= '9'
	return name != "" && len(name) <= maxName && strings.Trim(name, bareKey+".") == "" &&
		!strings.ContainsAny(name[:1], "._-") && !strings.HasSuffix(name, ".") && !reserved
}

func setName(e *Experiment, s setting) (err error) {
	if e.Name, err = s.text("bits-3.5"); err != nil {
		return err
	}
	if !fitsFile(e.Name) {
		return s.wrong(`a name that fits a file, such as "bits-3.5": up to 64 letters, digits, ".", "_" or "-", ` +
			"with a letter or digit first and no dot last")
	}
	return nil
}

func setSeeds(e *Experiment, s setting) error {
	items, ok := s.items()
	if !ok || len(items) == 0 || len(items) > maxSeeds {
		return s.wrong(fmt.Sprintf("a list of 1 to %d whole numbers, such as [1, 2, 3]", maxSeeds))
	}
	e.Seeds = make([]uint64, len(items))
	seen := make(map[uint64]bool, len(items))
	for i, item := range items {
		v, ok := item.value.(int64)
		if !ok || v < 0 {
			return item.wrong("a whole number of at least 0" + unquoted(item.value))
		}
		if e.Seeds[i] = uint64(v); seen[e.Seeds[i]] {
			return item.errorf("seed %d is there twice: the same seed gives the same result, so leave one out", v)
		}
		seen[e.Seeds[i]] = true
	}
	return nil
}

func (d Decoder) setLevels(e *Experiment, s setting) error {
	if table, ok := s.value.(map[string]any); ok {
		if len(table) == 0 {
			return s.errorf("levels is an empty table: write levels = { sparse = { center = 0.60, step_weights = 4096 } }")
		}
		ladder := Ladder{}
		if e.Levels.Sparse != nil {
			ladder = *e.Levels.Sparse // a copy: other experiments share the one of [defaults]
		}
		e.Levels = Levels{Sparse: &ladder}
		return d.apply(e, s, levelsFields(), s.key)
	}
	names, err := d.levelNames(s, `, or { sparse = { … } }`)
	e.Levels = Levels{Names: names}
	return err
}

// levelNames reads a list of levels; instead says what else it could be.
func (d Decoder) levelNames(s setting, instead string) ([]string, error) {
	items, ok := s.items()
	if !ok || len(items) == 0 || len(items) > maxLevels {
		return nil, s.wrong(fmt.Sprintf(`a list of 1 to %d names, such as ["q2_k", "q4_k"]%s`, maxLevels, instead))
	}
	names := make([]string, len(items))
	for i, item := range items {
		name, err := item.text("q4_k")
		if err != nil {
			return nil, err
		}
		if _, err := d.level(name); err != nil {
			return nil, item.errorf("%s: %v", item.key, err)
		}
		if slices.Contains(names[:i], name) {
			return nil, item.errorf("%s: level %q is there twice: leave one out", item.key, name)
		}
		names[i] = name
	}
	return names, nil
}

func (d Decoder) setStatisticsLevel(e *Experiment, s setting) error {
	name, err := s.text("q4_0")
	if err != nil {
		return err
	}
	trait, err := d.level(name)
	if err != nil {
		return s.errorf("%s: %v", s.key, err)
	}
	if trait.Drop {
		return s.errorf(`%s is %q, which is for sublayers: write a level that every layer can have, such as "q4_0"`, s.key, name)
	}
	e.Statistics.Level = name
	return nil
}

// setBudget lets what an experiment says about size take the place of all that [defaults] says about it.
func (d Decoder) setBudget(e *Experiment, s setting) error {
	if table, ok := s.value.(map[string]any); ok && (table["bytes"] != nil || table["bits_per_weight"] != nil) {
		e.Budget.Bytes, e.Budget.BitsPerWeight = 0, 0
	}
	return d.apply(e, s, budgetFields(), s.key)
}

func setBytes(e *Experiment, s setting) (err error) {
	switch v := s.value.(type) {
	case int64:
		if v > 0 && v <= MaxBytes {
			e.Budget.Bytes = v
			return nil
		}
	case string:
		if e.Budget.Bytes, err = ParseBytes(v); err != nil {
			return s.errorf("budget.bytes: %v", err)
		}
		return nil
	}
	return s.wrong(`a size such as "1.2GiB" or "90MB", or a whole number of bytes above 0`)
}

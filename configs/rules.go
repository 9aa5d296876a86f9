package configs

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// Rules are what every candidate keeps to beside the budget, for the engines that are to serve it. Layers are named by patterns, see
// [Match].
type Rules struct {
	LevelsFor []LevelsFor
	Same      [][]string // each: layers of a block that have one level
	Protect   []string   // layers that stay as they are, and sublayers that are never dropped
}

// LevelsFor is the levels of some layers, instead of those of Experiment.Levels. The last that matches a layer counts.
type LevelsFor struct {
	Layers []string // patterns
	Levels []string // names, none of them Drop
}

// Limits of rules.
const (
	maxRules    = 1_000
	maxPatterns = 1_000
)

// Match reports whether a pattern names a layer such as blk.3.attn_q, or a sublayer such as blk.3.attn: in full or, for those of all
// blocks, by what follows the block's number. *, ? and [0-3] are those of file names.
func Match(pattern, name string) bool {
	if !strings.HasPrefix(pattern, "blk.") {
		name = kindOf(name)
	}
	ok, _ := path.Match(pattern, name) // setPatterns has refused a bad one
	return ok
}

// MatchAny reports whether one of some patterns names a layer or sublayer.
func MatchAny(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return Match(p, name) })
}

// kindOf is the name of a layer without its block.
func kindOf(name string) string {
	parts := strings.SplitN(name, ".", 3)
	return parts[len(parts)-1]
}

func (d Decoder) setLevelsFor(e *Experiment, s setting) error {
	items, ok := s.items()
	if !ok || len(items) > maxRules {
		return s.wrong(fmt.Sprintf(`a list of up to %d tables, such as [{ layers = ["ffn_*"], levels = ["q2_k", "q3_k"] }]`, maxRules))
	}
	e.Rules.LevelsFor = make([]LevelsFor, len(items))
	for i, item := range items {
		r := &e.Rules.LevelsFor[i]
		if err := d.apply(e, item, d.levelsForFields(r), item.key); err != nil {
			return err
		}
		if r.Layers == nil || r.Levels == nil {
			return item.errorf(`%s says only one of which layers and which levels: write { layers = ["ffn_*"], levels = ["q2_k", "q3_k"] }`, item.key)
		}
	}
	return nil
}

func (d Decoder) levelsForFields(r *LevelsFor) []field {
	return []field{
		{key: "layers", set: func(_ *Experiment, s setting) (err error) {
			r.Layers, err = s.patterns(1)
			return err
		}},
		{key: "levels", set: func(_ *Experiment, s setting) (err error) {
			if r.Levels, err = d.levelNames(s, ""); err != nil {
				return err
			}
			if i := slices.Index(r.Levels, Drop); i >= 0 {
				items, _ := s.items()
				return items[i].errorf("%s is %q, which is for sublayers: write it in levels, and in protect the sublayers that stay", items[i].key, Drop)
			}
			return nil
		}},
	}
}

// setSame takes one list of layers or several.
func setSame(e *Experiment, s setting) error {
	items, ok := s.items()
	if !ok || len(items) > maxRules {
		return s.wrong(`a list of layers of a block that have one level, such as ["attn_q", "attn_k", "attn_v"], or a list of such lists`)
	}
	e.Rules.Same = nil
	if len(items) > 0 {
		if _, single := items[0].value.(string); single {
			items = []setting{s}
		}
	}
	for _, item := range items {
		patterns, err := item.patterns(1)
		if err != nil {
			return err
		}
		e.Rules.Same = append(e.Rules.Same, patterns)
	}
	return nil
}

func setProtect(e *Experiment, s setting) (err error) {
	e.Rules.Protect, err = s.patterns(0)
	return err
}

// patterns is a list of at least so many.
func (s setting) patterns(least int) ([]string, error) {
	items, ok := s.items()
	if !ok || len(items) < least || len(items) > maxPatterns {
		return nil, s.wrong(fmt.Sprintf(`a list of up to %d layers, such as ["attn_v", "blk.0.*"]`, maxPatterns))
	}
	var patterns []string
	for _, item := range items {
		p, err := item.text("blk.0.*")
		if err != nil {
			return nil, err
		}
		if _, err := path.Match(p, ""); err != nil {
			return nil, item.errorf(`%s is %s, which is no pattern: write names with *, ? or [0-3], such as "blk.0.*"`, item.key, describe(p))
		}
		if slices.Contains(patterns, p) {
			return nil, item.errorf("%s: %s is there twice: leave one out", item.key, describe(p))
		}
		patterns = append(patterns, p)
	}
	return patterns, nil
}

// canonical has the rules that there are. Only the order of LevelsFor, and of levels, means something.
func (r Rules) canonical() map[string]any {
	settings := map[string]any{}
	var sets []any
	for _, l := range r.LevelsFor {
		sets = append(sets, map[string]any{"layers": slices.Sorted(slices.Values(l.Layers)), "levels": l.Levels})
	}
	var same [][]string
	for _, patterns := range r.Same {
		same = append(same, slices.Sorted(slices.Values(patterns)))
	}
	slices.SortFunc(same, slices.Compare)
	if sets != nil {
		settings["levels_for"] = sets
	}
	if same != nil {
		settings["same"] = same
	}
	if len(r.Protect) > 0 {
		settings["protect"] = slices.Sorted(slices.Values(r.Protect))
	}
	return settings
}

// CheckRules refuses patterns that name nothing in a model with these layers and sublayers, each by its full name.
func (e *Experiment) CheckRules(layers, sublayers []string) error {
	check := func(key string, patterns, known []string, what string) error {
		for i, p := range patterns {
			if !slices.ContainsFunc(known, func(name string) bool { return Match(p, name) }) {
				return e.Errorf(fmt.Sprintf("%s[%d]", key, i), "%s[%d] is %s, which names no %s of the model: %s",
					key, i, describe(p), what, meant(p, known))
			}
		}
		return nil
	}
	for i, r := range e.Rules.LevelsFor {
		if err := check(fmt.Sprintf("levels_for[%d].layers", i), r.Layers, layers, "layer"); err != nil {
			return err
		}
	}
	for i, patterns := range e.Rules.Same {
		if err := check(e.sameKey(i), patterns, layers, "layer"); err != nil {
			return err
		}
	}
	return check("protect", e.Rules.Protect, slices.Concat(layers, sublayers), "layer or sublayer")
}

// sameKey is where the i-th list of Same is written: a single one may be the value itself.
func (e *Experiment) sameKey(i int) string {
	if e.doc != nil && len(e.Rules.Same) == 1 && e.find("same[0]").items == nil {
		return "same"
	}
	return fmt.Sprintf("same[%d]", i)
}

// meant says what could have been written instead of a pattern that names none of known.
func meant(pattern string, known []string) string {
	var kinds []string
	for _, name := range known {
		if kind := kindOf(name); !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
	}
	list := fmt.Sprintf("they are %s, of blocks such as %q", quoteAll(kinds), known[len(known)-1])
	whole := pattern + ".*"
	if slices.ContainsFunc(known, func(name string) bool { return Match(whole, name) }) {
		return fmt.Sprintf("did you mean %q? (%s)", whole, list)
	}
	if n := nearest(pattern, slices.Concat(kinds, known)); n != "" {
		return fmt.Sprintf("did you mean %q? (%s)", n, list)
	}
	return list
}

package configs

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// The comment of each preset states what a generation scores.
func TestSearchPresets(t *testing.T) {
	want := map[string]Search{
		"evopress-depth":    {Generations: 0, Offspring: 32, Survivors: []int{2, 1}, Tokens: []int{2048, 32768}},
		"evopress-sparsity": {Generations: 400, Offspring: 64, Survivors: []int{8, 2, 1}, Tokens: []int{2048, 16384, 65536}},
		"evopress-bits":     {Generations: 150, Offspring: 128, Survivors: []int{16, 4, 1}, Tokens: []int{2048, 16384, 131072}},
		"evopress-fast":     {Generations: 400, Offspring: 16, Survivors: []int{1, 1}, Tokens: []int{512, 8192}},
	}
	if names := SearchPresets(); len(names) != len(want) {
		t.Errorf("presets %v", names)
	}
	for _, name := range SearchPresets() {
		w := want[name]
		w.Method, w.Fitness, w.TopK, w.Group = "evopress", KL, 512, GroupSize
		w.Start, w.Starts, w.StartTokens = StartRandom, 64, 2048
		e := parse(t, head+fmt.Sprintf(`levels = ["drop"]
budget = { drop = 0.25 }
calibration = { tokens = 131072 }
search = { preset = %q }
`, name)).Experiments[0]
		if !reflect.DeepEqual(e.Search, w) {
			t.Errorf("%s: %+v, want %+v", name, e.Search, w)
		}
		text, err := searchPresets.ReadFile("presets/search/" + name + ".toml")
		if err != nil {
			t.Fatal(err)
		}
		entering, tokens := w.Offspring, 0
		for k, n := range w.Tokens {
			if k == len(w.Tokens)-1 {
				entering++ // the parent
			}
			tokens += entering * n
			entering = w.Survivors[k]
		}
		digits := fmt.Sprintf("%d,%03d", tokens/1000%1000, tokens%1000)
		if tokens >= 1e6 {
			digits = fmt.Sprintf("%d,%s", tokens/1e6, digits)
		}
		if !strings.Contains(string(text), "= "+digits+"\n") {
			t.Errorf("%s: the comment does not say %s tokens", name, digits)
		}
	}
}

func TestSearchPresetGivesWay(t *testing.T) {
	f := parse(t, `[defaults]
search = { generations = 7, offspring = 99, fitness = "ppl" }

[[experiment]]
name = "before"
levels = ["drop"]
budget = { drop = 0.25 }
search = { offspring = 8, preset = "evopress-fast" }

[[experiment]]
name = "after"
levels = ["drop"]
budget = { drop = 0.25 }
[experiment.search]
preset = "evopress-depth"
tokens = [512, 1024]
`)
	before, after := f.Experiments[0].Search, f.Experiments[1].Search
	if before.Offspring != 8 || before.Generations != 400 || before.Fitness != PPL {
		t.Errorf("keys beside the preset win, those of the defaults only where it is silent: %+v", before)
	}
	if after.Offspring != 32 || after.Generations != 0 || !reflect.DeepEqual(after.Tokens, []int{512, 1024}) {
		t.Errorf("%+v", after)
	}
	for key, line := range map[string]int{"search.generations": 8, "search.offspring": 8, "search.fitness": 2} {
		if got, want := f.Experiments[0].Position(key), fmt.Sprintf(":%d", line); !strings.HasSuffix(got, want) {
			t.Errorf("%s is at %s, want line %d", key, got, line)
		}
	}
}

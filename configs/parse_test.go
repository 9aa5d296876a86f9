package configs

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
)

func parse(t *testing.T, source string) *File {
	t.Helper()
	f, err := Parse([]byte(source), "x.toml")
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestDefaults(t *testing.T) {
	got := parse(t, head+`levels = ["q3_k", "q4_k"]
budget = { bits_per_weight = 3.5 }
`).Experiments[0]
	want := Experiment{
		Name:        "a",
		Seeds:       []uint64{1},
		Model:       "builtin:finchling",
		Calibration: Text{"builtin:calibration", 98304, 512},
		Evaluation:  Text{"builtin:evaluation", 32768, 512},
		Target:      GGUF,
		Levels:      Levels{Names: []string{"q3_k", "q4_k"}},
		Budget:      Budget{BitsPerWeight: 3.5},
		Search: Search{
			Method: "finch", Generations: 40, Offspring: 16, Survivors: []int{1, 1}, Tokens: []int{512, 8192},
			Fitness: KL, TopK: 512, Starts: 1, Start: StartRandom, StartTokens: 512, Group: GroupSize,
		},
		doc: got.doc, at: got.at,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestMerge(t *testing.T) {
	f := parse(t, `
[defaults]
seeds            = [1, 2]
calibration      = { data = "book.txt", sequence = 1024 }
levels           = { sparse = { step_weights = 4096 } }
budget           = { bits_per_weight = 3 }
search.survivors = [2, 1]

[[experiment]]
name   = "first"
budget = { bytes = "5 MB" }
levels = { sparse = { center = 0.5, count = 4 } }

[[experiment]]
name          = "second"
seeds         = [3]
calibration   = { tokens = 4096 }
levels        = ["q2_k", "q3_k"]
search.tokens = [1024, 2048]
`)
	first, second := f.Experiments[0], f.Experiments[1]
	for _, c := range []struct{ what, got, want any }{
		{"seeds of the defaults", first.Seeds, []uint64{1, 2}},
		{"own seeds", second.Seeds, []uint64{3}},
		{"nested table", second.Calibration, Text{"book.txt", 4096, 1024}},
		{"built-in default in a nested table", first.Calibration, Text{"book.txt", 98304, 1024}},
		{"ladder", *first.Levels.Sparse, Ladder{Center: 0.5, StepWeights: 4096, Count: 4}},
		{"names replace a ladder", second.Levels, Levels{Names: []string{"q2_k", "q3_k"}}},
		{"bytes replace bits", first.Budget, Budget{Bytes: 5e6}},
		{"inherited budget", second.Budget, Budget{BitsPerWeight: 3}},
		{"dotted key", second.Search.Tokens, []int{1024, 2048}},
		{"inherited list", second.Search.Survivors, []int{2, 1}},
		{"stages follow the sequence", first.Search.Tokens, []int{1024, 16384}},
		{"starts follow the stages", first.Search.StartTokens, 1024},
		{"target with zeros", first.Target, Packed},
		{"target of GGUF formats", second.Target, GGUF},
	} {
		if !reflect.DeepEqual(c.got, c.want) {
			t.Errorf("%s: got %v, want %v", c.what, c.got, c.want)
		}
	}
}

func TestDerivedSettings(t *testing.T) {
	one := func(t *testing.T, rest string) Experiment { return parse(t, head+rest).Experiments[0] }
	t.Run("stages fit few tokens", func(t *testing.T) {
		e := one(t, "levels = [\"drop\"]\nbudget = { drop = 0.25 }\ncalibration = { tokens = 1500 }\n")
		if want := []int{512, 1024}; !reflect.DeepEqual(e.Search.Tokens, want) {
			t.Errorf("tokens %v, want %v", e.Search.Tokens, want)
		}
	})
	t.Run("ladder on the budget", func(t *testing.T) {
		e := one(t, "levels = { sparse = { step_weights = 4096 } }\nbudget = { sparsity = 0.7 }\n")
		if want := (Ladder{0.7, 4096, 8}); *e.Levels.Sparse != want {
			t.Errorf("%v, want %v", *e.Levels.Sparse, want)
		}
	})
	for rest, want := range map[string]string{
		"levels = [\"drop\"]\nbudget = { drop = 0.5 }\n":                                       Packed,
		"levels = [\"drop\"]\nbudget = { drop = 0.5 }\nsearch = { whole_blocks = true }\n":     GGUF,
		"levels = [\"q4_k\", \"q6_k\"]\nbudget = { bytes = 9 }\n":                              GGUF,
		"levels = [\"q4_k\", \"drop\"]\nbudget = { bytes = 9 }\n":                              Packed,
		"levels = [\"bf16\", \"sparse-0.50\"]\nbudget = { sparsity = 0.3 }\n":                  Packed,
		"levels = [\"bf16\", \"sparse-0.50\"]\nbudget = { sparsity = 0.3 }\ntarget=\"gguf\"\n": GGUF,
	} {
		if e := one(t, rest); e.Target != want {
			t.Errorf("%s: target %q, want %q", rest, e.Target, want)
		}
	}
}

func TestSpellings(t *testing.T) {
	for name, source := range map[string]string{
		"experiment as a list":        `experiment = [{ name = "a", levels = ["drop"], budget = { drop = 0.25 } }]`,
		"byte order mark":             "\ufeff" + head + "levels = [\"drop\"]\nbudget = { drop = 0.25 }",
		"line ends of Windows":        strings.ReplaceAll(head+"levels = [\"drop\"]\nbudget = { drop = 0.25 }\n", "\n", "\r\n"),
		"quoted keys":                 "[[\"experiment\"]]\n'name' = \"a\"\n\"levels\" = [\"\"\"drop\"\"\"]\n\"budget\".'drop' = 2.5e-1",
		"tables":                      head + "levels = ['drop']\n[experiment.budget]\ndrop = 0.25",
		"inline table on three lines": head + "levels = ['drop']\nbudget = {\n  drop = 0.25, # a quarter\n}",
	} {
		e := parse(t, source).Experiments[0]
		if e.Name != "a" || e.Budget.Drop != 0.25 || !e.Levels.Drops() {
			t.Errorf("%s: %+v", name, e)
		}
	}
}

func TestPositions(t *testing.T) {
	f := parse(t, `[defaults]
seeds = [
  4,
  5,
]
search = { generations = 3 }

[[experiment]]
name   = "a"
levels = ["drop"]
[experiment.budget]
drop = 0.25

[[experiment]]
name   = "b"
levels = [
  "q2_k",
  "q3_k",
]
budget = { bytes = 5 }
search.offspring = 4
`)
	for _, c := range []struct {
		experiment, line int
		key              string
	}{
		{0, 12, "budget.drop"},
		{0, 11, "budget.bytes"},
		{0, 11, "budget"},
		{0, 8, "target"},
		{0, 8, ""},
		{0, 2, "seeds"},
		{0, 4, "seeds[1]"},
		{0, 2, "seeds[7]"},
		{0, 6, "search.generations"},
		{0, 6, "search.tokens[0]"},
		{1, 18, "levels[1]"},
		{1, 16, "levels"},
		{1, 20, "budget.bytes"},
		{1, 21, "search.offspring"},
		{1, 6, "search.generations"},
		{1, 14, "model"},
	} {
		e := &f.Experiments[c.experiment]
		want := fmt.Sprintf("x.toml:%d", c.line)
		if got := e.Position(c.key); got != want {
			t.Errorf("%s of %s is at %s, want %s", c.key, e.Name, got, want)
		}
		if err := e.Errorf(c.key, "%d %%", 7); !strings.HasPrefix(err.Error(), want+":") || !strings.HasSuffix(err.Error(), ": 7 %") {
			t.Errorf("%s of %s: %v", c.key, e.Name, err)
		}
	}
	literal := Experiment{Name: "made"}
	if err := literal.Errorf("budget", "impossible"); err.Error() != "experiment made: impossible" || literal.Position("x") != "experiment made" {
		t.Errorf("%v at %s", err, literal.Position("x"))
	}
}

func TestFind(t *testing.T) {
	f, err := Load("../experiments.toml")
	if err != nil {
		t.Fatal(err)
	}
	if e, err := f.Find("joint"); err != nil || e.Name != "joint" {
		t.Errorf("%v, %v", e, err)
	}
	_, err = f.Find("bits3.5")
	want := `../experiments.toml: no experiment is named "bits3.5": did you mean "bits-3.5"? (the experiments are "depth-25", "bits-3.5", "sparse-60", "joint")`
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestInjection(t *testing.T) {
	d := Decoder{
		Level: func(name string) (Trait, error) {
			if name != "x1" && name != "x2" {
				return Trait{}, errors.New("write x1 or x2")
			}
			return Trait{Quantized: true, Safetensors: true}, nil
		},
		Methods: []string{"magic"},
	}
	const rest = "budget = { bytes = 9 }\ntarget = \"safetensors\"\nsearch = { method = \"magic\" }\n"
	if _, err := d.Parse([]byte(head+"levels = [\"x1\", \"x2\"]\n"+rest), "x.toml"); err != nil {
		t.Error(err)
	}
	_, err := d.Parse([]byte(head+"levels = [\"x1\", \"q4_k\"]\n"+rest), "x.toml")
	if want := "x.toml:3:17: levels[1]: write x1 or x2"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// The comments of the shipped files state what each search scores.
func TestShippedFiles(t *testing.T) {
	tokens := func(s Search) int64 { // an evolutionary search, the parent scored in the last stage
		candidates, generation := s.Offspring, 0
		for i, n := range s.Tokens {
			if i == len(s.Tokens)-1 {
				candidates++
			}
			generation += candidates * n
			candidates = s.Survivors[i]
		}
		return int64(s.Starts*s.StartTokens + s.Generations*generation)
	}
	source, err := os.ReadFile("../experiments.toml")
	if err != nil {
		t.Fatal(err)
	}
	shipped := parse(t, string(source)).Experiments
	names := []string{"depth-25", "bits-3.5", "sparse-60", "joint"}
	if len(shipped) != len(names) {
		t.Fatalf("%d experiments", len(shipped))
	}
	for i, e := range shipped {
		total := tokens(e.Search)
		if e.Name != names[i] || total > 1_000_000 || len(e.Seeds) != 1 {
			t.Errorf("%s: %d tokens for each of the seeds %v", e.Name, total, e.Seeds)
		}
		if stated := fmt.Sprintf("= %d,%03d tokens", total/1000, total%1000); !strings.Contains(string(source), stated) {
			t.Errorf("%s: the comments do not say %q", e.Name, stated)
		}
	}
	want := []string{"long-bits-3.5", "long-depth-25", "long-joint", "long-sparse-60", "smollm2-bits"}
	if got := Presets(); !reflect.DeepEqual(got, want) {
		t.Errorf("presets %v, want %v", got, want)
	}
	for _, name := range Presets() {
		text, err := PresetText(name)
		if err != nil {
			t.Fatal(err)
		}
		f, err := Preset(name)
		if err != nil {
			t.Error(err)
			continue
		}
		e := f.Experiments[0]
		if stated := fmt.Sprintf("= %.1f M\n", float64(tokens(e.Search))/1e6); e.Name != name || !strings.Contains(string(text), stated) {
			t.Errorf("%s in %s: the comments do not say %q", e.Name, name, stated)
		}
	}
	_, err = Preset("long-bit-3.5")
	if err == nil || !strings.HasPrefix(err.Error(), `no preset is named "long-bit-3.5": did you mean "long-bits-3.5"?`) {
		t.Error(err)
	}
}

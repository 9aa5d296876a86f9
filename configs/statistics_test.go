package configs

import (
	"reflect"
	"strings"
	"testing"
)

const fittedLevels = "levels = [\"gptq-q3_k\", \"q4_0\"]\nbudget = { bits_per_weight = 4.0 }\n"

func TestStatistics(t *testing.T) {
	for _, c := range []struct {
		name, source string
		want         Statistics
	}{
		{"defaults", head + fittedLevels, Statistics{Text{"builtin:calibration", 32768, 512}, Dense, "", ""}},
		{"a short calibration text", head + fittedLevels + "calibration = { data = \"a.txt\", tokens = 4096, sequence = 256 }\n",
			Statistics{Text{"a.txt", 4096, 256}, Dense, "", ""}},
		{"merged with those of [defaults]",
			"[defaults]\nstatistics = { tokens = 1024, propagation = \"sequential\", level = \"q8_0\" }\n" + head + fittedLevels + "statistics = { data = \"b.txt\", level = \"gptq-q3_k\" }\n",
			Statistics{Text{"b.txt", 1024, 512}, Sequential, "gptq-q3_k", ""}},
		{"an importance matrix", head + "levels = [\"imatrix-q3_k\", \"q4_0\"]\nbudget = { bits_per_weight = 4.0 }\nstatistics = { imatrix = \"i.gguf\" }\n",
			Statistics{Imatrix: "i.gguf"}},
		{"the model's own text", head + fittedLevels + "statistics = { data = \"self\", tokens = 2048 }\n", Statistics{Text{Self, 2048, 512}, Dense, "", ""}},
		{"not needed", "[defaults]\nstatistics = { tokens = 1024 }\n" + head + "levels = [\"q3_k\", \"q4_0\"]\nbudget = { bits_per_weight = 4.0 }\n", Statistics{}},
	} {
		f, err := Parse([]byte(c.source), "x.toml")
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		e := &f.Experiments[0]
		if e.Statistics != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, e.Statistics, c.want)
		}
		canonical := e.Canonical()
		if has := strings.Contains(string(canonical), `"statistics":`); has != (c.want != Statistics{}) {
			t.Errorf("%s: canonical form %s", c.name, canonical)
		}
		again, err := Restore(e.Name, e.Seeds, canonical)
		if err != nil || !reflect.DeepEqual(again.Statistics, c.want) {
			t.Errorf("%s: restored as %+v, %v", c.name, again, err)
		}
	}
}

// The canonical form of experiments whose levels are fitted: a change makes their finished runs invalid.
func TestCanonicalStatistics(t *testing.T) {
	f, err := Parse([]byte(head+fittedLevels+"statistics = { propagation = \"sequential\", level = \"q8_0\" }\n"), "x.toml")
	if err != nil {
		t.Fatal(err)
	}
	const want = `"statistics":{"data":"builtin:calibration","level":"q8_0","propagation":"sequential","sequence":512,"tokens":32768}`
	if got := string(f.Experiments[0].Canonical()); !strings.Contains(got, want) {
		t.Errorf("%s\nlacks %s", got, want)
	}
}

func TestStatisticsMistakes(t *testing.T) {
	for _, m := range []mistake{
		{"unknown key", "statistics = { token = 512 }",
			`5:16: unknown key "token" in statistics: did you mean "tokens"? (the keys here are "data", "tokens", "sequence", "propagation", "level", "imatrix")`},
		{"no table", `statistics = "text.txt"`,
			`5:1: statistics is "text.txt": write a table with some of the keys "data", "tokens", "sequence", "propagation", "level", "imatrix"`},
		{"data", "statistics = { data = 3 }",
			`5:16: statistics.data is 3: write text such as "builtin:calibration"`},
		{"tokens", "statistics = { tokens = 0 }",
			`5:16: statistics.tokens is 0: write a whole number from 1 to 1000000000`},
		{"sequence", "statistics = { sequence = 1 }",
			`5:16: statistics.sequence is 1: write a whole number from 2 to 1048576`},
		{"less than one sequence", "statistics = { tokens = 100 }",
			`5:16: statistics.tokens is 100, less than one sequence of 512: write at least 512, or a smaller statistics.sequence`},
		{"propagation", `statistics = { propagation = "sequentially" }`,
			`5:16: statistics.propagation is "sequentially": did you mean "sequential"? (the values are "dense", "sequential")`},
		{"level", `statistics = { propagation = "sequential", level = 4 }`,
			`5:44: statistics.level is 4: write text such as "q4_0"`},
		{"unknown level", `statistics = { propagation = "sequential", level = "keep" }`,
			`5:44: statistics.level: "keep" comes with "drop": leave it out`},
		{"level of a sublayer", `statistics = { propagation = "sequential", level = "drop" }`,
			`5:44: statistics.level is "drop", which is for sublayers: write a level that every layer can have, such as "q4_0"`},
		{"level is missing", `statistics = { propagation = "sequential" }`,
			`5:16: statistics.propagation is "sequential", but statistics.level is missing: write the level of the blocks that the text goes through, such as level = "q4_0"`},
		{"level of dense blocks", `statistics = { level = "q4_0" }`,
			`5:16: statistics.level is "q4_0", but the text goes through uncompressed blocks: write propagation = "sequential", or leave level out`},
		{"a text and an importance matrix", `statistics = { imatrix = "i.gguf", tokens = 1024 }`,
			`5:16: statistics.imatrix is "i.gguf", which was made from a text already: leave data, tokens, sequence, propagation and level out, or imatrix`},
		{"candidates scored on the model's own text", `calibration = { data = "self" }`,
			`5:17: calibration.data is "self", the text that the model writes itself: only statistics are taken on it, so write another text, or "./self" for a file of that name`},
		{"winners measured on the model's own text", `statistics = { data = "self" }` + "\n" + `evaluation = { data = "self" }`,
			`6:16: evaluation.data is "self", the text that the model writes itself: only statistics are taken on it, so write another text, or "./self" for a file of that name`},
		{"the text of evaluation", `statistics = { data = "./a.txt" }` + "\n" + `evaluation = { data = "a.txt" }`,
			`5:16: statistics.data, which is calibration.data unless it is written, is "./a.txt", the text of evaluation: levels that were fitted to it would look better than they are, so write another text`},
		{"the text of evaluation by default", `calibration = { data = "a.txt" }` + "\n" + `evaluation = { data = "a.txt" }`,
			`1:1: statistics.data, which is calibration.data unless it is written, is "a.txt", the text of evaluation: levels that were fitted to it would look better than they are, so write another text`},
	} {
		t.Run(m.name, func(t *testing.T) {
			_, err := Parse([]byte(head+fittedLevels+m.source), "x.toml")
			if want := "x.toml:" + m.want; err == nil || err.Error() != want {
				t.Errorf("got  %v\nwant %s", err, want)
			}
		})
	}
}

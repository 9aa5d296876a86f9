package configs

import (
	"reflect"
	"strings"
	"testing"
)

const ruled = "levels = [\"q3_k\", \"q4_k\", \"drop\"]\nbudget = { bits_per_weight = 3.9 }\n"

func TestRules(t *testing.T) {
	for _, c := range []struct {
		name, source string
		want         Rules
	}{
		{"none", head + ruled, Rules{}},
		{"one list of layers", head + ruled + `same = ["attn_q", "attn_k", "attn_v"]`, Rules{Same: [][]string{{"attn_q", "attn_k", "attn_v"}}}},
		{"several", head + ruled + `same = [["attn_q", "attn_k"], ["ffn_gate", "ffn_up"]]`, Rules{Same: [][]string{{"attn_q", "attn_k"}, {"ffn_gate", "ffn_up"}}}},
		{"protected", head + ruled + `protect = ["blk.0.*", "attn_v", "mlp"]`, Rules{Protect: []string{"blk.0.*", "attn_v", "mlp"}}},
		{"levels for some", head + ruled + `levels_for = [{ layers = ["ffn_*"], levels = ["q2_k"] }, { layers = ["blk.[01].*"], levels = ["q6_k", "q8_0"] }]`,
			Rules{LevelsFor: []LevelsFor{{[]string{"ffn_*"}, []string{"q2_k"}}, {[]string{"blk.[01].*"}, []string{"q6_k", "q8_0"}}}}},
		{"as tables", head + ruled + "[[experiment.levels_for]]\nlayers = [\"ffn_up\"]\nlevels = [\"q2_k\"]\n[[experiment.levels_for]]\nlayers = [\"attn_q\"]\nlevels = [\"q8_0\"]\n",
			Rules{LevelsFor: []LevelsFor{{[]string{"ffn_up"}, []string{"q2_k"}}, {[]string{"attn_q"}, []string{"q8_0"}}}}},
		{"of [defaults]", "[defaults]\nsame = [\"attn_*\"]\nprotect = [\"attn_v\"]\n" + head + ruled + `protect = ["ffn_up"]`,
			Rules{Same: [][]string{{"attn_*"}}, Protect: []string{"ffn_up"}}},
		{"lifted", "[defaults]\nsame = [\"attn_*\"]\nprotect = [\"attn_v\"]\nlevels_for = [{ layers = [\"ffn_*\"], levels = [\"q2_k\"] }]\n" + head + ruled + "same = []\nprotect = []\nlevels_for = []\n",
			Rules{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := &parse(t, c.source).Experiments[0]
			got := e.Rules
			if len(got.LevelsFor) == 0 {
				got.LevelsFor = nil
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
			canonical := e.Canonical()
			if again, err := Restore(e.Name, e.Seeds, canonical); err != nil || string(again.Canonical()) != string(canonical) {
				t.Errorf("%s\nis restored as %+v, %v", canonical, again, err)
			}
		})
	}
}

// Rules are in the canonical form where there are any, and there the order of patterns means nothing.
func TestCanonicalRules(t *testing.T) {
	canonical := func(rules string) string { return string(parse(t, head+ruled+rules).Experiments[0].Canonical()) }
	got := canonical(`same = [["ffn_up", "ffn_gate"], ["attn_q", "attn_k"]]
protect = ["mlp", "blk.0.*"]
levels_for = [{ layers = ["ffn_down", "attn_v"], levels = ["q6_k", "q5_k"] }, { layers = ["ffn_*"], levels = ["q2_k"] }]`)
	for _, want := range []string{
		`"levels_for":[{"layers":["attn_v","ffn_down"],"levels":["q6_k","q5_k"]},{"layers":["ffn_*"],"levels":["q2_k"]}]`,
		`"protect":["blk.0.*","mlp"]`, `"same":[["attn_k","attn_q"],["ffn_gate","ffn_up"]]`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%s\nlacks %s", got, want)
		}
	}
	if again := canonical(`levels_for = [{ levels = ["q6_k", "q5_k"], layers = ["attn_v", "ffn_down"] }, { layers = ["ffn_*"], levels = ["q2_k"] }]
protect = ["blk.0.*", "mlp"]
same = [["attn_k", "attn_q"], ["ffn_gate", "ffn_up"]]`); again != got {
		t.Errorf("the same in another order is\n%s\nand not\n%s", again, got)
	}
	const down, all = `{ layers = ["ffn_down"], levels = ["q6_k"] }`, `{ layers = ["ffn_*"], levels = ["q2_k"] }`
	if canonical("levels_for = ["+down+", "+all+"]") == canonical("levels_for = ["+all+", "+down+"]") {
		t.Error("which of levels_for comes last counts for nothing")
	}
	if none := canonical("same = []\nprotect = []\nlevels_for = []"); none != canonical("") {
		t.Errorf("empty rules are recorded: %s", none)
	}
}

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"attn_q", "blk.3.attn_q", true},
		{"attn_q", "blk.3.attn_qkv", false},
		{"attn_*", "blk.3.attn_qkv", true},
		{"attn_*", "blk.3.attn", false},
		{"attn", "blk.3.attn", true},
		{"attn", "blk.3.attn_q", false},
		{"*", "blk.3.mlp", true},
		{"blk.3.*", "blk.3.mlp", true},
		{"blk.3.*", "blk.13.mlp", false},
		{"blk.[0-3].ffn_?p", "blk.2.ffn_up", true},
		{"blk.[0-3].ffn_?p", "blk.4.ffn_up", false},
		{"blk.1?.attn_q", "blk.12.attn_q", true},
		{"blk.3", "blk.3.attn_q", false},
		{"3.attn_q", "blk.3.attn_q", false},
	} {
		if got := Match(c.pattern, c.name); got != c.want {
			t.Errorf("%s names %s: %v", c.pattern, c.name, got)
		}
	}
}

// ruleMistakes are mistakes in levels_for, same and protect.
var ruleMistakes = []mistake{
	{"levels_for is a table", head + `levels_for = { "ffn_*" = ["q2_k"] }`,
		`3:1: levels_for is a table: write a list of up to 1000 tables, such as [{ layers = ["ffn_*"], levels = ["q2_k", "q3_k"] }]`},
	{"levels_for of names", head + `levels_for = ["q2_k"]`,
		`3:15: levels_for[0] is "q2_k": write a table with some of the keys "layers", "levels"`},
	{"levels_for of nothing", head + `levels_for = [{ levels = ["q2_k"] }]`,
		`3:15: levels_for[0] says only one of which layers and which levels: write { layers = ["ffn_*"], levels = ["q2_k", "q3_k"] }`},
	{"levels_for with an unknown key", head + "[[experiment.levels_for]]\nlayer = [\"attn_q\"]",
		`4:1: unknown key "layer" in levels_for[0]: did you mean "layers"? (the keys here are "layers", "levels")`},
	{"levels_for of one layer as text", head + `levels_for = [{ layers = "ffn_*", levels = ["q2_k"] }]`,
		`3:17: levels_for[0].layers is "ffn_*": write a list of up to 1000 layers, such as ["attn_v", "blk.0.*"]`},
	{"levels_for without a level", head + `levels_for = [{ layers = ["ffn_*"], levels = [] }]`,
		`3:37: levels_for[0].levels is an empty list: write a list of 1 to 256 names, such as ["q2_k", "q4_k"]`},
	{"levels_for with drop", head + "levels_for = [\n  { layers = [\"ffn_*\"], levels = [\"q2_k\", \"drop\"] },\n]",
		`4:43: levels_for[0].levels[1] is "drop", which is for sublayers: write it in levels, and in protect the sublayers that stay`},
	{"levels_for in search", search + `layers = ["attn_q"]`,
		`6:1: unknown key "layers" in search: write levels_for.layers, within an experiment`},
	{"levels_for with a level that the target cannot hold", head + ruled + "target = \"gguf\"\nlevels_for = [{ layers = [\"attn_q\"], levels = [\"q4_k\", \"int4-g64\"] }]",
		`6:56: levels_for[0].levels[1] is "int4-g64", but target is "gguf": a GGUF cannot hold it exactly: write target = "packed"`},
	{"same is text", head + `same = "attn_*"`,
		`3:1: same is "attn_*": write a list of layers of a block that have one level, such as ["attn_q", "attn_k", "attn_v"], or a list of such lists`},
	{"same with a number", head + `same = ["attn_q", 3]`,
		`3:19: same[1] is 3: write text such as "blk.0.*"`},
	{"same with a list and a layer", head + `same = [["attn_q", "attn_k"], "attn_v"]`,
		`3:31: same[1] is "attn_v": write a list of up to 1000 layers, such as ["attn_v", "blk.0.*"]`},
	{"same with a layer twice", head + `same = [["attn_q", "attn_k"], ["ffn_up", "ffn_up"]]`,
		`3:42: same[1][1]: "ffn_up" is there twice: leave one out`},
	{"protect is text", head + `protect = "attn_v"`,
		`3:1: protect is "attn_v": write a list of up to 1000 layers, such as ["attn_v", "blk.0.*"]`},
	{"protect with a bad pattern", head + `protect = ["attn_v", "blk.[0-3"]`,
		`3:22: protect[1] is "blk.[0-3", which is no pattern: write names with *, ? or [0-3], such as "blk.0.*"`},
}

// What names nothing shows only with the model, and has its place all the same.
func TestRulesThatNameNothing(t *testing.T) {
	layers := []string{"blk.0.attn_q", "blk.0.ffn_up", "blk.1.attn_q", "blk.1.ffn_up"}
	sublayers := []string{"blk.0.attn", "blk.0.mlp", "blk.1.attn", "blk.1.mlp"}
	const known = `they are "attn_q", "ffn_up", of blocks such as "blk.1.ffn_up"`
	const all = `they are "attn_q", "ffn_up", "attn", "mlp", of blocks such as "blk.1.mlp"`
	for _, c := range []struct{ name, rules, want string }{
		{"all right", "same = [\"attn_q\", \"ffn_*\"]\nprotect = [\"blk.1.*\", \"mlp\"]\nlevels_for = [{ layers = [\"*\"], levels = [\"q2_k\"] }]", ""},
		{"a layer", `protect = ["attn_q", "ffn_uo"]`, `x.toml:5:22: protect[1] is "ffn_uo", which names no layer or sublayer of the model: did you mean "ffn_up"? (` + all + `)`},
		{"a block", `protect = ["blk.1"]`, `x.toml:5:12: protect[0] is "blk.1", which names no layer or sublayer of the model: did you mean "blk.1.*"? (` + all + `)`},
		{"a block that is not there", `protect = ["blk.7.*"]`, `x.toml:5:12: protect[0] is "blk.7.*", which names no layer or sublayer of the model: ` + all},
		{"layers of one list", `same = ["attn_q", "attn_k*"]`, `x.toml:5:19: same[1] is "attn_k*", which names no layer of the model: did you mean "attn_q"? (` + known + `)`},
		{"layers of several", `same = [["attn_q", "ffn_up"], ["attn_q", "mlp"]]`, `x.toml:5:42: same[1][1] is "mlp", which names no layer of the model: ` + known},
		{"levels for them", "[[experiment.levels_for]]\nlayers = [\"attn_q\"]\nlevels = [\"q2_k\"]\n[[experiment.levels_for]]\nlayers = [\"ffn_up\", \"up\"]\nlevels = [\"q2_k\"]\n",
			`x.toml:9:21: levels_for[1].layers[1] is "up", which names no layer of the model: ` + known},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := parse(t, head+ruled+c.rules).Experiments[0].CheckRules(layers, sublayers)
			if c.want == "" && err != nil || c.want != "" && (err == nil || err.Error() != c.want) {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

// A budget has any number of bounds; of those of size in [defaults] none is left where an experiment has its own.
func TestBudgets(t *testing.T) {
	const levels = "levels = [\"q3_k\", \"sparse-0.50+q4_0\", \"drop\"]\n"
	for _, c := range []struct {
		name, source string
		want         Budget
	}{
		{"all at once", head + levels + "budget = { bytes = 5000, bits_per_weight = 3.5, sparsity = 0.2, drop = 0.25 }", Budget{Bytes: 5000, BitsPerWeight: 3.5, Sparsity: 0.2, Drop: 0.25}},
		{"one of size replaces both", "[defaults]\nbudget = { bytes = 5000, bits_per_weight = 3.5, drop = 0.25 }\n" + head + levels + "budget = { bytes = 400 }", Budget{Bytes: 400, Drop: 0.25}},
		{"both replace one", "[defaults]\nbudget = { bytes = 5000 }\n" + head + levels + "budget = { bits_per_weight = 3.5, bytes = 400 }", Budget{Bytes: 400, BitsPerWeight: 3.5}},
		{"another kind replaces none", "[defaults]\nbudget = { bytes = 5000, bits_per_weight = 3.5 }\n" + head + levels + "budget = { drop = 0.5 }", Budget{Bytes: 5000, BitsPerWeight: 3.5, Drop: 0.5}},
	} {
		if got := parse(t, c.source).Experiments[0].Budget; got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

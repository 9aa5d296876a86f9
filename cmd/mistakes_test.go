package cmd_test

import (
	"fmt"
	"strings"
	"testing"
)

// mistakes are experiment files with one mistake each, in the line that has "#!", or in the file as a whole.
var mistakes = []struct {
	name, file string
	words      []string // of the message
}{
	{"empty", "", []string{"the file is empty", "[[experiment]]"}},
	{"comments only", "# nothing yet\n", []string{"there is no experiment in the file"}},
	{"not TOML", "experiment: bits #!\n", []string{"not valid TOML", "key = value"}},
	{"JSON", `{"experiment": []} #!`, []string{"not valid TOML"}},
	{"open quote", "[[experiment]]\nname = \"bits #!\n", []string{"not valid TOML", "quote"}},
	{"UTF-16", "\xff\xfe[\x00", []string{"UTF-16", "save it as UTF-8"}},
	{"Latin-1", "[[experiment]]\nname = \"f\xfcnf\" #!\n", []string{"not UTF-8"}},
	{"one bracket", "[experiment] #!\nname = \"x\"\n", []string{"[[experiment]]"}},
	{"unknown table", bits + "[default] #!\n", []string{`"defaults"`}},
	{"unknown key", bits + "buget = 3 #!\n", []string{`unknown key "buget"`, `"budget"`}},
	{"key of another table", bits + "generations = 3 #!\n", []string{"search.generations"}},
	{"unknown key in search", bits + "[experiment.search]\nofspring = 3 #!\n", []string{`"offspring"`}},
	{"key twice", bits + "name = \"y\" #!\n", []string{"keep one of them"}},
	{"text for a number", bits + "search = { generations = \"40\" } #!\n", []string{"search.generations", "without quotes"}},
	{"fraction for a number", bits + "search = { offspring = 1.5 } #!\n", []string{"search.offspring", "whole number"}},
	{"text for a list", "[[experiment]]\nname = \"x\"\nlevels = \"q4_k\" #!\n", []string{"levels", "list"}},
	{"list for a text", "[[experiment]]\nname = [\"x\"] #!\n", []string{"name", "text"}},
	{"text for a flag", bits + "search = { whole_blocks = \"yes\" } #!\n", []string{"true or false"}},
	{"seed twice", bits + "seeds = [1, 2, 1] #!\n", []string{"seed 1 is there twice"}},
	{"negative seed", bits + "seeds = [-1] #!\n", []string{"seeds[0]"}},
	{"no name", "[[experiment]] #!\nlevels = [\"q4_k\", \"q6_k\"]\nbudget = { bits_per_weight = 5.0 }\n", []string{"no name"}},
	{"name twice", bits + strings.Replace(bits, `"bits"`, `"Bits" #!`, 1), []string{"is taken by the experiment at line"}},
	{"name of no file", "[[experiment]]\nname = \"a/b\" #!\n", []string{"fits a file"}},
	{"unknown level", "[[experiment]]\nname = \"x\"\nlevels = [\"q4_k\", \"q9_k\"] #!\n", []string{`"q9_k"`, "did you mean"}},
	{"unknown method", bits + "search = { method = \"tabu\" } #!\n", []string{`"tabu"`, `"evopress"`}},
	{"unknown target", bits + "target = \"onnx\" #!\n", []string{`"onnx"`, `"gguf"`}},
	{"unknown fitness", bits + "search = { fitness = \"mse\" } #!\n", []string{`"mse"`, `"kl"`}},
	{"no levels", "[[experiment]] #!\nname = \"x\"\nbudget = { bits_per_weight = 5.0 }\n", []string{"levels is missing"}},
	{"one level", "[[experiment]]\nname = \"x\"\nlevels = [\"q4_k\"] #!\nbudget = { bits_per_weight = 5.0 }\n", []string{"nothing to choose"}},
	{"no budget", "[[experiment]] #!\nname = \"x\"\nlevels = [\"q4_k\", \"q6_k\"]\n", []string{"budget is missing"}},
	{"two sizes, one too small", strings.Replace(bits, "bits_per_weight = 3.0 }", "bits_per_weight = 3.0, bytes = \"5MB\" } #!", 1), []string{"no feasible genome", "bytes of the gguf file"}},
	{"a layer that is not there", bits + "protect = [\"attn_v\", \"ffn_don\"] #!\n", []string{"protect[1]", `did you mean "ffn_down"?`}},
	{"one level for what is chosen apart", bits + "same = [[\"attn_q\", \"attn_k\"],\n  [\"attn_v\", \"attn_*\"]] #!\n", []string{"blk.0.attn_q", "into one list"}},
	{"levels for nothing", bits + "[[experiment.levels_for]]\nlayers = [\"experts\"] #!\nlevels = [\"q6_k\"]\n", []string{"names no layer of the model", `"ffn_up"`}},
	{"size without a unit", strings.Replace(bits, "bits_per_weight = 3.0 }", "bytes = \"5\" } #!", 1), []string{"budget.bytes", `"90MB"`}},
	{"per cent", "[[experiment]]\nname = \"x\"\nlevels = [\"drop\"]\nbudget = { drop = 25 } #!\n", []string{"0.25"}},
	{"drop without its level", strings.Replace(bits, "bits_per_weight = 3.0 }", "drop = 0.25 } #!", 1), []string{`"drop"`}},
	{"target without such levels", "[[experiment]]\nname = \"x\"\nlevels = [\"int3-g64\", \"q4_0\"] #!\ntarget = \"gguf\"\nbudget = { bits_per_weight = 5.0 }\n", []string{`target = "packed"`}},
	{"stage beyond calibration", bits + "calibration = { tokens = 2048 }\nsearch = { tokens = [512, 4096], survivors = [2, 1] } #!\n",
		[]string{"search.tokens[1]", "4096", "2048"}},
	{"half a sequence", bits + "search = { tokens = [512, 800] } #!\n", []string{"search.tokens[1]", "multiple", "1024"}},
	{"stages that do not match", bits + "search = { tokens = [512, 1024], survivors = [1] } #!\n", []string{"search.survivors"}},
	{"two last survivors", bits + "search = { tokens = [512], survivors = [2] } #!\n", []string{"write 1"}},
	{"less than a sequence", bits + "evaluation = { tokens = 100 } #!\n", []string{"evaluation.tokens", "512"}},

	// What shows only when the model and the texts have been opened:
	{"no such model", bits + "model = \"nowhere.gguf\" #!\n", []string{"nowhere.gguf", "builtin:finchling"}},
	{"no name on the hub", bits + "model = \"hf://name\" #!\n", []string{"hf://name", "write hf://ORG/NAME"}},
	{"no field", bits + "calibration = { data = \"a.jsonl#\" } #!\n", []string{"write a.jsonl#text"}},
	{"no such documents", bits + "calibration = { data = \"nowhere.jsonl#content\" } #!\n", []string{"nowhere.jsonl", "a text is a file"}},
	{"unknown builtin", bits + "model = \"builtin:sparrow\" #!\n", []string{"builtin:finchling"}},
	{"no model", bits + "model = \"broken.toml\" #!\n", []string{"broken.toml", "GGUF"}},
	{"no such text", bits + "calibration = { data = \"nowhere.txt\" } #!\n", []string{"nowhere.txt", "builtin:calibration"}},
	{"short text", bits + "evaluation = { data = \"broken.toml\", tokens = 1024 } #!\n", []string{"broken.toml", "1024", "longer text"}},
	{"sequence beyond the model", bits + "calibration = { tokens = 8192, sequence = 1024 } #!\nsearch = { tokens = [1024], survivors = [1] }\n",
		[]string{"1024", "context of 512"}},
	{"too few bits", strings.Replace(bits, "bits_per_weight = 3.0 }", "bits_per_weight = 1.0 } #!", 1), []string{"bits", "cheaper levels"}},
	{"too few bytes", strings.Replace(bits, "bits_per_weight = 3.0 }", "bytes = 1000 } #!", 1), []string{"bytes of the gguf file", "1000", "raise the limit"}},
}

// bits is a sound experiment.
const bits = `[[experiment]]
name   = "bits"
levels = ["q2_k", "q3_k"]
budget = { bits_per_weight = 3.0 }
`

func TestMistakes(t *testing.T) {
	for _, m := range mistakes {
		t.Run(m.name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, "broken.toml", m.file)
			place := "finch: broken.toml: "
			if before, _, ok := strings.Cut(m.file, "#!"); ok {
				place = fmt.Sprintf("finch: broken.toml:%d:", strings.Count(before, "\n")+1)
			}
			finch(t, dir, "run", "broken.toml").fails(t, 2, append(m.words, place)...)
			if left := names(t, dir); left != "broken.toml" {
				t.Errorf("run left %s", left)
			}
		})
	}
}

// TestMistakeAmong finds a mistake in the second experiment before the first begins.
func TestMistakeAmong(t *testing.T) {
	dir := t.TempDir()
	text := bits + strings.NewReplacer(`"bits"`, `"fewer"`, "3.0 }", "1.0 } # impossible").Replace(bits)
	write(t, dir, "experiments.toml", text)
	finch(t, dir, "run").fails(t, 2, "finch: experiments.toml:8:")
	if left := names(t, dir); left != "experiments.toml" {
		t.Errorf("run left %s", left)
	}
	finch(t, dir, "plan").fails(t, 2, "finch: experiments.toml:8:")
	plan := done(t, dir, "plan", "--only", "bits", "--json")
	if !strings.Contains(plan.stdout, `"experiment": "bits"`) || plan.stderr != "" {
		t.Errorf("stdout:\n%s\nstderr:\n%s", plan.stdout, plan.stderr)
	}
	if left := names(t, dir); left != "experiments.toml" {
		t.Errorf("plan left %s", left)
	}
}

// TestChanged goes on with an experiment that says something else now.
func TestChanged(t *testing.T) {
	dir := copyOf(t, finishedRun(t))
	text := strings.Replace(twoExperiments(t), "drop = 0.25", "drop = 0.50", 1)
	write(t, dir, "two.toml", text)
	finch(t, dir, "run", "two.toml").fails(t, 2, "finch: two.toml:19:12:", "budget.drop is 0.5, but run", "was begun with 0.25", "--fresh")
}

package cmd_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/finch-llm/finch/model/finchling"
)

// TestCompress goes from a model to a smaller file in one command, and finds all of it done when it is given again.
func TestCompress(t *testing.T) {
	dir, ref := t.TempDir(), soundFolder(t)
	write(t, dir, "text", finchling.Calibration[:40_000])
	write(t, dir, "held-out", finchling.Evaluation[:20_000])
	args := []string{"compress", ref, "--bits-per-weight", "5", "-o", "small.gguf", "--data", "text", "--held-out", "held-out", "--time-limit", "1s"}
	r := done(t, dir, args...)
	for _, says := range []string{"small.gguf: ", "this file", "the naive mix", "uncompressed", "KL differs"} {
		if !strings.Contains(r.stdout, says) {
			t.Errorf("stdout does not say %q:\n%s", says, r.stdout)
		}
	}
	if !strings.Contains(r.stderr, "small.toml") || !strings.Contains(r.stderr, "5 bits per weight") {
		t.Errorf("stderr names no experiment file, or no plan:\n%s", r.stderr)
	}
	file, err := os.ReadFile(filepath.Join(dir, "small.gguf"))
	if err != nil {
		t.Fatal(err)
	}
	again := done(t, dir, args...)
	if again.stdout != r.stdout || !strings.Contains(again.stderr, "done already") {
		t.Errorf("again:\n%s%s", again.stdout, again.stderr)
	}
	if same, err := os.ReadFile(filepath.Join(dir, "small.gguf")); err != nil || string(same) != string(file) {
		t.Errorf("another file than before: %v", err)
	}
	if r := done(t, dir, "run", "small.toml"); !strings.Contains(r.stderr, "done already") {
		t.Errorf("finch run does not know it:\n%s", r.stderr)
	}
	var e evaluated
	if err := json.Unmarshal([]byte(done(t, dir, "eval", "small.gguf", "--base", ref, "--data", "held-out", "--context", "128", "--json").stdout), &e); err != nil || !(e.Text.Comparison.KLD.Value > 0) {
		t.Errorf("the file scores %+v, %v", e, err)
	}
	if !strings.Contains(again.stderr, "another --time-limit") {
		t.Errorf("nothing is said of the time limit:\n%s", again.stderr)
	}
	for _, other := range []struct{ flag, value, what string }{
		{"--data", "no-such-text", "--data"}, {"--held-out", "no-such-text", "--held-out"}, {"--bits-per-weight", "5.5", "size"},
	} { // of a flag that is given twice, the last counts
		finch(t, dir, append(slices.Clone(args), other.flag, other.value)...).fails(t, 2, "small.toml", "another "+other.what, "--fresh")
	}
	args[3] = "6"
	if r := done(t, dir, append(args, "--fresh")...); !strings.Contains(r.stdout, "6.000 bits") && !strings.Contains(r.stdout, "5.9") {
		t.Errorf("--fresh:\n%s", r.stdout)
	}
}

// TestCompareModels has a line for each model, the first of which is the base.
func TestCompareModels(t *testing.T) {
	dir, ref := t.TempDir(), soundFolder(t)
	write(t, dir, "cloze.jsonl", `{"context": "It was the best of", "continuation": "times"}`+"\n")
	args := []string{"compare-models", ref, "builtin:finchling", "--chunks", "2", "--context", "64", "--tasks", filepath.Join(dir, "cloze.jsonl")}
	r := inProcess(append(args, "--json")...)
	var list []struct {
		evaluated
		Bytes         int64
		BitsPerWeight float64 `json:"bits_per_weight"`
		Prompt        float64 `json:"prompt_tokens_per_second"`
		Generated     float64 `json:"generated_tokens_per_second"`
	}
	if err := json.Unmarshal([]byte(r.stdout), &list); err != nil || len(list) != 2 {
		t.Fatalf("%v\n%s%s", err, r.stdout, r.stderr)
	}
	for i, m := range list {
		alone := evalJSON(t, m.Model, "--chunks", "2", "--context", "64")
		if m.Text.PPL != alone.Text.PPL || m.Bytes <= 0 || m.BitsPerWeight != []float64{32, 16}[i] || !(m.Prompt > 0) || !(m.Generated > 0) || len(m.Tasks) != 1 {
			t.Errorf("%+v, by eval %+v", m, alone.Text)
		}
		if (m.Text.Comparison == nil) != (i == 0) {
			t.Errorf("model %d is compared with %q", i, m.Base)
		}
	}
	direct := evalJSON(t, "builtin:finchling", "--base", ref, "--chunks", "2", "--context", "64")
	if got := list[1]; *got.Text.Comparison != *direct.Text.Comparison || got.Base != ref {
		t.Errorf("KLD %+v, by eval %+v", got.Text.Comparison, direct.Text.Comparison)
	}
	if r := inProcess(args...); r.code != 0 || !strings.Contains(r.stdout, "cloze") || strings.Count(r.stdout, "\n") < 5 {
		t.Errorf("exit code %d\n%s%s", r.code, r.stdout, r.stderr)
	}
}

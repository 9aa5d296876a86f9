package cmd_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

type estimate struct{ Value, Error float64 }

// evaluated is what eval --json prints.
type evaluated struct {
	Model, Base string
	Text        *struct {
		Data, Kernels                      string
		Chunks, Positions, Context, Stride int
		PPL                                estimate
		Comparison                         *struct {
			KLD     estimate
			SameTop estimate `json:"same_top_p"`
		}
	}
	Tasks []struct {
		Task      string
		Questions int
		Acc       estimate
		AccNorm   *estimate `json:"acc_norm"`
		PPL       *estimate `json:"perplexity"`
	}
}

func evalJSON(t *testing.T, args ...string) (e evaluated) {
	t.Helper()
	r := inProcess(append([]string{"eval", "--json"}, args...)...)
	if err := json.Unmarshal([]byte(r.stdout), &e); err != nil {
		t.Fatalf("eval %s: %v\n%s%s", strings.Join(args, " "), err, r.stdout, r.stderr)
	}
	return e
}

func TestEvalJSON(t *testing.T) {
	e := evalJSON(t, "builtin:finchling", "--base", "builtin:finchling", "--chunks", "2", "--context", "64")
	if x := e.Text; e.Model != "builtin:finchling" || e.Base != e.Model || x.Data != "builtin:evaluation" || x.Kernels == "" || x.Chunks != 2 || x.Context != 64 ||
		x.Positions != 2*31 || x.PPL.Value <= 1 || x.PPL.Error <= 0 {
		t.Errorf("%+v", e)
	}
	if c := e.Text.Comparison; c == nil || c.KLD.Value > 1e-6 || c.KLD.Value < -1e-6 || c.SameTop.Value != 1 {
		t.Errorf("a model beside itself: %+v", c)
	}
	if e := evalJSON(t, "builtin:finchling", "--chunks", "1", "--context", "6"); e.Text.Positions != 2 || e.Text.Comparison != nil {
		t.Errorf("the shortest text: %+v", e.Text)
	}
	if e := evalJSON(t, "builtin:finchling", "--chunks", "3", "--context", "128", "--stride", "64"); e.Text.Positions != 3*64 || e.Text.Stride != 64 {
		t.Errorf("with a stride: %+v", e.Text)
	}
}

// TestEvalTable has the lines of llama-perplexity --kl-divergence, in their order.
func TestEvalTable(t *testing.T) {
	r := inProcess("eval", "builtin:finchling", "--base", soundFolder(t), "--chunks", "2", "--context", "64")
	number, percent := ` +-?[\d.]+`, ` +-?[\d.]+%\n`
	want := `builtin:finchling on builtin:evaluation: 2 chunks of 64 tokens, 62 predictions, kernels \w+\n`
	want += "\n====== Perplexity statistics ======\n"
	for _, name := range []string{`Mean PPL\(Q\)                   `, `Mean PPL\(base\)                `} {
		want += name + ":" + number + " ±" + number + "\n"
	}
	want += `Cor\(ln\(PPL\(Q\)\), ln\(PPL\(base\)\)\):` + percent
	for _, name := range []string{`Mean ln\(PPL\(Q\)/PPL\(base\)\)     `, `Mean PPL\(Q\)/PPL\(base\)         `, `Mean PPL\(Q\)-PPL\(base\)         `} {
		want += name + ":" + number + " ±" + number + "\n"
	}
	want += "\n====== KL divergence statistics ======\nMean    KLD:" + number + " ±" + number + "\n"
	for _, name := range []string{"Maximum", "99.9%  ", "99.0%  ", "95.0%  ", "90.0%  ", "Median ", "10.0%  ", " 5.0%  ", " 1.0%  ", " 0.1%  ", "Minimum"} {
		want += name + " KLD:" + number + "\n"
	}
	want += "\n====== Token probability statistics ======\nMean    Δp:" + number + " ±" + number + " %\n"
	for _, name := range []string{"Maximum", "99.9%  ", "99.0%  ", "95.0%  ", "90.0%  ", "75.0%  ", "Median ", "25.0%  ", "10.0%  ", " 5.0%  ", " 1.0%  ", " 0.1%  ", "Minimum"} {
		want += name + " Δp:" + percent
	}
	want += "RMS Δp    :" + number + " ±" + number + " %\nSame top p:" + number + " ±" + number + " %\n"
	if !regexp.MustCompile("^" + want + "$").MatchString(r.stdout) {
		t.Errorf("got\n%s%s", r.stdout, r.stderr)
	}
}

// TestSaveBase compares with a file what is compared with the model itself.
func TestSaveBase(t *testing.T) {
	dir, other := t.TempDir(), soundFolder(t)
	file := filepath.Join(dir, "f.base")
	saved := evalJSON(t, other, "--save-base", file, "--chunks", "2", "--context", "64")
	with, direct := evalJSON(t, "builtin:finchling", "--base", file), evalJSON(t, "builtin:finchling", "--base", other, "--chunks", "2", "--context", "64")
	if with.Text.Comparison == nil || *with.Text.Comparison != *direct.Text.Comparison || with.Text.PPL != direct.Text.PPL || with.Text.Context != 64 {
		t.Errorf("with the file %+v, with the model %+v", with.Text, direct.Text)
	}
	if alone := evalJSON(t, other, "--chunks", "2", "--context", "64"); saved.Text.PPL != alone.Text.PPL {
		t.Errorf("perplexity %v, and %v when a base is kept", alone.Text.PPL, saved.Text.PPL)
	}
	inProcess("eval", "builtin:finchling", "--base", file, "--context", "64").fails(t, 2, "has its text", "--context")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	write(t, dir, "f.base", string(data))
	inProcess("eval", "builtin:finchling", "--base", file).fails(t, 1, "f.base", "checksum", "--save-base")
	write(t, dir, "f.base", string(data[:100]))
	inProcess("eval", "builtin:finchling", "--base", file).fails(t, 1, "f.base")
}

func TestEvalTasks(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "choice.jsonl", `{"query": "Question: What is white?", "choices": ["the whale", "nothing at all"], "gold": 0}`+"\n"+
		`{"query": "Question: What is deep?", "choices": ["the sea", "a hat"], "gold": 0}`+"\n")
	write(t, dir, "cloze.jsonl", `{"context": "It was the best of", "continuation": "times"}`+"\n")
	files := filepath.Join(dir, "choice.jsonl") + "," + filepath.Join(dir, "cloze.jsonl")
	e := evalJSON(t, "builtin:finchling", "--tasks", files)
	if e.Text != nil || len(e.Tasks) != 2 {
		t.Fatalf("%+v", e)
	}
	if choice := e.Tasks[0]; choice.Task != "choice" || choice.Questions != 2 || choice.AccNorm == nil || choice.PPL != nil {
		t.Errorf("%+v", choice)
	}
	if cloze := e.Tasks[1]; cloze.Task != "cloze" || cloze.PPL == nil || !(cloze.PPL.Value > 1) || cloze.AccNorm != nil {
		t.Errorf("%+v", cloze)
	}
	if both := evalJSON(t, "builtin:finchling", "--tasks", files, "--chunks", "1"); both.Text == nil || len(both.Tasks) != 2 {
		t.Errorf("with a text: %+v", both)
	}
	if r := inProcess("eval", "builtin:finchling", "--tasks", files); !strings.Contains(r.stdout, "acc_norm") || !strings.Contains(r.stdout, "cloze") {
		t.Errorf("%s%s", r.stdout, r.stderr)
	}
	write(t, dir, "cloze.jsonl", "{}\n")
	inProcess("eval", "builtin:finchling", "--tasks", files).fails(t, 1, "cloze.jsonl:1", "query, choices, gold")
	inProcess("eval", "builtin:finchling", "--tasks", "nowhere.jsonl").fails(t, 1, "nowhere.jsonl")
}

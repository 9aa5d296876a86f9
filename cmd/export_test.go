package cmd_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/finch-llm/finch/internal/filelock"
)

func TestExport(t *testing.T) {
	dir := copyOf(t, finishedRun(t))
	for i, name := range []string{"depth", "joint"} {
		r := done(t, dir, "export", name, "--format", "packed", "-o", name+".packed")
		info, err := os.Stat(filepath.Join(dir, name+".packed"))
		if err != nil {
			t.Fatal(err)
		}
		size := strconv.FormatInt(info.Size(), 10)
		recorded := done(t, dir, "query", "SELECT file_bytes FROM results WHERE role = 'winner' AND run_id = "+strconv.Itoa(i+1), "--format", "csv")
		if want := name + ".packed: " + size + " bytes, the size that run " + strconv.Itoa(i+1) + " (" + name + ", seed 1) recorded\n"; r.stdout != want ||
			recorded.stdout != "file_bytes\n"+size+"\n" {
			t.Errorf("%swant %srecorded: %s", r.stdout, want, recorded.stdout)
		}
		artifact := done(t, dir, "query", "SELECT kind, bytes, length(sha256) FROM artifacts WHERE path LIKE '%"+name+".packed'", "--format", "csv")
		if artifact.stdout != "kind,bytes,length(sha256)\npacked,"+size+",64\n" {
			t.Errorf("artifact: %s", artifact.stdout)
		}
		if r := done(t, dir, "eval", name+".packed", "--base", "builtin:finchling", "--chunks", "1"); !strings.Contains(r.stdout, "Mean    KLD: ") {
			t.Errorf("eval: %s", r.stdout)
		}
	}

	// By id, over an old file, with the levels gone.
	if err := os.RemoveAll(filepath.Join(dir, "finch.levels")); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(filepath.Join(dir, "joint.packed"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "again", "old")
	done(t, dir, "export", "2", "-o", "again")
	if after, err := os.ReadFile(filepath.Join(dir, "again")); err != nil || string(after) != string(before) {
		t.Errorf("another export gives other bytes, %v", err)
	}
	if done(t, dir, "check"); fingerprint(t, dir) != finished.fingerprint {
		t.Error("an export changes what the runs recorded")
	}
}

// TestExportFormats writes the winner of a depth search in other formats, which finch reads back: single sublayers are
// dropped in all of them.
func TestExportFormats(t *testing.T) {
	dir := copyOf(t, finishedRun(t))
	write(t, dir, "halves.toml", strings.NewReplacer(`name   = "depth"`, `name   = "halves"`, `method = "finch", generations = 12`, `generations = 2`).Replace(twoExperiments(t)))
	done(t, dir, "run", "halves.toml", "--only", "halves") // the best that finch finds drops whole blocks
	ppl := func(model string) float64 {
		var e struct{ PPL float64 }
		if err := json.Unmarshal([]byte(done(t, dir, "eval", model, "--chunks", "1", "--json", "--kernels", "portable").stdout), &e); err != nil {
			t.Fatal(err)
		}
		return e.PPL
	}
	done(t, dir, "export", "halves", "--format", "packed", "-o", "halves.packed")
	want := ppl("halves.packed")
	for _, format := range []string{"gguf", "safetensors"} {
		done(t, dir, "export", "halves", "--format", format, "-o", "halves-"+format)
		if got := ppl("halves-" + format); !(math.Abs(got-want) <= 1e-5*want) { // finchling is stored in bf16: nothing is rounded
			t.Errorf("%s has perplexity %g, packed %g", format, got, want)
		}
	}
	if props := done(t, dir, "inspect", "halves-gguf").stdout; !strings.Contains(props, "finch.experiment") || !strings.Contains(props, "deci") {
		t.Errorf("%s", props)
	}
	sum := done(t, dir, "query", "SELECT sha256 FROM artifacts WHERE kind = 'safetensors'", "--format", "csv").stdout
	list := sha256.New()
	for _, name := range strings.Fields(names(t, filepath.Join(dir, "halves-safetensors"))) {
		content, err := os.ReadFile(filepath.Join(dir, "halves-safetensors", name))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(list, "%x  %s\n", sha256.Sum256(content), name)
	}
	if want := fmt.Sprintf("sha256\n%x\n", list.Sum(nil)); sum != want {
		t.Errorf("%s, want %s", sum, want)
	}

	done(t, dir, "export", "halves", "--format", "evopress", "-o", "halves.txt")
	done(t, dir, "import", "halves.txt", "--model", "builtin:finchling", "-o", "again.packed")
	first, err := os.ReadFile(filepath.Join(dir, "halves.packed"))
	if err != nil {
		t.Fatal(err)
	}
	if second, err := os.ReadFile(filepath.Join(dir, "again.packed")); err != nil || !bytes.Equal(first, second) {
		t.Errorf("what was exported and imported is another model, %v", err)
	}
}

func TestExportRefuses(t *testing.T) {
	dir := copyOf(t, finishedRun(t))
	for _, test := range []struct {
		args  []string
		code  int
		words []string
	}{
		{[]string{"joint", "--format", "onnx", "-o", "x"}, 2, []string{`--format "onnx"`, "gguf, safetensors, packed"}},
		{[]string{"joint"}, 2, []string{"--output"}},
		{[]string{"jiont", "-o", "x"}, 2, []string{`"jiont"`, "finch status"}},
		{[]string{"99", "-o", "x"}, 2, []string{"99", "finch status"}},
		{[]string{"depth", "--format", "recipe", "-o", "x"}, 1, []string{"depth as recipe", "has lost a sublayer"}},
		{[]string{"joint", "--format", "compressed-tensors", "-o", "x"}, 1, []string{"joint as compressed-tensors", "4 or 8 bits"}},
		{[]string{"joint", "--format", "safetensors", "-o", "."}, 1, []string{"files in it"}},
		{[]string{"depth", "--format", "packed", "-o", "no/such/folder"}, 1, []string{"no/such/folder"}},
		{[]string{"depth", "--format", "packed", "-o", "."}, 1, []string{"not a regular file"}},
		{[]string{"depth", "-o", "finch.db"}, 2, []string{"is the database"}},
		{[]string{"depth", "-o", "x", "--db", "none.db"}, 1, []string{"none.db", "finch run"}},
	} {
		r := finch(t, dir, append([]string{"export"}, test.args...)...)
		r.stderr = r.stderr[strings.Index(r.stderr, "finch: "):] // progress comes before
		r.fails(t, test.code, test.words...)
	}
	lock, err := filelock.Acquire(filepath.Join(dir, "finch.db.lock"))
	if err != nil {
		t.Fatal(err)
	}
	finch(t, dir, "export", "joint", "--format", "packed", "-o", "x").fails(t, 1, "another finch is running on finch.db")
	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}
	if list := names(t, dir); strings.Contains(" "+list+" ", " x ") || strings.Contains(list, ".tmp") {
		t.Errorf("files are left: %s", list)
	}
}

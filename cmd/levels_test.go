package cmd_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// levelFiles lists the level files of a folder.
func levelFiles(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "finch.levels", "*.level"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func decode[T any](t *testing.T, r result) (v T) {
	t.Helper()
	if err := json.Unmarshal([]byte(r.stdout), &v); err != nil {
		t.Fatalf("%v in %.200s", err, r.stdout)
	}
	return v
}

func TestLevels(t *testing.T) {
	dir := experiments(t)
	for _, line := range []string{"levels list", "levels verify", "levels verify --repair"} {
		finch(t, dir, strings.Fields(line)...).fails(t, 1, "no level database finch.levels", "finch levels build", "--db")
	}
	if left := names(t, dir); left != "two.toml" {
		t.Fatalf("asking left %s", left)
	}

	type built struct {
		Experiment    string
		Levels, Bytes int
		Seconds       float64
		Folder        string
	}
	was := decode[[]built](t, done(t, dir, "levels", "build", "two.toml", "--json"))
	if len(was) != 2 || was[0] != (built{"depth", 0, 0, 0, "finch.levels"}) || was[1].Experiment != "joint" || !(was[1].Seconds > 0) || was[1].Levels != len(levelFiles(t, dir)) {
		t.Errorf("built %+v, and there are %d files", was, len(levelFiles(t, dir)))
	}
	if left := names(t, dir); left != "finch.db.lock finch.levels two.toml" {
		t.Errorf("build left %s", left)
	}

	type level struct {
		Layer, Level  string
		Bytes         int
		RelativeError float64 `json:"relative_error"`
		Seconds       float64
		DominatedBy   *string `json:"dominated_by"`
		JudgedBy      string  `json:"judged_by"`
	}
	sum := 0
	list := decode[[]level](t, done(t, dir, "levels", "list", "--json"))
	for _, l := range list {
		sum += l.Bytes
		if l.DominatedBy != nil || !(l.RelativeError > 0) {
			t.Errorf("%+v: q4_0 is smaller than q8_0 and worse", l)
		}
		if !(l.Seconds > 0) || l.JudgedBy != "relative_error" {
			t.Errorf("%+v took no time, or was judged by what is not known", l)
		}
	}
	if len(list) != was[1].Levels || sum != was[1].Bytes || list[0].Layer != "blk.0.attn_k" || list[0].Level != "q4_0" {
		t.Errorf("%d levels of %d bytes, the first is %+v; built were %+v", len(list), sum, list[0], was[1])
	}

	// iq4_nl takes as much as q4_0 and errs less.
	write(t, dir, "more.toml", "[[experiment]]\nname = \"more\"\nlevels = [\"q4_0\", \"iq4_nl\"]\nbudget = { bits_per_weight = 5.0 }\n")
	r := done(t, dir, "levels", "list", "more.toml", "--json")
	if n := len(decode[[]level](t, r)); n != len(list)/2 || !strings.Contains(r.stderr, "are not built") {
		t.Errorf("%d of the levels are of more.toml\n%s", n, r.stderr)
	}
	done(t, dir, "levels", "build", "more.toml")
	for _, l := range decode[[]level](t, done(t, dir, "levels", "list", "more.toml", "--json")) {
		if l.Level == "q4_0" && (l.DominatedBy == nil || *l.DominatedBy != "iq4_nl") || l.Level != "q4_0" && l.DominatedBy != nil {
			t.Errorf("%s at %s is dominated by %v", l.Layer, l.Level, l.DominatedBy)
		}
	}
	if table := done(t, dir, "levels", "list", "more.toml").stdout; !strings.Contains(table, "dominated_by") || strings.Contains(table, "q8_0") {
		t.Errorf("the table of more.toml:\n%.2000s", table)
	}

	// A run takes what is built.
	before := levelFiles(t, dir)
	done(t, dir, "run", "two.toml", "--only", "joint")
	if after := levelFiles(t, dir); len(after) != len(before) {
		t.Errorf("a run after build makes %d files more", len(after)-len(before))
	}
}

func TestLevelsVerify(t *testing.T) {
	dir := copyOf(t, finishedRun(t))
	files := levelFiles(t, dir)
	whole, err := os.ReadFile(files[3])
	if err != nil {
		t.Fatal(err)
	}
	type verification struct {
		Files   int
		Damaged []struct{ File, Reason string }
		Deleted bool
	}
	if v := decode[verification](t, done(t, dir, "levels", "verify", "--json")); v.Files != len(files) || len(v.Damaged) != 0 || v.Deleted {
		t.Errorf("sound files: %+v", v)
	}
	flipped := append([]byte(nil), whole...)
	flipped[len(flipped)-1] ^= 1
	for path, content := range map[string][]byte{files[3]: flipped, files[5]: whole} {
		if err := os.WriteFile(path, content, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	r := finch(t, dir, "levels", "verify")
	if r.code != 1 || !strings.Contains(r.stdout, filepath.Base(files[3])+": the weights are damaged") || !strings.Contains(r.stdout, filepath.Base(files[5])+": its name is not the key") {
		t.Errorf("exit code %d\n%s", r.code, r.stdout)
	}
	r.explains(t, "2 of", "--repair")
	v := decode[verification](t, done(t, dir, "levels", "verify", "--repair", "--json"))
	if v.Files != len(files) || len(v.Damaged) != 2 || !v.Deleted || len(levelFiles(t, dir)) != len(files)-2 {
		t.Errorf("repair: %+v, %d files of %d are left", v, len(levelFiles(t, dir)), len(files))
	}
	done(t, dir, "levels", "build", "two.toml")
	if again, err := os.ReadFile(files[3]); err != nil || string(again) != string(whole) {
		t.Errorf("a damaged file is not built again as it was: %v", err)
	}
	if got := done(t, dir, "levels", "verify").stdout; !strings.Contains(got, "0 damaged") {
		t.Errorf("after repair: %s", got)
	}
}

// Interrupted, build says how to go on, and goes on.
func TestLevelsInterrupt(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "experiments.toml", "[[experiment]]\nname = \"k\"\nlevels = [\"q2_k\", \"q3_k\"]\nbudget = { bits_per_weight = 3.0 }\n")
	p := start(t, dir, "levels", "build")
	for p.running() && len(levelFiles(t, dir)) < 5 {
		time.Sleep(time.Millisecond)
	}
	if err := p.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if r := p.end(); r.code != 130 || !strings.Contains(r.stderr, "the same command goes on") {
		t.Errorf("exit code %d\n%s", r.code, r.stderr)
	}
	n := len(levelFiles(t, dir))
	if n == 2*12*7 {
		t.Error("build was done before it was interrupted")
	}
	if r := done(t, dir, "levels", "build"); !strings.Contains(r.stderr, "levels: ") {
		t.Errorf("no progress:\n%s", r.stderr)
	}
}

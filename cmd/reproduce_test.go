//go:build unix

package cmd_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/finch-llm/finch/kernels"
)

// bundled exports a run of the database in a folder into another folder.
func bundled(t *testing.T, from, run string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	done(t, from, "db", "export", "--run", run, "-o", filepath.Join(dir, "run.json"))
	return dir
}

// TestReproduce repeats runs that were killed and gone on with, and is killed itself.
func TestReproduce(t *testing.T) {
	finishedRun(t)
	killed := experiments(t)
	for _, point := range []string{"batch.committed:2", "generation.committed:3", "result.written"} {
		killedAt(t, point, killed, "run", "two.toml")
	}
	done(t, killed, "run", "two.toml")
	for _, name := range []string{"depth", "joint"} {
		t.Run(name, func(t *testing.T) {
			dir := bundled(t, killed, name)
			if !sameFile(t, filepath.Join(dir, "run.json"), filepath.Join(bundled(t, finished.dir, name), "run.json")) {
				t.Error("the bundle of a run that was killed is another")
			}
			killedAt(t, "batch.committed:5", dir, "reproduce", "run.json")
			r := done(t, dir, "reproduce", "run.json")
			if !strings.HasPrefix(r.stdout, "equal: run 1 in run.db is that of run.json bit for bit, fingerprint ") {
				t.Errorf("%s", r.stdout)
			}
			if r := done(t, dir, "query", "SELECT sum(memo) AS memo FROM scores", "--db", "run.db", "--format", "csv"); r.stdout != "memo\n0\n" && name == "joint" {
				t.Errorf("scores that were not computed: %s", r.stdout)
			}
			done(t, dir, "check", "run.db")
			finch(t, dir, "reproduce", "run.json").fails(t, 2, "run.db has run 1 ("+name+", seed 1) already", "--fresh", "--db")
		})
	}
}

// TestReproduceInto repeats a run in the database that it is in: beside it, and without its scores.
func TestReproduceInto(t *testing.T) {
	dir := copyOf(t, finishedRun(t))
	done(t, dir, "db", "export", "--run", "1", "-o", "depth.json")
	finch(t, dir, "reproduce", "depth.json", "--db", "finch.db").fails(t, 2, "finch.db has run 1 (depth, seed 1) already")
	if r := done(t, dir, "reproduce", "depth.json", "--db", "finch.db", "--fresh"); !strings.HasPrefix(r.stdout, "equal: run 3 in finch.db") {
		t.Errorf("%s", r.stdout)
	}
	if got := fingerprint(t, dir); got != finished.fingerprint {
		t.Errorf("fingerprint %swant %s", got, finished.fingerprint)
	}
	done(t, dir, "check")
	if r := done(t, dir, "query", "SELECT count(*) AS n FROM scores WHERE run_id = 3 AND seconds = 0 AND memo = 0", "--format", "csv"); r.stdout != "n\n0\n" {
		t.Errorf("scores that took no time: %s", r.stdout)
	}
}

// TestReproduceDiffers changes a score that a repetition has recorded, before it goes on.
func TestReproduceDiffers(t *testing.T) {
	dir := bundled(t, finishedRun(t), "depth")
	killedAt(t, "batch.committed", dir, "reproduce", "run.json", "--db", "finch.db")
	edit(t, dir, "UPDATE scores SET kl = kl * (1 + 1e-15) WHERE candidate = 2")
	r := finch(t, dir, "reproduce", "run.json", "--db", "finch.db")
	if want := "finch: not equal: run 1 in finch.db first differs from that of run.json in scores: generation 0, stage 0, candidate 2: kl was "; r.code != 1 || r.stdout != "" || !strings.HasPrefix(lastLine(r.stderr), want) {
		t.Errorf("exit code %d, stdout %q, stderr:\n%s", r.code, r.stdout, r.stderr)
	}
	if r := done(t, dir, "reproduce", "run.json", "--db", "finch.db", "--fresh"); !strings.HasPrefix(r.stdout, "equal: run 2 in finch.db") {
		t.Errorf("begun anew: %s", r.stdout)
	}
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}

// TestReproduceElsewhere names what is not as it was before any work is done.
func TestReproduceElsewhere(t *testing.T) {
	text := strings.Repeat("The finch sat on the branch, and sang about the seeds that it had found there. ", 400)
	place := t.TempDir()
	write(t, place, "text.txt", text)
	write(t, place, "two.toml", strings.Replace(twoExperiments(t), "calibration = {", `calibration = { data = "text.txt",`, 1))
	done(t, place, "run", "two.toml", "--only", "depth")
	for _, test := range []struct {
		name, edit, text string
		args, says       []string
	}{
		{"text", "", text[1:], nil, []string{"the calibration text is another (SHA-256"}},
		{"no text", "", "", nil, []string{"text.txt"}},
		{"model", "", text, []string{"--model", soundFolder(t)}, []string{"the model is another (SHA-256", "bring the old one back"}},
		{"no model", "", text, []string{"--model", "nowhere.gguf"}, []string{"nowhere.gguf"}},
		{"engine", "UPDATE runs SET engine = 99, version = 'v9'", text, nil, []string{"the engine version was 99, and is 1 here: use finch v9"}},
		{"processor", "UPDATE runs SET architecture = 'pdp11'", text, nil, []string{"the processor architecture was pdp11"}},
		{"all of it", "UPDATE runs SET architecture = 'pdp11', engine = 99", text[1:], []string{"--tolerance", "0.1"}, []string{"the calibration text is another", "the engine version was 99"}},
		{"kernels", "", text, []string{"--kernels", "portable"}, []string{"the kernel path was", "and is portable here", "--kernels"}},
		{"tolerance", "", text, []string{"--tolerance", "-1"}, []string{"--tolerance -1"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.name == "kernels" && len(kernels.Paths()) == 1 {
				t.Skip("this CPU has one kernel path only")
			}
			from := copyOf(t, place)
			if test.edit != "" {
				edit(t, from, test.edit)
			}
			dir := bundled(t, from, "depth")
			if test.text != "" {
				write(t, dir, "text.txt", test.text)
			}
			before := names(t, dir)
			finch(t, dir, append([]string{"reproduce", "run.json"}, test.args...)...).fails(t, 2, test.says...)
			if after := names(t, dir); after != before {
				t.Errorf("left %s", after)
			}
		})
	}
}

// TestReproduceOtherKernels compares within a tolerance, which is not equality.
func TestReproduceOtherKernels(t *testing.T) {
	if len(kernels.Paths()) == 1 {
		t.Skip("this CPU has one kernel path only")
	}
	dir := bundled(t, finishedRun(t), "depth")
	other := kernels.Paths()[1].Name()
	r := finch(t, dir, "reproduce", "run.json", "--kernels", other, "--tolerance", "1e-12")
	if want := "finch: not equal: run 1 in run.db first differs from that of run.json in scores: generation 0, stage 0, candidate 1: "; r.code != 1 || !strings.HasPrefix(lastLine(r.stderr), want) {
		t.Errorf("exit code %d, stderr:\n%s", r.code, r.stderr)
	}
	r = finch(t, dir, "reproduce", "run.json", "--kernels", other, "--tolerance", "0.5", "--fresh")
	if last := lastLine(r.stderr); r.code != 1 || r.stdout != "" || !strings.HasPrefix(last, "finch: not equal") || strings.Contains(last, "generation 0") {
		t.Errorf("exit code %d, stdout %q, stderr:\n%s", r.code, r.stdout, r.stderr)
	}
	t.Log(lastLine(r.stderr))
}

// TestGoOnElsewhere goes on with a run that was begun where scores are computed otherwise.
func TestGoOnElsewhere(t *testing.T) {
	dir := copyOf(t, finishedRun(t))
	for change, says := range map[string]string{
		"engine = 99, version = 'v9'": "run 1 was begun with the engine version 99, which scores a little differently from 1: use finch v9, or start anew with --fresh",
		"architecture = 'pdp11'":      "run 1 was begun with the processor architecture pdp11, which",
	} {
		edit(t, dir, "UPDATE runs SET status = 'interrupted', "+change)
		if r := finch(t, dir, "run", "two.toml"); r.code != 1 || !strings.Contains(lastLine(r.stderr), says) {
			t.Errorf("exit code %d, stderr:\n%s", r.code, r.stderr)
		}
		edit(t, dir, "UPDATE runs SET engine = 0, architecture = ''")
	}
	wantSame(t, dir, "run", "two.toml") // of earlier versions, which did not record it
}

func TestReproduceDamaged(t *testing.T) {
	dir := bundled(t, finishedRun(t), "depth")
	content, err := os.ReadFile(filepath.Join(dir, "run.json"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "cut.json", string(content[:len(content)/2]))
	write(t, dir, "changed.json", strings.Replace(string(content), `"scored"`, `"failed"`, 1))
	for args, says := range map[string]string{
		"nowhere.json": "nowhere.json", "cut.json": "cut short", "changed.json": "the file has been changed", "run.json more": "1 arg",
	} {
		finch(t, dir, append([]string{"reproduce"}, strings.Fields(args)...)...).fails(t, 2, says)
	}
	finch(t, dir, "db", "export", "--db", "nowhere.db", "--run", "1").fails(t, 1, "nowhere.db")
	finch(t, finished.dir, "db", "export").fails(t, 2, "--run")
	finch(t, finished.dir, "db", "export", "--run", "sparrow").fails(t, 2, "sparrow")
	finch(t, finished.dir, "db", "export", "--run", "1", "-o", "finch.db").fails(t, 2, "is the database")
	if r := done(t, finished.dir, "db", "export", "--run", "1"); r.stdout != string(content) {
		t.Error("printed, it is another bundle")
	}
}

package cmd_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestBestWithin picks a candidate of a run that looked for another size, and exports it by its size and by its number: the same file.
func TestBestWithin(t *testing.T) {
	dir := copyOf(t, finishedRun(t))
	smallest := done(t, dir, "query", "SELECT min(file_bytes) FROM candidates WHERE run_id = 2", "--format", "csv").stdout
	least, err := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(smallest, "min(file_bytes)\n")))
	if err != nil {
		t.Fatal(err)
	}
	size := strconv.Itoa(least/1000+20) + "kB"
	var c struct {
		Run, Candidate, Among, Tokens int64
		Fresh                         bool
		KL                            float64
		FileBytes                     int64 `json:"file_bytes"`
	}
	if err := json.Unmarshal([]byte(done(t, dir, "best", "joint", "--bytes", size, "--json").stdout), &c); err != nil {
		t.Fatal(err)
	}
	if c.Run != 2 || c.Candidate < 1 || c.FileBytes > int64(least+21000) || c.Among < 2 || c.Tokens != 1024 || !c.Fresh || !(c.KL > 0) {
		t.Errorf("%+v", c)
	}
	text := done(t, dir, "best", "joint", "--bytes", size).stdout
	for _, words := range []string{
		fmt.Sprintf("candidate %d of run 2 (joint, seed 1): %d bytes", c.Candidate, c.FileBytes), "on held-out text: KL ", "against the next, candidate ", " ± ",
		fmt.Sprintf("the best of %d on 1024 tokens of calibration text that the search did not see", c.Among),
		fmt.Sprintf("finch export 2 --candidate %d -o FILE", c.Candidate),
	} {
		if !strings.Contains(text, words) {
			t.Errorf("it does not say %q:\n%s", words, text)
		}
	}
	done(t, dir, "export", "joint", "--bytes", size, "-o", "a")
	done(t, dir, "export", "2", "--candidate", strconv.FormatInt(c.Candidate, 10), "-o", "b")
	a, err := os.ReadFile(filepath.Join(dir, "a"))
	if err != nil || int64(len(a)) != c.FileBytes {
		t.Fatalf("%d bytes, %v, want %d", len(a), err, c.FileBytes)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "b")); err != nil || string(a) != string(b) {
		t.Errorf("by its number it is another file, %v", err)
	}

	front := done(t, dir, "best", "--front", "joint").stdout
	if rows := regexp.MustCompile(`│ +\d+ │ +\d+ │ \d+\.\d{4} +│ \d+\.\d+ ± \d+\.\d+ +│`).FindAllString(front, -1); len(rows) == 0 {
		t.Errorf("no KL with its error:\n%s", front)
	}
	var points []map[string]float64
	if err := json.Unmarshal([]byte(done(t, dir, "best", "--front", "joint", "--json").stdout), &points); err != nil || len(points) == 0 || !(points[0]["kl_error"] > 0) {
		t.Errorf("%v, %v", points, err)
	}
	if got := done(t, dir, "query", "pareto", "--param", "run=joint", "--format", "csv").stdout; !strings.Contains(got, ",candidate,") {
		t.Errorf("the front of a run's candidates:\n%s", got)
	}
}

func TestBestRefuses(t *testing.T) {
	dir := copyOf(t, finishedRun(t))
	for _, test := range []struct {
		line  string
		code  int
		words []string
	}{
		{"best --front --bytes 1MB joint", 2, []string{"one of them"}},
		{"best --bytes some joint", 2, []string{"--bytes", "90MB"}},
		{"best --bytes 6MB", 2, []string{"has 2 runs", "finch status"}},
		{"best --bytes 6MB jiont", 2, []string{`"jiont"`}},
		{"best --bytes 1kB joint", 1, []string{"run 2", "its smallest candidate has", "more than 1000"}},
		{"export joint -o x --bytes some", 2, []string{"--bytes", "90MB"}},
		{"export joint -o x --bytes 1MB --candidate 1", 2, []string{"one of them"}},
		{"export joint -o x --candidate 0", 2, []string{"--candidate 0"}},
		{"export joint -o x --candidate 999", 1, []string{"no candidate 999"}},
	} {
		finch(t, dir, strings.Fields(test.line)...).fails(t, test.code, test.words...)
	}
}

package cmd_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/finch-llm/finch/cmd"
)

// program is the finch that these tests run: exit codes, signals and files left behind are those of a process.
var program string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	flag.Parse()
	dir, err := os.MkdirTemp("", "finch")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	os.Setenv("HF_HUB_OFFLINE", "1") // no test leaves this machine
	os.Setenv("HF_HUB_CACHE", filepath.Join(dir, "hub"))
	program = filepath.Join(dir, "finch.exe") // the name matters on Windows only
	build := exec.Command("go", "build", "-o", program, "./finch")
	if output, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, output)
		return 1
	}
	finished.dir = filepath.Join(dir, "finished")
	return m.Run()
}

// timeLimit is for one command: far more than it takes, on a machine that is busy with something else.
const timeLimit = 5 * time.Minute

// result is what a command did.
type result struct {
	code           int
	stdout, stderr string
}

// command prepares finch with its output going to r.
func command(t *testing.T, dir string, args ...string) (c *exec.Cmd, r func() result) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), timeLimit)
	t.Cleanup(cancel)
	var stdout, stderr bytes.Buffer
	c = exec.CommandContext(ctx, program, args...)
	c.Dir, c.Stdout, c.Stderr = dir, &stdout, &stderr
	return c, func() result {
		if ctx.Err() != nil {
			t.Fatalf("finch %s: not done after %v\n%s%s", strings.Join(args, " "), timeLimit, stdout.String(), stderr.String())
		}
		return result{c.ProcessState.ExitCode(), stdout.String(), stderr.String()}
	}
}

// finch runs the program in a folder.
func finch(t *testing.T, dir string, args ...string) result {
	t.Helper()
	c, r := command(t, dir, args...)
	var exit *exec.ExitError
	if err := c.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatalf("finch %s: %v", strings.Join(args, " "), err)
	}
	return r()
}

// inProcess runs a command without a process of its own, which is faster.
func inProcess(args ...string) result {
	var stdout, stderr bytes.Buffer
	code := cmd.Main(args, strings.NewReader(""), &stdout, &stderr)
	return result{code, stdout.String(), stderr.String()}
}

// done runs the program and wants success.
func done(t *testing.T, dir string, args ...string) result {
	t.Helper()
	r := finch(t, dir, args...)
	if r.code != 0 {
		t.Fatalf("finch %s: exit code %d\n%s", strings.Join(args, " "), r.code, r.stderr)
	}
	return r
}

// fails wants a failure: its exit code, nothing on stdout, and on stderr one line with all of the words.
func (r result) fails(t *testing.T, code int, words ...string) {
	t.Helper()
	if r.code != code {
		t.Errorf("exit code %d, want %d", r.code, code)
	}
	if r.stdout != "" {
		t.Errorf("stdout %.200q, want none", r.stdout)
	}
	r.explains(t, words...)
}

// explains wants one line of error with all of the words.
func (r result) explains(t *testing.T, words ...string) {
	t.Helper()
	if !strings.HasPrefix(r.stderr, "finch: ") || strings.Count(r.stderr, "\n") != 1 || !strings.HasSuffix(r.stderr, "\n") {
		t.Errorf("stderr is not one line that begins with finch:\n%.2000s", r.stderr)
	}
	for _, word := range words {
		if !strings.Contains(r.stderr, word) {
			t.Errorf("stderr does not say %q: %s", word, r.stderr)
		}
	}
}

// write makes a file in a folder.
func write(t *testing.T, dir, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o666); err != nil {
		t.Fatal(err)
	}
}

// names lists a folder.
func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return strings.Join(list, " ")
}

// copyOf copies a folder.
func copyOf(t *testing.T, from string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// experiments copies testdata/two.toml into a new folder.
func experiments(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	write(t, dir, "two.toml", twoExperiments(t))
	return dir
}

func twoExperiments(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("testdata/two.toml")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// finished is testdata/two.toml run once without interruption, for all tests that look at what came out.
var finished struct {
	once        sync.Once
	dir         string
	run         result
	fingerprint string
	took        time.Duration
}

// finishedRun gives the folder of the uninterrupted run, which tests must leave as it is.
func finishedRun(t *testing.T) (dir string) {
	t.Helper()
	finished.once.Do(func() {
		if err := os.CopyFS(finished.dir, os.DirFS("testdata")); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		finished.run = done(t, finished.dir, "run", "two.toml", "--threads", "2")
		finished.took = time.Since(start)
		finished.fingerprint = fingerprint(t, finished.dir)
		t.Logf("uninterrupted: %v", finished.took)
	})
	if finished.fingerprint == "" {
		t.Skip("the uninterrupted run failed: see the test before")
	}
	return finished.dir
}

func fingerprint(t *testing.T, dir string) string {
	t.Helper()
	return done(t, dir, "check", "--fingerprint").stdout
}

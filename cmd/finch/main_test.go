package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/finch-llm/finch/cmd"
	"github.com/finch-llm/finch/search"
	"github.com/finch-llm/finch/search/eaopt"
)

// The command line knows the method once it is registered, and only then.
func TestTheMethodIsKnown(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "e.toml")
	err := os.WriteFile(file, []byte(`[[experiment]]
name   = "small"
model  = "builtin:finchling"
calibration = { data = "builtin:calibration", tokens = 2048, sequence = 64 }
evaluation  = { data = "builtin:evaluation", tokens = 512, sequence = 64 }
levels = ["drop"]
target = "packed"
budget = { drop = 0.25 }
search = { method = "eaopt", generations = 6, offspring = 4, survivors = [2, 1], tokens = [64, 128], starts = 4, start_tokens = 64 }
`), 0o644)
	if err != nil {
		t.Fatal(err)
	}
	var out, problems bytes.Buffer
	plan := func() int {
		out.Reset()
		return cmd.Main([]string{"plan", file, "--json", "--db", filepath.Join(dir, "finch.db")}, strings.NewReader(""), &out, &problems)
	}
	if code := plan(); code != 2 || !strings.Contains(problems.String(), `search.method is "eaopt"`) {
		t.Fatalf("exit code %d: %s", code, &problems)
	}
	search.Register(eaopt.Method())
	// 4 starts, then 4 children, and two of them with their parent; held-out text for winner, baseline and dense model
	if code := plan(); code != 0 || !strings.Contains(out.String(), `"tokens": 5632`) {
		t.Fatalf("exit code %d: %s%s", code, &out, &problems)
	}
}

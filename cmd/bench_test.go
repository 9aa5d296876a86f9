package cmd_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

func TestBenchKernels(t *testing.T) {
	got := finch(t, t.TempDir(), "bench", "kernels", "--match", "finchling attn", "--rounds", "1", "--json")
	var r struct {
		Path  string
		Peak  float64 `json:"peak_gflops"`
		Cases []struct {
			Name, Format string
			M, N, K      int
			GFLOPS       float64
			OfPeak       float64 `json:"of_peak"`
		}
		MinOfPeak float64 `json:"min_of_peak"`
	}
	if err := json.Unmarshal([]byte(got.stdout), &r); err != nil || got.code != 0 {
		t.Fatalf("%v: %+v", err, got)
	}
	if len(r.Cases) != 4 || r.Path == "" || r.Peak <= 0 {
		t.Fatalf("%+v", r)
	}
	for _, c := range r.Cases {
		if c.M != 512 || c.N != 256 || c.K != 256 || c.GFLOPS <= 0 || c.OfPeak < r.MinOfPeak || c.OfPeak*r.Peak > 1.001*c.GFLOPS {
			t.Errorf("%+v", c)
		}
	}
	if table := finch(t, t.TempDir(), "bench", "kernels", "--match", "finchling attn", "--rounds", "1"); !strings.Contains(table.stdout, "finchling attn_q") {
		t.Errorf("%+v", table)
	}
}

func TestBenchEvaluate(t *testing.T) {
	args := []string{"bench", "evaluate", "--offspring", "6", "--rounds", "2", "--tokens", "128", "--sequence", "64", "--cached-tokens", "512", "--levels", t.TempDir()}
	got := finch(t, t.TempDir(), append(args, "--json")...)
	var r struct {
		Offspring       int
		TokensPerSecond float64 `json:"tokens_per_second"`
		GFLOPS          float64
		OfPeak          float64 `json:"of_peak"`
		PrefixSpeedup   float64 `json:"prefix_speedup"`
		PrefixBound     float64 `json:"prefix_bound"`
		LevelSwitch     float64 `json:"level_switch_seconds"`
	}
	if err := json.Unmarshal([]byte(got.stdout), &r); err != nil || got.code != 0 {
		t.Fatalf("%v: %+v", err, got)
	}
	if r.Offspring != 6 || r.TokensPerSecond <= 0 || r.GFLOPS <= 0 || r.OfPeak <= 0 || r.PrefixSpeedup <= 0 || r.LevelSwitch <= 0 || r.LevelSwitch > 0.1 {
		t.Errorf("%+v", r)
	}
	// The bound follows from the mutations alone.
	if r.PrefixBound <= 1 || r.PrefixBound > 4 {
		t.Errorf("prefix bound %v", r.PrefixBound)
	}
	if text := finch(t, t.TempDir(), args...); !strings.Contains(text.stdout, "with the cache") {
		t.Errorf("%+v", text)
	}
}

func TestBenchRefuses(t *testing.T) {
	for name, args := range map[string][]string{
		"no such layer":   {"kernels", "--match", "attn_x"},
		"no rounds":       {"kernels", "--rounds", "0"},
		"an argument":     {"kernels", "all"},
		"no such bench":   {"search!"},
		"no offspring":    {"evaluate", "--offspring", "0"},
		"no sequence":     {"evaluate", "--sequence", "1"},
		"no such model":   {"evaluate", "--model", "none.gguf"},
		"cut sequences":   {"evaluate", "--tokens", "100", "--sequence", "64"},
		"a long sequence": {"evaluate", "--sequence", "100000"},
		"no cached":       {"evaluate", "--cached-tokens", "1"},
	} {
		t.Run(name, func(t *testing.T) {
			got := finch(t, t.TempDir(), append([]string{"bench"}, args...)...)
			if got.code != 2 && got.code != 1 || !strings.HasPrefix(got.stderr, "finch: ") || strings.Count(got.stderr, "\n") != 1 || got.stdout != "" {
				t.Errorf("%+v", got)
			}
		})
	}
}

// The flags that all commands have are read by all of them.
func TestFlagsOfAllCommands(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"no size":          {[]string{"status", "--memory", "banana"}, "--memory"},
		"too little":       {[]string{"eval", "builtin:finchling", "--memory", "1MB"}, "64MiB"},
		"threads":          {[]string{"inspect", "builtin:finchling", "--threads", "0"}, "--threads"},
		"unknown kernels":  {[]string{"query", "--kernels", "avx9"}, `"avx9" is unknown`},
		"another machine":  {[]string{"bench", "kernels", "--kernels", "neon"}, "portable"},
		"unknown argument": {[]string{"bench", "kernals"}, "finch bench --help"},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "another machine" && runtime.GOARCH == "arm64" {
				t.Skip("neon is here")
			}
			got := inProcess(c.args...)
			if got.code != 2 || !strings.Contains(got.stderr, c.says) || strings.Count(got.stderr, "\n") != 1 {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestVersion(t *testing.T) {
	if got := inProcess("--version"); got.code != 0 || !strings.HasPrefix(got.stdout, "finch version ") {
		t.Errorf("%+v", got)
	}
}

// TestBenchLatency measures a table, which a search then keeps to.
func TestBenchLatency(t *testing.T) {
	dir := experiments(t)
	write(t, dir, "fast.toml", `[[experiment]]
name        = "fast"
calibration = { tokens = 1024, sequence = 64 }
evaluation  = { tokens = 512, sequence = 64 }
levels      = ["q4_0", "f16"]
budget      = { latency_ms = 1e6, latency_table = "latency.json" }
search      = { generations = 1, offspring = 2, survivors = [1], tokens = [64] }
`)
	finch(t, dir, "plan", "fast.toml").fails(t, 2, "fast.toml:6", "latency.json: no such file")
	r := done(t, dir, "bench", "latency", "fast.toml", "-o", "latency.json", "--rounds", "1", "--cache", "1MiB")
	if !strings.HasPrefix(r.stdout, "latency.json: a pass over 1 tokens takes from ") {
		t.Errorf("%s", r.stdout)
	}
	var table struct {
		Machine, Kernels, Model string
		Tokens                  int
		Fixed                   int64                       `json:"fixed_ns"`
		Layers                  map[string]map[string]int64 `json:"layers_ns"`
	}
	text, err := os.ReadFile(filepath.Join(dir, "latency.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &table); err != nil || table.Machine == "" || table.Kernels == "" || len(table.Model) != 64 ||
		table.Tokens != 1 || table.Fixed <= 0 || len(table.Layers) != 84 || table.Layers["blk.11.ffn_down"]["q4_0"] <= 0 {
		t.Errorf("%v: %.500s", err, text)
	}
	done(t, dir, "run", "fast.toml")

	for line, words := range map[string][]string{
		"bench latency two.toml":                                                 {"--output"},
		"bench latency two.toml -o x":                                            {"2 experiments", "--only"},
		"bench latency two.toml -o x --tokens 0":                                 {"--tokens 0"},
		"bench latency two.toml -o x --cache much":                               {"--cache", "90MB"},
		"bench latency two.toml --only three -o x":                               {`"three"`},
		"bench latency fast.toml -o no/such/folder/file --rounds 1 --cache 1MiB": {"no/such/folder"},
	} {
		code := 2
		if strings.Contains(line, "folder") {
			code = 1
		}
		r := finch(t, dir, strings.Fields(line)...)
		r.stderr = r.stderr[strings.Index(r.stderr, "finch: "):] // progress comes before
		r.fails(t, code, words...)
	}
}

var long = flag.Bool("long", false, "TestBenchSearch lets both methods search")

// TestBenchSearch lets both methods search for a generation or so.
func TestBenchSearch(t *testing.T) {
	finch(t, t.TempDir(), "bench", "search", "--match", "width").fails(t, 2, "width", "finchling-depth")
	finch(t, t.TempDir(), "bench", "search", "--generations", "0").fails(t, 2, "--generations")
	finch(t, t.TempDir(), "bench", "search", "--smollm2", "x.gguf").fails(t, 2, "--full")
	if !*long {
		t.Skip("what it prints takes a minute: -args -long")
	}
	dir := t.TempDir()
	args := []string{"bench", "search", "--match", "depth", "--generations", "1"}
	type outcome struct {
		Cases []struct {
			Name, Model, Axis, Budget string
			EvoPress                  float64  `json:"evopress_kl"`
			Finch                     float64  `json:"finch_kl"`
			Tokens                    *float64 `json:"tokens_ratio"`
			Seconds                   *float64 `json:"seconds_ratio"`
			Seeds                     []int
		}
		Median *float64 `json:"median_tokens_ratio"`
	}
	var r outcome
	if err := json.Unmarshal([]byte(done(t, dir, append(args, "--json")...).stdout), &r); err != nil || len(r.Cases) != 1 {
		t.Fatalf("%v: %+v", err, r)
	}
	c := r.Cases[0]
	if c.Name != "finchling-depth" || c.Model != "builtin:finchling" || c.Axis != "depth" || c.Budget != "drop = 0.25" || !slices.Equal(c.Seeds, []int{1}) {
		t.Errorf("%+v", c)
	}
	if c.EvoPress <= 0 || c.Finch <= 0 || c.Finch > c.EvoPress || c.Tokens == nil || *c.Tokens <= 0 || *c.Tokens > 1 || c.Seconds == nil || *c.Seconds <= 0 || *r.Median != *c.Tokens {
		t.Errorf("%+v", c)
	}
	fingerprint := func() string { return done(t, dir, "check", "finch-bench.db", "--fingerprint").stdout }
	before := fingerprint()
	if table := done(t, dir, args...); !strings.Contains(table.stdout, "finchling-depth") || !strings.Contains(table.stdout, "median tokens ratio: 0.") {
		t.Errorf("%+v", table)
	}
	if fingerprint() != before {
		t.Error("the second call did not take what the first left")
	}
}

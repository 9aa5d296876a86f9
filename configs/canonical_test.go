package configs

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite testdata/canonical.json")

// A change of the golden file makes the hashes of all finished runs invalid.
func TestCanonicalGolden(t *testing.T) {
	const golden = "testdata/canonical.json"
	var got bytes.Buffer
	for _, source := range []string{
		"levels = [\"drop\"]\nbudget = { drop = 0.25 }\n",
		"levels = [\"q3_k\", \"q4_k\"]\nbudget = { bits_per_weight = 3.5 }\nsearch = { fitness = \"topk-kl\", top_k = 1000, group = \"name\" }\n",
		"levels = { sparse = { step_weights = 4096 } }\nbudget = { sparsity = 0.6 }\nmodel = \"a/é<b>.gguf\"\n",
		"levels = [\"q3_k\", \"sparse-0.50+q4_0\", \"drop\"]\nbudget = { bytes = \"1.2GiB\", drop = 0.125 }\nseeds = [7, 8]\n",
		"levels = [\"q3_k\", \"q4_k\"]\nbudget = { latency_ms = 12.5, latency_table = \"latency.json\" }\n",
	} {
		fmt.Fprintf(&got, "%s\n", parse(t, head+source).Experiments[0].Canonical())
	}
	if *update {
		if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("got\n%s\nwant\n%s", got.Bytes(), want)
	}
}

// However an experiment is written, its canonical form is the same.
func TestCanonicalIsStable(t *testing.T) {
	settings := []struct{ key, value string }{
		{"seeds", "[1, 2]"},
		{"model", `"m.gguf"`},
		{"calibration.data", `"book.txt"`},
		{"calibration.tokens", "65_536"},
		{"evaluation.tokens", "16384"},
		{"levels", `["q2_k", "q4_k", "drop"]`},
		{"target", `"packed"`},
		{"budget.bytes", `"4.8MB"`},
		{"budget.latency_ms", "12.5"},
		{"budget.latency_table", `"latency.json"`},
		{"search.generations", "0x10"},
		{"search.survivors", "[2, 1]"},
		{"search.tokens", "[1024, 2048]"},
		{"search.start", `"uniform"`},
		{"search.whole_blocks", "true"},
	}
	rng := rand.New(rand.NewPCG(1, 2))
	var want string
	for trial := range 200 {
		var own, defaults strings.Builder
		for _, i := range rng.Perm(len(settings)) {
			line := fmt.Sprintf("%s%s =%s%s # note %d\n\n", strings.Repeat(" ", rng.IntN(3)), settings[i].key,
				strings.Repeat("\t", rng.IntN(2)), settings[i].value, rng.IntN(9))
			if rng.IntN(2) == 0 {
				own.WriteString(line)
			} else {
				defaults.WriteString(line)
			}
		}
		tables := []string{
			"[defaults]\n" + defaults.String(),
			fmt.Sprintf("[[experiment]]\nname = \"e%d\"\n%s", trial, own.String()),
		}
		if rng.IntN(2) == 0 {
			tables[0], tables[1] = tables[1], tables[0]
		}
		source := "# first\n" + tables[0] + tables[1]
		f, err := Parse([]byte(source), fmt.Sprintf("file%d.toml", trial))
		if err != nil {
			t.Fatalf("%v in\n%s", err, source)
		}
		got := string(f.Experiments[0].Canonical())
		if trial == 0 {
			want = got
		} else if got != want {
			t.Fatalf("got %s\nwant %s\nfrom\n%s", got, want, source)
		}
	}
	// And every setting matters to it, but the seeds.
	for i, s := range settings {
		source := head
		for j, other := range settings {
			if j != i {
				source += other.key + " = " + other.value + "\n"
			}
		}
		switch s.key {
		case "levels":
			source += "levels = [\"q2_k\", \"q3_k\", \"drop\"]\n"
		case "target":
			source += "target = \"gguf\"\n"
		case "budget.bytes":
			source += "budget.bytes = 4_800_001\n"
		case "budget.latency_ms":
			source += "budget.latency_ms = 13\n"
		case "budget.latency_table":
			source += "budget.latency_table = \"other.json\"\n"
		}
		if got := string(parse(t, source).Experiments[0].Canonical()); (got == want) != (s.key == "seeds") {
			t.Errorf("without %s: %s", s.key, got)
		}
	}
}

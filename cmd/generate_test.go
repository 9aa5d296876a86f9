package cmd_test

import (
	"strings"
	"testing"

	"github.com/finch-llm/finch/kernels"
	"github.com/finch-llm/finch/model"
)

const prompt = "It was the best of times"

// TestGenerateGreedy compares generation, which keeps keys and values, with full forward passes over all tokens so far.
func TestGenerateGreedy(t *testing.T) {
	const tokens = 24
	for _, ref := range []string{"builtin:finchling", soundFolder(t)} {
		args := []string{"generate", ref, "--prompt", prompt, "--temperature", "0", "--tokens", "24"}
		r := inProcess(args...)
		if r.code != 0 || r.stderr != "" {
			t.Fatalf("exit code %d\n%s", r.code, r.stderr)
		}
		if want := prompt + greedy(t, ref, tokens) + "\n"; r.stdout != want {
			t.Errorf("%s:\n%q, want\n%q", ref, r.stdout, want)
		}
		if again := inProcess(append(args, "--seed", "9")...); again.stdout != r.stdout {
			t.Errorf("%s: the seed matters at temperature 0", ref)
		}
	}
}

// greedy is the most likely continuation of the prompt, without a cache.
func greedy(t *testing.T, ref string, tokens int) string {
	t.Helper()
	m, err := model.Open(ref)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	path, err := kernels.Select("")
	if err != nil {
		t.Fatal(err)
	}
	ids := m.Tokenizer.Encode(prompt)
	if bos, add := m.Tokenizer.BOS(); add {
		ids = append([]int32{bos}, ids...)
	}
	runner := model.NewRunner(m, path, len(ids)+tokens)
	logits := make([]float32, m.Vocab)
	var text []int32
	for range tokens {
		hidden := make([]float32, len(ids)*m.Hidden)
		if err := runner.Hidden(hidden, &m.Network, ids, len(ids)); err != nil {
			t.Fatal(err)
		}
		runner.Worker().MatMul(logits, hidden[len(hidden)-m.Hidden:], 1, m.Head)
		best := 0
		for i, l := range logits {
			if l > logits[best] {
				best = i
			}
		}
		if int32(best) == m.Tokenizer.EOS() {
			break
		}
		ids, text = append(ids, int32(best)), append(text, int32(best))
	}
	return strings.TrimSuffix(m.Tokenizer.Decode(text), "\uFFFD")
}

func TestGenerateSampled(t *testing.T) {
	with := func(seed string) string {
		r := inProcess("generate", "builtin:finchling", "--prompt", prompt, "--tokens", "12", "--seed", seed)
		if r.code != 0 || !strings.HasPrefix(r.stdout, prompt) {
			t.Fatalf("exit code %d\n%s%s", r.code, r.stdout, r.stderr)
		}
		return r.stdout
	}
	first := with("1")
	if again := with("1"); again != first {
		t.Errorf("the same seed gives %q and then %q", first, again)
	}
	if first == with("2") && first == with("3") {
		t.Error("the seed does not matter")
	}
}

// TestGenerateTopK leaves one token to choose from, and then as many as there are.
func TestGenerateTopK(t *testing.T) {
	with := func(flags ...string) string {
		r := inProcess(append([]string{"generate", "builtin:finchling", "--prompt", prompt, "--tokens", "12"}, flags...)...)
		if r.code != 0 {
			t.Fatalf("exit code %d\n%s", r.code, r.stderr)
		}
		return r.stdout
	}
	if got, want := with("--top-k", "1", "--temperature", "2"), with("--temperature", "0"); got != want {
		t.Errorf("--top-k 1 gives %q, the likeliest tokens are %q", got, want)
	}
	if got, want := with("--top-k", "1000000"), with(); got != want {
		t.Errorf("with as many as there are: %q, with no limit: %q", got, want)
	}
}

// TestGenerateEdges are prompts at the borders of the context.
func TestGenerateEdges(t *testing.T) {
	if r := inProcess("generate", "builtin:finchling", "--tokens", "3"); r.code != 0 || r.stdout == "\n" {
		t.Errorf("without a prompt: exit code %d %q %q", r.code, r.stdout, r.stderr)
	}
	ref := soundFolder(t) // with a context of 256
	inProcess("generate", ref, "--prompt", strings.Repeat("the ", 300)).fails(t, 2, "context is 256", "shorten")
	if r := inProcess("generate", ref, "--prompt", strings.Repeat("the ", 200), "--tokens", "1000000000"); r.code != 0 {
		t.Errorf("up to the end of the context: exit code %d\n%s", r.code, r.stderr)
	}
}

package hub

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/finch-llm/finch/internal/hubtest"
)

const localSnapshot = `
import sys
from huggingface_hub import hf_hub_download, snapshot_download
from transformers.utils import cached_file
path = snapshot_download("org/name", local_files_only=True)
assert hf_hub_download("org/name", "config.json", local_files_only=True) == cached_file("org/name", "config.json", local_files_only=True)
print(path)
`

const pullSnapshot = `
import sys
from huggingface_hub import snapshot_download
print(snapshot_download("org/name", allow_patterns=sys.argv[1:]))
`

// TestOracle has huggingface_hub and transformers find what finch has pulled, and finch what huggingface_hub has.
func TestOracle(t *testing.T) {
	python := os.Getenv("FINCH_PYTHON")
	if python == "" {
		python = "python3"
	}
	if out, err := exec.Command(python, "-c", "import huggingface_hub, transformers").CombinedOutput(); err != nil {
		t.Skipf("the cache is not shared with huggingface_hub: %v: set FINCH_PYTHON to a Python that has it and transformers: %.200s", err, out)
	}
	h := hubtest.New(t, "org/name", sharded())
	run := func(cache, program string, args ...string) string {
		t.Helper()
		c := exec.Command(python, append([]string{"-c", program}, args...)...)
		c.Env = append(os.Environ(), "HF_ENDPOINT="+h.Hub.URL, "HF_HUB_CACHE="+cache, "HF_HOME="+t.TempDir(), "HF_HUB_DISABLE_TELEMETRY=1")
		var errors strings.Builder
		c.Stderr = &errors
		out, err := c.Output()
		if err != nil {
			t.Fatalf("%v: %s", err, errors.String())
		}
		return strings.TrimSpace(string(out))
	}
	t.Run("finch's", func(t *testing.T) {
		cache := t.TempDir()
		dir := pull(t, client(t, h, cache, nil), "hf://org/name")
		if got := run(cache, localSnapshot); got != dir {
			t.Errorf("huggingface_hub finds %s, not %s", got, dir)
		}
		n := len(h.Downloads())
		if got := run(cache, pullSnapshot, "*.json", "model-*"); got != dir {
			t.Errorf("huggingface_hub has pulled it into %s, not %s", got, dir)
		}
		for _, r := range h.Downloads()[n:] {
			if strings.Contains(r, "model-") {
				t.Errorf("huggingface_hub has brought weights again: %s", r)
			}
		}
	})
	t.Run("huggingface_hub's", func(t *testing.T) {
		cache := t.TempDir()
		dir := run(cache, pullSnapshot, "*.json", "model-*")
		c := client(t, h, cache, nil)
		if got, _, err := c.find(parse(t, "hf://org/name")); err != nil || got != dir {
			t.Errorf("finch finds %s, %v, not %s", got, err, dir)
		}
		n := len(h.Downloads())
		if got := pull(t, c, "hf://org/name"); got != dir || len(h.Downloads()) != n {
			t.Errorf("finch has pulled it into %s by %q", got, h.Downloads()[n:])
		}
		wantFile(t, filepath.Join(dir, "model-00002-of-00002.safetensors"), h.Files["model-00002-of-00002.safetensors"])
	})
}

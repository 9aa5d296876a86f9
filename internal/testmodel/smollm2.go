package testmodel

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/finch-llm/finch/model"
)

// SmolLM2 opens SmolLM2-135M-Instruct (Q4_1), or skips the test, saying why: it is too large to ship.
func SmolLM2(t testing.TB) *model.Model {
	t.Helper()
	path := os.Getenv("FINCH_SMOLLM2")
	if path == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			t.Skipf("SmolLM2 is not tested: %v", err)
		}
		path = filepath.Join(cache, "finch", "SmolLM2-135M-Instruct.Q4_1.gguf")
	}
	if _, err := os.Stat(path); err != nil {
		t.Skipf("SmolLM2 is not tested: %v: tools/smollm2/fetch.sh brings it", err)
	}
	m, err := model.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

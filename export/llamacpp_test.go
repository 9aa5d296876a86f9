package export

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/finch-llm/finch/internal/testmodel"
	"github.com/finch-llm/finch/kernels"
	"github.com/finch-llm/finch/model"
)

// llamaCpp finds a program of llama.cpp, or skips the test, saying why.
func llamaCpp(t *testing.T, program string) string {
	t.Helper()
	folder := os.Getenv("FINCH_LLAMA_CPP")
	if folder == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			t.Skipf("llama.cpp is not tried: %v", err)
		}
		folder = filepath.Join(cache, "finch", "llama.cpp")
	}
	path := filepath.Join(folder, "build", "bin", program)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("llama.cpp is not tried: %v: tools/verify-export/build.sh builds it", err)
	}
	return path
}

// TestLlamaCppLogits has llama.cpp run exported files that have lost sublayers: its logits are finch's, for weights in f32,
// with which both compute in f32.
func TestLlamaCppLogits(t *testing.T) {
	program := llamaCpp(t, "finch-logits")
	ids := testmodel.Tokens(9, 24, testmodel.Vocab) // as logits has them
	portable, err := kernels.Select("portable")
	if err != nil {
		t.Fatal(err)
	}
	all := sources(t)
	for _, test := range []struct {
		source    string
		attn, mlp []int
	}{
		{"gguf", nil, nil},
		{"gguf", []int{3}, []int{3}},
		{"huggingface", []int{1, 10}, nil},
		{"huggingface", nil, []int{0, 5, 10}},
		{"untied", []int{0}, nil},
		{"gguf", []int{0, 1}, []int{0, 4}},
		{"gguf", []int{0, 1, 2, 5, 9}, []int{2, 3, 8, 10}},
		{"gguf", []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, []int{10}},
	} {
		m := all[test.source]
		t.Run(fmt.Sprint(test.source, test.attn, test.mlp), func(t *testing.T) {
			n := without(m, test.attn, test.mlp)
			target, err := For("gguf", m)
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(t.TempDir(), "model.gguf")
			if err := os.WriteFile(path, content(t, target, n), 0o644); err != nil {
				t.Fatal(err)
			}
			args := []string{path}
			for _, id := range ids {
				args = append(args, fmt.Sprint(id))
			}
			var errs strings.Builder
			run := exec.Command(program, args...)
			run.Stderr = &errs
			out, err := run.Output()
			want := logits(t, m, n, portable)
			if err != nil || len(out) != 4*len(want) {
				t.Fatalf("%d bytes of logits, %d expected, %v: %s", len(out), 4*len(want), err, errs.String())
			}
			worst, largest := 0.0, 0.0
			for i, x := range want {
				got := float64(math.Float32frombits(binary.LittleEndian.Uint32(out[4*i:])))
				worst, largest = max(worst, math.Abs(got-float64(x))), max(largest, math.Abs(float64(x)))
			}
			t.Logf("logits differ by %g of %g", worst, largest)
			if !(worst <= 1e-5*largest) {
				t.Errorf("logits differ by %g of %g", worst, largest)
			}
		})
	}
}

// without is a model's network without some sublayers.
func without(m *model.Model, attn, mlp []int) *model.Network {
	n := m.Network.Clone()
	for b := range n.Blocks {
		n.Blocks[b].DropAttn, n.Blocks[b].DropMLP = slices.Contains(attn, b), slices.Contains(mlp, b)
	}
	return n
}

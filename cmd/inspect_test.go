package cmd_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/finch-llm/finch/model/gguf"
)

// sparse7B makes a GGUF file of the shape of a model with 7 billion weights in 30 blocks and a vocabulary of 128 K, whose data
// are a hole in the file.
func sparse7B(t *testing.T) (path string, size int64) {
	t.Helper()
	const vocab = 128 << 10
	tokens, scores, types := make([]string, vocab), make([]float32, vocab), make([]int32, vocab)
	for i := range tokens {
		tokens[i], scores[i], types[i] = fmt.Sprintf("token%d", i), float32(-i), 1
	}
	h := gguf.Header{
		Meta: []gguf.KV{
			{Key: "general.architecture", Value: gguf.ValueOf("llama")},
			{Key: "llama.block_count", Value: gguf.ValueOf(uint32(30))},
			{Key: "tokenizer.ggml.tokens", Value: gguf.ArrayOf(tokens)},
			{Key: "tokenizer.ggml.scores", Value: gguf.ArrayOf(scores)},
			{Key: "tokenizer.ggml.token_type", Value: gguf.ArrayOf(types)},
		},
		Tensors: []gguf.TensorSpec{
			{Name: "token_embd.weight", Dims: []uint64{4096, vocab}, Type: gguf.Q4_K}, {Name: "output.weight", Dims: []uint64{4096, vocab}, Type: gguf.Q6_K},
			{Name: "output_norm.weight", Dims: []uint64{4096}, Type: gguf.F32},
		},
	}
	for b := range 30 {
		for _, layer := range []struct {
			name string
			dims []uint64
			kind gguf.TensorType
		}{
			{"attn_norm", []uint64{4096}, gguf.F32}, {"attn_q", []uint64{4096, 4096}, gguf.Q4_K}, {"attn_k", []uint64{4096, 4096}, gguf.Q4_K},
			{"attn_v", []uint64{4096, 4096}, gguf.Q6_K}, {"attn_output", []uint64{4096, 4096}, gguf.Q4_K}, {"ffn_norm", []uint64{4096}, gguf.F32},
			{"ffn_gate", []uint64{4096, 11008}, gguf.Q4_K}, {"ffn_up", []uint64{4096, 11008}, gguf.Q4_K}, {"ffn_down", []uint64{11008, 4096}, gguf.Q6_K},
		} {
			h.Tensors = append(h.Tensors, gguf.TensorSpec{Name: fmt.Sprintf("blk.%d.%s.weight", b, layer.name), Dims: layer.dims, Type: layer.kind})
		}
	}
	size, err := gguf.Size(h)
	if err != nil {
		t.Fatal(err)
	}
	var header bytes.Buffer
	hole := errors.New("the data are a hole")
	if err := gguf.Write(&header, h, func(int, io.Writer) error { return hole }); !errors.Is(err, hole) {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "7b.gguf")
	if err := os.WriteFile(path, header.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, size); err != nil {
		t.Skipf("SKIPPED, the file system has no holes: %v", err)
	}
	return path, size
}

// A model of 4 GB is inspected in less than 50 MB of memory: its data are not read.
func TestInspectLarge(t *testing.T) {
	path, size := sparse7B(t)
	if keep := os.Getenv("FINCH_KEEP_7B"); keep != "" { // to time the command on
		if err := os.Link(path, keep); err != nil {
			t.Error(err)
		}
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r := inProcess("inspect", path)
	runtime.ReadMemStats(&after)
	if r.code != 0 || !strings.Contains(r.stdout, "q6_k") {
		t.Fatalf("exit code %d\n%s%s", r.code, r.stdout, r.stderr)
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > 50_000_000 {
		t.Errorf("inspecting %d bytes allocated %d", size, n)
	} else {
		t.Logf("inspecting %d bytes allocated %d", size, n)
	}
}

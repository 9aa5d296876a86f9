package export

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/finch-llm/finch/internal/testmodel"
	"github.com/finch-llm/finch/model/gguf"
)

func TestRecipe(t *testing.T) {
	m := open(t, testmodel.Folder(t, testmodel.Llama(1, 2, 64, 96, testmodel.Vocab)))
	format, err := Open("recipe", m, Provenance{})
	if err != nil {
		t.Fatal(err)
	}
	n, _ := candidate(t, rand.New(rand.NewPCG(1, 0)), m, &packedTarget{m: m}, "q4_0")
	text := string(content(t, format, n))
	for _, line := range []string{`^blk\.1\.ffn_down\.weight$=q4_0`, `^token_embd\.weight$=f32`} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("%s is not in\n%s", line, text)
		}
	}
	n.Blocks[1].DropMLP = true
	if _, err := format.Files(n); err == nil || !strings.Contains(err.Error(), "block 1 has lost a sublayer") {
		t.Errorf("a dropped sublayer: %v", err)
	}
	n, _ = candidate(t, rand.New(rand.NewPCG(1, 0)), m, &packedTarget{m: m}, "int3-g32")
	if _, err := format.Files(n); err == nil || !strings.Contains(err.Error(), "int3-g32") {
		t.Errorf("integers: %v", err)
	}
}

// TestRecipeOracle has llama-quantize follow a recipe: every tensor gets the type that it has in the exported GGUF.
func TestRecipeOracle(t *testing.T) {
	program := llamaCpp(t, "llama-quantize")
	m := open(t, testmodel.GGUF(t, testmodel.Llama(4, 3, 256, 512, testmodel.Vocab)))
	n, _ := candidate(t, rand.New(rand.NewPCG(1, 0)), m, &packedTarget{m: m}, "q4_0", "q5_1", "q8_0", "q2_k", "q3_k", "q4_k", "q5_k", "q6_k", "iq4_nl", "iq4_xs", "f16")
	dir := t.TempDir()
	paths := map[string]string{}
	for _, name := range []string{"recipe", "gguf"} {
		format, err := Open(name, m, Provenance{})
		if err != nil {
			t.Fatal(err)
		}
		paths[name] = filepath.Join(dir, name)
		if err := os.WriteFile(paths[name], content(t, format, n), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	quantized := filepath.Join(dir, "quantized.gguf")
	if out, err := exec.Command(program, "--tensor-type-file", paths["recipe"], m.Ref, quantized, "Q8_0", "1").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	types := func(path string) map[string]string {
		f, err := gguf.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		types := map[string]string{}
		for i := range f.Tensors {
			types[f.Tensors[i].Name] = f.Tensors[i].Type.String()
		}
		return types
	}
	got, want := types(quantized), types(paths["gguf"])
	for name, kind := range want {
		if got[name] != kind {
			t.Errorf("%s is %s, want %s", name, got[name], kind)
		}
	}
	if len(got) != len(want) || len(got) < 3*7 {
		t.Errorf("%d tensors, want %d", len(got), len(want))
	}
}

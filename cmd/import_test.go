package cmd_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// layersOf is a file of EvoPress with a number for every layer of soundFolder's model.
func layersOf(number func(i int) int) string {
	var text strings.Builder
	i := 0
	for b := range 2 {
		for _, l := range []string{"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"} {
			fmt.Fprintf(&text, "model.layers.%d.%s: %d\n", b, l, number(i))
			i++
		}
	}
	return text.String()
}

func TestImport(t *testing.T) {
	dir, folder := t.TempDir(), soundFolder(t)
	write(t, dir, "bits.txt", layersOf(func(i int) int { return 2 + i%5 }))
	write(t, dir, "sparsity.txt", layersOf(func(i int) int { return i%3 - 1 }))
	write(t, dir, "drop.txt", "attn\nnone\n")
	formats := func(args ...string) string {
		args = append([]string{"import"}, args...)
		done(t, dir, append(args, "--model", folder, "-o", "out")...)
		return done(t, dir, "inspect", "out", "--tensors").stdout
	}
	for want, args := range map[string][]string{
		"blk.0.attn_v.weight │ int4-g32":   {"bits.txt", "--level", "gptq-int%d-g32"},
		"blk.1.ffn_down.weight │ int5-g32": {"bits.txt", "drop.txt", "--level", "int%d-g32"},
		"sparse bf16":                      {"sparsity.txt", "--sparsity", "0.5", "--step-weights", "64"},
	} {
		got := formats(args...)
		if !strings.Contains(strings.Join(strings.Fields(got), " "), strings.Join(strings.Fields(want), " ")) {
			t.Errorf("%s: %q is not in\n%s", args, want, got)
		}
		if dropped := !strings.Contains(got, "blk.0.attn_q"); dropped != (len(args) == 4) {
			t.Errorf("%s: the attention of block 0 is dropped: %v", args, dropped)
		}
	}
	for _, test := range []struct {
		args  string
		code  int
		words []string
	}{
		{"bits.txt -o x", 2, []string{"--model"}},
		{"bits.txt --model M", 2, []string{"--output"}},
		{"bits.txt --model M -o x --format onnx", 2, []string{"onnx", "packed"}},
		{"bits.txt --model M -o x --sparsity 0.5", 2, []string{"--step-weights"}},
		{"bits.txt --model M -o x --level int%d-g33", 2, []string{"bits.txt: blk.0.attn_q", "int2-g33"}},
		{"bits.txt --model M -o x --level drop", 2, []string{"keeps or drops"}},
		{"bits.txt sparsity.txt --model M -o x --level int4-g32", 2, []string{"of one kind"}},
		{"bits.txt --model M -o x --sparsity 0.5 --step-weights 10000", 2, []string{"the ladder was another"}},
		{"drop.txt --model builtin:finchling -o x", 2, []string{"drop.txt: 2 lines for 12 blocks"}},
		{"none.txt --model M -o x", 2, []string{"none.txt"}},
	} {
		args := strings.Fields("import " + strings.ReplaceAll(test.args, "--model M", "--model "+folder))
		finch(t, dir, args...).fails(t, test.code, test.words...)
	}
	if _, err := os.Stat(filepath.Join(dir, "x")); err == nil {
		t.Error("a file is left")
	}
}

package compress

import (
	"fmt"
	"strings"
	"testing"

	"github.com/finch-llm/finch/kernels"
)

func pruningLayer(rows, cols int) Layer {
	return Layer{Name: "blk.1.attn_v", Rows: rows, Cols: cols, Weights: testWeights("heavy", rows, cols), Statistics: testStatistics(cols)}
}

func keeps(m *kernels.Matrix, row, col int) bool {
	return m.Mask[row*((m.Cols+7)/8)+col/8]>>(col%8)&1 != 0
}

func TestPatterns(t *testing.T) {
	layer := pruningLayer(11, 160)
	for _, compressor := range []string{"sparse", "wanda", "sparsegpt"} {
		for _, pattern := range []struct{ keep, of int }{{1, 2}, {2, 4}, {1, 4}, {4, 8}, {5, 16}, {31, 32}} {
			for _, values := range []string{"", "+q4_0"} {
				name := fmt.Sprintf("%s-%d:%d%s", compressor, pattern.keep, pattern.of, values)
				m, err := Compress(layer, mustLevel(t, name))
				if err != nil {
					t.Fatal(err)
				}
				for run := range len(layer.Weights) / pattern.of {
					row, col := run*pattern.of/layer.Cols, run*pattern.of%layer.Cols
					kept := 0
					for i := range pattern.of {
						if keeps(m, row, col+i) {
							kept++
						}
					}
					if kept != pattern.keep {
						t.Fatalf("%s keeps %d from column %d of row %d", name, kept, col, row)
					}
				}
			}
		}
	}
	// Rows that do not divide into runs are pruned anywhere, as much.
	odd := pruningLayer(6, 33)
	m, err := Compress(odd, mustLevel(t, "sparse-2:4"))
	if err != nil {
		t.Fatal(err)
	}
	if m.NonZeros() != 99 {
		t.Errorf("2:4 of rows of 33 keeps %d weights of 198", m.NonZeros())
	}
}

func TestPrunePatternTakesSmallest(t *testing.T) {
	scores := []float32{3, -1, 2, 1, 0, 0, 0, 0, -9, 8, -7, 6}
	pruned := make([]bool, len(scores))
	prunePattern(pruned, scores, 2, 4)
	got := ""
	for _, p := range pruned {
		got += map[bool]string{true: "x", false: "."}[p]
	}
	if want := ".x.xxx....xx"; got != want {
		t.Errorf("pruned %s, want %s", got, want)
	}
}

// Wanda compares weights with those of their own row.
func TestWandaPrunesRows(t *testing.T) {
	layer := pruningLayer(10, 64)
	for i := range layer.Weights[:64] {
		layer.Weights[i] *= 100
	}
	m, err := Compress(layer, mustLevel(t, "wanda-0.55+f32"))
	if err != nil {
		t.Fatal(err)
	}
	for row := range m.Rows {
		kept, least, most := 0, float32(1e30), float32(0)
		for c, w := range layer.Weights[row*64 : (row+1)*64] {
			score := w * w * float32(layer.Statistics.Squares[c])
			if keeps(m, row, c) {
				kept++
				least = min(least, score)
			} else {
				most = max(most, score)
			}
		}
		if kept < 28 || kept > 29 || most > least*1.000001 {
			t.Errorf("row %d keeps %d weights, the least of them %g, and prunes one of %g", row, kept, least, most)
		}
	}
	if m.NonZeros() != 640-352 {
		t.Errorf("%d weights are kept, want 55 %% of 640 pruned", m.NonZeros())
	}
}

// The share of every block of 128 inputs is the same, but rows differ.
func TestSparseGPTPrunesBlocks(t *testing.T) {
	layer := pruningLayer(9, 300)
	m, err := Compress(layer, mustLevel(t, "sparsegpt-0.60"))
	if err != nil {
		t.Fatal(err)
	}
	zeros := map[int]int{}
	for row := range m.Rows {
		for c := range m.Cols {
			if !keeps(m, row, c) {
				zeros[c/sparseGPTBlock]++
			}
		}
	}
	if zeros[0] != 691 || zeros[1] != 691 || zeros[2] != 238 { // 1620 in shares of 128, 128 and 44
		t.Errorf("blocks have %v zeros", zeros)
	}
}

// Rounding what remains after pruning, as in one go, loses less than rounding it afterwards.
func TestSparseGPTRoundsJointly(t *testing.T) {
	layer := pruningLayer(48, 320)
	for _, values := range []string{"q4_0", "q4_1", "iq4_nl", "int3-g32", "int3-g32-sym", "int4-g128"} {
		f, err := kernels.ParseFormat(values)
		if err != nil {
			t.Fatal(err)
		}
		sparse, err := Compress(layer, mustLevel(t, "sparsegpt-0.50+f32"))
		if err != nil {
			t.Fatal(err)
		}
		remains := make([]float32, len(layer.Weights))
		for r := range sparse.Rows {
			kernels.Unpack(remains[r*sparse.Cols:(r+1)*sparse.Cols], sparse, r)
		}
		after := *sparse
		after.Format = f
		after.IndexRows()
		packRows(&after, remains, layer.Statistics.Squares)
		level := mustLevel(t, "sparsegpt-0.50+"+values)
		rounded := Describe(layer, level, &after).OutputError
		if joint := outputErrorAt(t, layer, level.Name()); joint > 0.9*rounded {
			t.Errorf("%s loses %.4g, rounded afterwards %.4g", level, joint, rounded)
		}
	}
}

func TestParsePruned(t *testing.T) {
	for name, canonical := range map[string]string{
		"wanda-0.6": "wanda-0.60", "sparsegpt-2:4": "sparsegpt-2:4", "sparse-4:8+bf16": "sparse-4:8", "sparsegpt@12": "sparsegpt@12",
		"sparsegpt-0.50+int4-g32": "sparsegpt-0.50+int4-g32", "sparsegpt-0.50+int4-g128": "sparsegpt-0.50+int4-g128", "wanda-2:4+q4_0": "wanda-2:4+q4_0",
	} {
		if l := mustLevel(t, name); l.Name() != canonical || !l.Sparse() {
			t.Errorf("%s is read as %s", name, l)
		}
	}
	for name, message := range map[string]string{
		"wanda-": "write wanda-0.60", "sparsegpt-1.5": "write sparsegpt-0.60", "wanda@-1": "write wanda@4096", "sparse-4:2": "write sparse-2:4",
		"sparse-2:6": "write sparse-2:4", "sparsegpt-0:4": "write sparsegpt-2:4", "sparsegpt-2:4:8": "write sparsegpt-2:4", "sparse-2:64": "write sparse-2:4",
		"sparsegpt-0.50+q5_k": "blocks of 256 weights", "wanda": "did you mean", "sparsegpt_0.5": "did you mean",
	} {
		if l, err := ParseLevel(name); err == nil || !strings.Contains(err.Error(), message) {
			t.Errorf("%s gives %v, %v", name, l, err)
		}
	}
	if z := mustLevel(t, "sparse-1:4").Zeros(1000); z != 750 {
		t.Errorf("1:4 has %d zeros of 1000", z)
	}
}

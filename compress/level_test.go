package compress

import (
	"strings"
	"testing"

	"github.com/finch-llm/finch/kernels"
)

func TestParseLevel(t *testing.T) {
	tests := []struct {
		name, canonical string
		format          kernels.Format
		zeros           int64 // of 1000 weights
	}{
		{"f32", "f32", kernels.F32, 0},
		{"q4_k", "q4_k", kernels.Q4_K, 0},
		{"iq4_nl", "iq4_nl", kernels.IQ4_NL, 0},
		{"int3-g64", "int3-g64", kernels.IntGroup{Bits: 3, Group: 64}.Format(), 0},
		{"int8-g128-sym", "int8-g128-sym", kernels.IntGroup{Bits: 8, Group: 128, Symmetric: true}.Format(), 0},
		{"iq2_xs", "iq2_xs", kernels.IQ2_XS, 0},
		{"imatrix-q4_k", "imatrix-q4_k", kernels.Q4_K, 0},
		{"imatrix-iq3_s", "imatrix-iq3_s", kernels.IQ3_S, 0},
		{"sparse-0.60", "sparse-0.60", kernels.BF16, 600},
		{"sparse-0.6", "sparse-0.60", kernels.BF16, 600},
		{"sparse-0.6255", "sparse-0.6255", kernels.BF16, 626},
		{"sparse-0", "sparse-0.00", kernels.BF16, 0},
		{"sparse-1", "sparse-1.00", kernels.BF16, 1000},
		{"sparse-0.50+q4_0", "sparse-0.50+q4_0", kernels.Q4_0, 500},
		{"sparse-0.50+bf16", "sparse-0.50", kernels.BF16, 500},
		{"sparse@37", "sparse@37", kernels.BF16, 37},
		{"sparse@37+q8_0", "sparse@37+q8_0", kernels.Q8_0, 37},
		{"sparse-0.50+int4-g32", "sparse-0.50+int4-g32", kernels.IntGroup{Bits: 4, Group: 32}.Format(), 500},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			l, err := ParseLevel(test.name)
			if err != nil {
				t.Fatal(err)
			}
			if l.Name() != test.canonical || l.Gate() || l.Sparse() != strings.HasPrefix(test.name, "sparse") {
				t.Errorf("parsed as %q, gate %t, sparse %t", l.Name(), l.Gate(), l.Sparse())
			}
			if f := l.Format(256); f != test.format {
				t.Errorf("stored as %v, want %v", f, test.format)
			}
			if z := l.Zeros(1000); z != test.zeros {
				t.Errorf("%d zeros, want %d", z, test.zeros)
			}
			if again, err := ParseLevel(l.Name()); err != nil || again != l {
				t.Errorf("the canonical name gives %v, %v", again, err)
			}
		})
	}
}

func TestParseLevelGates(t *testing.T) {
	for name, want := range map[string]Level{"keep": Keep, "drop": Drop} {
		if l, err := ParseLevel(name); err != nil || l != want || !l.Gate() {
			t.Errorf("%s is %v, %v", name, l, err)
		}
	}
}

func TestParseLevelRefuses(t *testing.T) {
	tests := []struct{ name, message string }{
		{"", "Known are f32,"},
		{"q4_K", `did you mean "q4_k"`},
		{"q4k", `did you mean "q4_k"`},
		{"dropp", `did you mean "drop"`},
		{"sparse_0.60", `did you mean "sparse-RATIO"`},
		{"sparse-", "write sparse-0.60"},
		{"sparse-1.5", "write sparse-0.60"},
		{"sparse-NaN", "write sparse-0.60"},
		{"sparse-60%", "write sparse-0.60"},
		{"sparse@-1", "write sparse@4096"},
		{"sparse@1e3", "write sparse@4096"},
		{"sparse-0.50+q9_0", "write one of"},
		{"sparse-0.50+q4_k", "blocks of 256 weights"},
		{"sparse-0.50+mxfp4", "cannot round weights"},
		{"iq1_m", "cannot round weights"},
		{"imatrix-q9_0", "write one of"},
		{"imatrix-q8_0", "takes no notice of an importance matrix"},
		{"imatrix-int4-g64", "takes no notice of an importance matrix"},
		{"imatrix-mxfp4", "takes no notice of an importance matrix"},
		{"int9-g64", "write int3-g64"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			l, err := ParseLevel(test.name)
			if err == nil {
				t.Fatalf("parsed as %v", l)
			}
			if !strings.Contains(err.Error(), test.message) {
				t.Errorf("error %q does not say %q", err, test.message)
			}
		})
	}
}

func TestFallback(t *testing.T) {
	tests := []struct {
		format         kernels.Format
		at32, at1, big kernels.Format // columns divisible by 32, by 1, by 256
	}{
		{kernels.F32, kernels.F32, kernels.F32, kernels.F32},
		{kernels.BF16, kernels.BF16, kernels.BF16, kernels.BF16},
		{kernels.Q4_0, kernels.Q4_0, kernels.F16, kernels.Q4_0},
		{kernels.IQ4_NL, kernels.IQ4_NL, kernels.F16, kernels.IQ4_NL},
		{kernels.Q2_K, kernels.IQ4_NL, kernels.F16, kernels.Q2_K},
		{kernels.Q3_K, kernels.IQ4_NL, kernels.F16, kernels.Q3_K},
		{kernels.IQ2_XXS, kernels.IQ4_NL, kernels.F16, kernels.IQ2_XXS},
		{kernels.IQ3_S, kernels.IQ4_NL, kernels.F16, kernels.IQ3_S},
		{kernels.IQ4_XS, kernels.IQ4_NL, kernels.F16, kernels.IQ4_XS},
		{kernels.Q4_K, kernels.Q5_0, kernels.F16, kernels.Q4_K},
		{kernels.Q5_K, kernels.Q5_1, kernels.F16, kernels.Q5_K},
		{kernels.Q6_K, kernels.Q8_0, kernels.F16, kernels.Q6_K},
		{kernels.IntGroup{Bits: 3, Group: 128}.Format(), kernels.IntGroup{Bits: 3, Group: 32}.Format(), kernels.F16, kernels.IntGroup{Bits: 3, Group: 128}.Format()},
	}
	for _, test := range tests {
		for cols, want := range map[int]kernels.Format{288: test.at32, 100: test.at1, 512: test.big} {
			if got := Fallback(test.format, cols); got != want {
				t.Errorf("%v at %d columns falls back to %v, want %v", test.format, cols, got, want)
			}
		}
	}
}

func TestBitsPerWeight(t *testing.T) {
	for name, want := range map[string]float64{"f32": 32, "bf16": 16, "q4_0": 4.5, "q8_0": 8.5, "q2_k": 2.625, "q3_k": 3.4375,
		"int3-g64": 3.375, "int3-g64-sym": 3.25, "int4-g128": 4.1875, "q4_k": 4.5, "q5_k": 5.5, "q6_k": 6.5625, "sparse-0.50": 1 + 8, "sparse-0.75+q4_0": 1 + 4.5/4} {
		level, err := ParseLevel(name)
		if err != nil {
			t.Fatal(err)
		}
		layer := evenLayer(8, 1024)
		m, err := Compress(layer, level)
		if err != nil {
			t.Fatal(err)
		}
		if got := Describe(layer, level, m).BitsPerWeight(); got != want {
			t.Errorf("%s takes %g bits per weight, want %g", name, got, want)
		}
	}
	if got := BitsPerWeight(10, 0); got != 0 {
		t.Errorf("no weights take %g bits each", got)
	}
}

// evenLayer has equally many weights of each magnitude in every row, so that pruning leaves rows equally full.
func evenLayer(rows, cols int) Layer {
	w := make([]float32, rows*cols)
	for i := range w {
		w[i] = float32(i%cols+1) / 1024
	}
	return Layer{Name: "blk.0.ffn_up", Rows: rows, Cols: cols, Weights: w}
}

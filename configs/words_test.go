package configs

import (
	"strings"
	"testing"
)

func TestParseBytes(t *testing.T) {
	for text, want := range map[string]int64{
		"1B":                    1,
		"90MB":                  90_000_000,
		"3.2 GB":                3_200_000_000,
		"1.2GiB":                1288490188, // .8
		"0.5kib":                512,
		"4.8MB":                 4_800_000,
		"1 KB":                  1000,
		"1.000000000000000001B": 1,
		"1048576TiB":            MaxBytes,
	} {
		if got, err := ParseBytes(text); err != nil || got != want {
			t.Errorf("%q is %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "B", "1", "-1B", "+1B", "1e3B", ".5MB", "5.MB", "1,5MB", "1  MB", " 1MB", "1MB ", "1Mb/s", "1 MBit",
		"0B", "0.9B", "1048577TiB", "9999999999999999999B", "NaN B", "1\u00a0MB", "1ＭB"} {
		if got, err := ParseBytes(text); err == nil {
			t.Errorf("%q is %d", text, got)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"abc", "abc", 0}, {"abc", "abd", 1}, {"abc", "ac", 1},
		{"abc", "xabc", 1}, {"abc", "acb", 1}, {"kitten", "sitting", 3}, {"sparse", "spares", 1}, {"ca", "abc", 3},
	} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("%q to %q: %d, want %d", c.a, c.b, got, c.want)
		}
		if got := distance(c.b, c.a); got != c.want {
			t.Errorf("%q to %q: %d, want %d", c.b, c.a, got, c.want)
		}
	}
}

func TestNearest(t *testing.T) {
	known := []string{"seeds", "search", "levels", "bits_per_weight", "q4_k"}
	for word, want := range map[string]string{
		"sedes": "seeds", "seed": "seeds", "Levels": "levels", "bits-per-weight": "bits_per_weight", "q4": "q4_k", "q4_k_m": "q4_k",
		"model": "", "": "", "x": "", strings.Repeat("seeds", 100): "",
	} {
		if got := nearest(word, known); got != want {
			t.Errorf("%q is near %q, want %q", word, got, want)
		}
	}
}

func TestParseLevel(t *testing.T) {
	for name, want := range map[string]Trait{
		"drop":                     {Drop: true, GGUF: true, Safetensors: true},
		"bf16":                     {GGUF: true, Safetensors: true},
		"q4_k":                     {Quantized: true, GGUF: true},
		"iq4_nl":                   {Quantized: true, GGUF: true},
		"iq2_xs":                   {Quantized: true, GGUF: true},
		"imatrix-q3_k":             {Statistics: true, Quantized: true, GGUF: true},
		"imatrix-iq3_xxs":          {Statistics: true, Quantized: true, GGUF: true},
		"int3-g64":                 {Quantized: true},
		"int8-g128-sym":            {Quantized: true},
		"sparse-0.50":              {Sparsity: 0.5, GGUF: true, Safetensors: true},
		"sparse-0.625":             {Sparsity: 0.625, GGUF: true, Safetensors: true},
		"sparse-0.95":              {Sparsity: 0.95, GGUF: true, Safetensors: true},
		"sparse-0.50+f16":          {Sparsity: 0.5, GGUF: true, Safetensors: true},
		"sparse-0.50+q4_0":         {Sparsity: 0.5, Quantized: true},
		"sparse-0.50+q4_1":         {Sparsity: 0.5, Quantized: true},
		"sparse-0.01+iq4_nl":       {Sparsity: 0.01, Quantized: true},
		"sparse-0.50+int4-g32-sym": {Sparsity: 0.5, Quantized: true},
		"sparsegpt-0.50+int4-g128": {Sparsity: 0.5, Quantized: true, Statistics: true},
		"gptq-q3_k":                {Statistics: true, Quantized: true, GGUF: true},
		"gptq-int3-g64-sym":        {Statistics: true, Quantized: true},
		"gptq-iq4_nl-act":          {Statistics: true, Quantized: true, GGUF: true},
		"wanda-0.60":               {Statistics: true, Sparsity: 0.6, GGUF: true, Safetensors: true},
		"sparsegpt-0.60":           {Statistics: true, Sparsity: 0.6, GGUF: true, Safetensors: true},
		"sparsegpt-2:4":            {Statistics: true, Sparsity: 0.5, GGUF: true, Safetensors: true},
		"sparse-1:4":               {Sparsity: 0.75, GGUF: true, Safetensors: true},
		"sparsegpt-4:8+q4_0":       {Statistics: true, Sparsity: 0.5, Quantized: true},
	} {
		if got, err := ParseLevel(name); err != nil || got != want {
			t.Errorf("%q: %+v, %v; want %+v", name, got, err, want)
		}
	}
	for _, name := range []string{"", "Drop", "keep", "q4_K", "q4", "int3", "int1-g64", "int3-g48", "int3-g64-asym", "iq1_m", "imatrix-q8_0", "imatrix-int4-g64", "imatrix-", "sparse-0.50+iq2_xs", "sparse-0.50+int4-g48", "sparse", "sparse-", "sparse-0.5", "sparse-.50", "sparse-0.500", "sparse-00.50",
		"gptq-", "gptq-f16", "gptq-iq2_xs", "imatrix-gptq-q4_k", "gptq-imatrix-q4_k", "gptq-gptq-q4_0", "gptq-sparse-0.50+q4_0", "q4_0-act", "sparse-4:2", "sparse-2:6", "sparse-02:4", "wanda-0:4", "sparsegpt-0.6",
		"sparse-0.00", "sparse-0.96", "sparse-50", "sparse-0.50+", "sparse-0.50+q4_k", "sparse-0.50+drop", "sparse--0.50", "sparse-nan"} {
		if got, err := ParseLevel(name); err == nil {
			t.Errorf("%q is %+v", name, got)
		}
	}
}

func TestNames(t *testing.T) {
	for _, name := range []string{"a", "A-1_b.c", "3.5", "bits-3.5", "com", "com10", "console", "nul-1", "lpt", strings.Repeat("x", 64)} {
		if !fitsFile(name) {
			t.Errorf("%q is refused", name)
		}
	}
	for _, name := range []string{"", ".", "..", "a.", ".a", "-a", "_a", "a b", "a/b", `a\b`, "a:b", "é", "a\n", "NUL", "nul.x", "Com1", "lpt9.log",
		strings.Repeat("x", 65)} {
		if fitsFile(name) {
			t.Errorf("%q is accepted", name)
		}
	}
}

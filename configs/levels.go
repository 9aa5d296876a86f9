package configs

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Drop is the level that adds a keep/drop gate to every sublayer.
const Drop = "drop"

// MaxSparsity is the sparsest level.
const MaxSparsity = 0.95

// Trait says what a level does, as far as a file can be checked without the model.
type Trait struct {
	Drop        bool
	Quantized   bool    // stores weights in fewer than 16 bits
	Sparsity    float64 // the fraction of weights that are zero
	Statistics  bool    // is fitted to statistics of the layer's inputs
	GGUF        bool    // a GGUF file can hold it
	Safetensors bool    // a safetensors file that transformers or vLLM load can hold it
}

// formats are the GGUF formats that finch rounds weights to.
var formats = []struct {
	name      string
	quantized bool
	sparse    bool // has blocks small enough for the kept weights of a row
	important bool // takes notice of an importance matrix
	gptq      bool // has a code for each weight alone
}{
	{"f32", false, true, false, false},
	{"f16", false, true, false, false},
	{"bf16", false, true, false, false},
	{"q4_0", true, true, true, true},
	{"q4_1", true, true, true, true},
	{"q5_0", true, true, true, true},
	{"q5_1", true, true, true, true},
	{"q8_0", true, true, false, true},
	{"q2_k", true, false, true, true},
	{"q3_k", true, false, true, true},
	{"q4_k", true, false, true, true},
	{"q5_k", true, false, true, true},
	{"q6_k", true, false, true, true},
	{"iq4_nl", true, true, true, true},
	{"iq4_xs", true, false, true, true},
	{"iq3_s", true, false, true, false},
	{"iq3_xxs", true, false, true, false},
	{"iq2_s", true, false, true, false},
	{"iq2_xs", true, false, true, false},
	{"iq2_xxs", true, false, true, false},
}

// formatNames are the formats of all levels, or of the kept weights of sparse ones.
func formatNames(sparse bool) []string {
	var names []string
	for _, f := range formats {
		if f.sparse || !sparse {
			names = append(names, f.name)
		}
	}
	return names
}

// Integer groups.
var intLevel = regexp.MustCompile(`^int[2-8]-g(32|64|128)(-sym)?$`)

// Sparsities by magnitude, Wanda and SparseGPT: a fraction of zeros, or N kept of each M weights.
var sparseLevel = regexp.MustCompile(`^(?:sparse|wanda|sparsegpt)-([0-9]{1,3}|[0-9]?\.[0-9]{1,6}|[0-9]+:[0-9]+)(?:\+(.+))?$`)

// Levels whose compressors weigh errors by the layer's inputs.
var fittedLevel = regexp.MustCompile(`^(?:imatrix|gptq|wanda|sparsegpt)-`)

// imatrixPrefix makes the level of a format one that is rounded with an importance matrix.
const imatrixPrefix = "imatrix-"

// gptqPrefix makes it one that is rounded by GPTQ.
const gptqPrefix = "gptq-"

// ParseLevel knows finch's own level names: "drop"; the GGUF formats, such as "q4_k" or "imatrix-q4_k"; integer groups, such as
// "int3-g64" or "int3-g64-sym"; both by GPTQ, such as "gptq-q4_k" or "gptq-int3-g64-act"; and sparsities, such as "sparse-0.50",
// "sparsegpt-2:4" or, with quantized values, "sparse-0.50+q4_0".
func ParseLevel(name string) (Trait, error) {
	t, err := parseLevel(name)
	t.Statistics = err == nil && fittedLevel.MatchString(name)
	return t, err
}

func parseLevel(name string) (Trait, error) {
	if name == Drop {
		return Trait{Drop: true, GGUF: true, Safetensors: true}, nil
	}
	if m := sparseLevel.FindStringSubmatch(name); m != nil {
		return parseSparse(name, m[1], m[2])
	}
	if t, ok := parseFormat(name); ok {
		return t, nil
	}
	if name == "keep" {
		return Trait{}, fmt.Errorf(`"keep" comes with "drop": leave it out`)
	}
	known := fmt.Sprintf(`levels are %q, %s, with an importance matrix "imatrix-q4_k" and the like, `+
		`integers such as "int3-g64" or "int3-g64-sym", both by GPTQ such as "gptq-q4_k", `+
		`and sparsities such as "sparse-0.50", "wanda-2:4" or "sparsegpt-0.50+q4_0"`, Drop, quoteAll(formatNames(false)))
	if n := nearest(name, append(formatNames(false), Drop, "imatrix-q4_k", "int3-g64", "gptq-q4_k", "sparse-0.50", "wanda-0.50", "sparsegpt-0.50")); n != "" {
		known = fmt.Sprintf("did you mean %q? (%s)", n, known)
	}
	return Trait{}, fmt.Errorf("unknown level %s: %s", describe(name), known)
}

// parseFormat knows the levels whose weights are all stored in one format, by whatever compressor.
func parseFormat(name string) (Trait, bool) {
	name, important := strings.CutPrefix(name, imatrixPrefix)
	name, byGPTQ := strings.CutPrefix(name, gptqPrefix)
	if byGPTQ {
		name = strings.TrimSuffix(name, "-act")
	}
	for _, f := range formats {
		if f.name == name && (f.important || !important) && (f.gptq || !byGPTQ) {
			return Trait{Quantized: f.quantized, GGUF: true, Safetensors: !f.quantized}, !(important && byGPTQ)
		}
	}
	return Trait{Quantized: true}, intLevel.MatchString(name) && !important
}

// parseSparse reads the parts of "sparse-0.50+q4_0". One spelling each: two decimals, or more without zeros at the end.
func parseSparse(name, amount, values string) (Trait, error) {
	sparsity, err := parseAmount(name, amount)
	if err != nil {
		return Trait{}, err
	}
	if values == "" {
		return Trait{Sparsity: sparsity, GGUF: true, Safetensors: true}, nil
	}
	for _, f := range formats {
		if f.name == values && f.sparse {
			// GGUF and safetensors store the zeros like any weight. Blocks that were quantized without them cannot be
			// spread over them.
			return Trait{Sparsity: sparsity, Quantized: f.quantized, GGUF: !f.quantized, Safetensors: !f.quantized}, nil
		}
	}
	if intLevel.MatchString(values) {
		return Trait{Sparsity: sparsity, Quantized: true}, nil
	}
	return Trait{}, fmt.Errorf("level %s: the kept weights cannot have the format %s: write one of %s or integers such as \"int4-g32\", or leave it out",
		describe(name), describe(values), quoteAll(formatNames(true)))
}

// parseAmount reads the fraction of zeros of a level, or the pattern of kept weights.
func parseAmount(name, amount string) (sparsity float64, err error) {
	if keep, of, ok := strings.Cut(amount, ":"); ok {
		n, _ := strconv.Atoi(keep)
		m, _ := strconv.Atoi(of)
		if n < 1 || n >= m || !slices.Contains([]int{2, 4, 8, 16, 32}, m) || amount != fmt.Sprintf("%d:%d", n, m) {
			return 0, fmt.Errorf("level %q: a pattern keeps some of each 2, 4, 8, 16 or 32 weights: write it like %q", name, "sparse-2:4")
		}
		return 1 - float64(n)/float64(m), nil
	}
	sparsity, _ = strconv.ParseFloat(amount, 64)
	if !strings.Contains(amount, ".") {
		sparsity /= 100 // sparse-60 surely means 60 %
	}
	if !(sparsity > 0 && sparsity <= MaxSparsity) {
		return 0, fmt.Errorf("level %q: a sparsity lies above 0 and up to %s: write it like %q", name, decimal(MaxSparsity), "sparse-0.50")
	}
	canonical := decimal(sparsity)
	if len(canonical) < len("0.00") {
		canonical += "0"
	}
	if amount != canonical {
		return 0, fmt.Errorf("level %q: write %q", name, strings.Replace(name, amount, canonical, 1))
	}
	return sparsity, nil
}

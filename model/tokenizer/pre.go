package tokenizer

import (
	"fmt"
	"slices"
	"strings"
)

// pre is what GGUF names in tokenizer.ggml.pre: the pre-tokenizer of the model's own tokenizer.json and its habits.
type pre struct {
	names        []string
	split        []pattern // one after the other, matches isolated
	normalize    normalizer
	ignoreMerges bool
	addBOS       bool // where tokenizer.ggml.add_bos_token is absent
}

var pres = []pre{
	{names: []string{"gpt-2", "phi-2", "mpt", "olmo", "jais", "trillion", "granite-docling"}, split: []pattern{gpt2}},
	{names: []string{"smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"}, split: []pattern{upTo(1, isNumeric), gpt2}},
	{names: []string{"llama-bpe", "llama3", "llama-v3", "falcon3", "lfm2"}, split: []pattern{llama3}, ignoreMerges: true, addBOS: true},
	{names: []string{"dbrx", "smaug-bpe"}, split: []pattern{llama3}},
	{names: []string{"qwen2", "stablelm2"}, split: []pattern{qwen2}, normalize: nfc},
	{names: []string{"qwen35"}, split: []pattern{qwen35}, normalize: nfc},
	{names: []string{"gpt-4o", "llama4"}, split: []pattern{gpt4o}},
	{names: []string{"tekken"}, split: []pattern{tekken}, ignoreMerges: true, addBOS: true},
	{names: []string{"deepseek-v3"}, split: []pattern{upTo(3, isNumber), run(isCJK), deepseek}},
	{names: []string{"default"}, split: []pattern{run(isDefaultPunct), gpt2, run(isNumber), threeDigits}},
}

// isDefaultPunct is [\p{P}\$\+<=>\^~\|], the punctuation of llama.cpp's default.
func isDefaultPunct(r rune) bool { return isPunct(r) || strings.ContainsRune("$+<=>^~|", r) }

// threeDigits is [0-9][0-9][0-9].
func threeDigits(s string) int {
	if len(s) >= 3 && span(s[:3], isASCIIDigit) == 3 {
		return 3
	}
	return 0
}

func findPre(name string) (*pre, error) {
	var known []string
	for i := range pres {
		if slices.Contains(pres[i].names, name) {
			return &pres[i], nil
		}
		known = append(known, pres[i].names...)
	}
	return nil, fmt.Errorf("tokenizer.ggml.pre %q is not supported (known: %s)", name, strings.Join(known, ", "))
}

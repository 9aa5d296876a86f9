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

// splitter cuts text at the matches of one pattern after the other.
func (p *pre) splitter() (all splitter) {
	for _, match := range p.split {
		all = followedBy(all, splitAt(match, isolated, false))
	}
	return all
}

// tellTale is a text in which no two of the pres split alike.
const tellTale = "Hello world's DON'T I'll WE'VE it'd  3 33 333 3333 33333 ab12cd 1,234.5\t\n\n \n  x=1+2;\r\n CamelCase HTMLParser2Go " +
	"½ ²³ ١٢٣ cafe\u0301 हिन्दी 你好世界 かな カナ 한국어 🚀👍🏽 ...!!! $5 a<=b ^~|` \"quoted\" (x)[y]{z}/path/to\\file#\u00a0\u3000 end   "

// pre is the first tokenizer.ggml.pre that makes a GGUF reader split text as t, whose model is m, does: llama.cpp, too,
// knows a pre-tokenizer by what it does to a text.
func (t *Tokenizer) pre(m *bpe) (name string, ok bool) {
	want := splitTellTale(t.normalize, t.split)
	for i := range pres {
		p := &pres[i]
		if p.ignoreMerges == m.ignoreMerges && slices.Equal(splitTellTale(p.normalize, p.splitter()), want) {
			return p.names[0], true
		}
	}
	return "", false
}

func splitTellTale(normalize normalizer, split splitter) []string {
	text := tellTale
	if normalize != nil {
		text = normalize(text)
	}
	if split == nil {
		return []string{text}
	}
	var pieces []string
	split(text, true, func(piece string, _ bool) { pieces = append(pieces, piece) })
	return pieces
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

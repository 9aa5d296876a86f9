package tokenizer

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/finch-llm/finch/model/gguf"
)

// GGUF is the tokenizer in the keys of GGUF for a model with this many rows of embeddings: ids without a token are named as
// padding, tokens without a row left out. It is an error if readers of GGUF would split ordinary text otherwise. These details
// are lost, for which GGUF has no key: that an added token takes the space beside it, stands between words only or matches
// normalized text, that no space comes in front of text that follows one or begins with a space, and more than three ends.
func (t *Tokenizer) GGUF(rows int) ([]gguf.KV, error) {
	kind, pre := "llama", "default"
	names, types := t.names(rows), t.types(rows)
	var rules []gguf.KV
	unknown := int32(-1)
	switch m := t.model.(type) {
	case *bpe:
		if m.bytes != nil {
			var ok bool
			if pre, ok = t.pre(m); !ok {
				return nil, errors.New("it splits text as no pre-tokenizer that GGUF has a name for")
			}
			kind, rules = "gpt2", []gguf.KV{{Key: "tokenizer.ggml.merges", Value: gguf.ArrayOf(t.mergeLines(m))}}
			break
		}
		prefix, err := t.prefix(m.byteFallback && !m.ignoreMerges)
		if err != nil {
			return nil, err
		}
		scores, err := t.scoresOfMerges(m, types)
		if err != nil {
			return nil, err
		}
		unknown = m.unknown
		for _, to := range m.merges {
			spaced(names, types, int(to.id))
		}
		rules = scoreKeys(scores, prefix)
	case *sentencePiece:
		prefix, err := t.prefix(m.spell.complete())
		if err != nil {
			return nil, err
		}
		scores := m.scores(types)
		unknown = m.spell.unknown
		for _, text := range m.whole.texts {
			spaced(names, types, int(m.vocabulary.ids[text]))
		}
		rules = scoreKeys(scores, prefix)
	default:
		return nil, errors.New("finch does not write unigram models to GGUF")
	}
	if unknown >= 0 && int(unknown) < rows {
		types[unknown] = unknownToken
		rules = append(rules, gguf.KV{Key: "tokenizer.ggml.unknown_token_id", Value: gguf.ValueOf(uint32(unknown))})
	}
	numbers := make([]int32, rows)
	for i, typ := range types {
		numbers[i] = int32(typ)
	}
	kv := []gguf.KV{
		{Key: "tokenizer.ggml.model", Value: gguf.ValueOf(kind)},
		{Key: "tokenizer.ggml.pre", Value: gguf.ValueOf(pre)},
		{Key: "tokenizer.ggml.tokens", Value: gguf.ArrayOf(names)},
		{Key: "tokenizer.ggml.token_type", Value: gguf.ArrayOf(numbers)},
	}
	kv = append(kv, rules...)
	kv = append(kv, gguf.KV{Key: "tokenizer.ggml.add_bos_token", Value: gguf.ValueOf(t.addBOS)})
	if t.bos >= 0 {
		kv = append(kv, gguf.KV{Key: "tokenizer.ggml.bos_token_id", Value: gguf.ValueOf(uint32(t.bos))})
	}
	if t.eos >= 0 {
		kv = append(kv, gguf.KV{Key: "tokenizer.ggml.eos_token_id", Value: gguf.ValueOf(uint32(t.eos))})
	}
	ends := t.ends[max(0, len(t.ends)-len(otherEnds)):] // configurations list the end of a turn last
	for i, name := range otherEnds[len(otherEnds)-len(ends):] {
		kv = append(kv, gguf.KV{Key: "tokenizer.ggml." + name + "_token_id", Value: gguf.ValueOf(uint32(ends[i]))})
	}
	if t.template != "" {
		kv = append(kv, gguf.KV{Key: "tokenizer.chat_template", Value: gguf.ValueOf(t.template)})
	}
	return kv, nil
}

// spaced writes an added token that the model makes of spaces, too, with spaces: readers of GGUF look for it in text as it
// is.
func spaced(names []string, types []tokenType, id int) {
	if id < len(names) && types[id] == userDefinedToken {
		names[id] = strings.ReplaceAll(names[id], spaceMark, " ")
	}
}

// scores are those of the rows, whose types become those of their pieces unless they are added tokens.
func (m *sentencePiece) scores(types []tokenType) []float32 {
	v := m.vocabulary
	scores := make([]float32, len(types))
	for i, typ := range types {
		switch {
		case i < len(v.tokens):
			scores[i] = v.scores[i]
			if typ == normalToken {
				types[i] = v.typeOf(i)
			}
		case typ == unusedToken:
			scores[i] = paddingScore
		default:
			scores[i] = addedScore
		}
	}
	return scores
}

// llama.cpp's scores of tokens that are no pieces.
const (
	addedScore   = -1000
	paddingScore = -10000
)

func scoreKeys(scores []float32, prefix bool) []gguf.KV {
	return []gguf.KV{
		{Key: "tokenizer.ggml.scores", Value: gguf.ArrayOf(scores)},
		{Key: "tokenizer.ggml.add_space_prefix", Value: gguf.ValueOf(prefix)},
	}
}

// types are the types of the tokens as far as the added tokens and the vocabulary say, by row.
func (t *Tokenizer) types(rows int) []tokenType {
	types := make([]tokenType, rows)
	for i := range types {
		types[i] = unusedToken
		if t.Token(int32(i)) != "" {
			types[i] = normalToken
		}
	}
	for _, a := range slices.Concat(t.added.raw.tokens, t.added.normalized.tokens) {
		switch {
		case int(a.ID) >= rows:
		case a.Special:
			types[a.ID] = controlToken
		default:
			types[a.ID] = userDefinedToken
		}
	}
	return types
}

// names are the tokens by row.
func (t *Tokenizer) names(rows int) []string {
	names := make([]string, rows)
	for i := range names {
		if names[i] = t.Token(int32(i)); names[i] == "" {
			names[i] = fmt.Sprintf("[PAD%d]", i)
		}
	}
	return names
}

// rankedMerges are the merges in order.
func (m *bpe) rankedMerges() []pair {
	return slices.SortedFunc(maps.Keys(m.merges), func(a, b pair) int { return cmp.Compare(m.merges[a].rank, m.merges[b].rank) })
}

func (t *Tokenizer) mergeLines(m *bpe) []string {
	pairs := m.rankedMerges()
	lines := make([]string, len(pairs))
	for i, p := range pairs {
		lines[i] = t.tokens[p.left] + " " + t.tokens[p.right]
	}
	return lines
}

// prefix says whether t puts a space in front of text. It is an error if t treats spaces otherwise than GGUF's "llama" does,
// or spells characters otherwise than in bytes.
func (t *Tokenizer) prefix(bytes bool) (bool, error) {
	got := splitTellTale(t.normalize, t.split)
	for _, prefix := range []bool{true, false} {
		for _, split := range []splitter{nil, wordStarts} { // the latter where it changes nothing
			if bytes && slices.Equal(got, splitTellTale(spacesToMarks(prefix), split)) {
				return prefix, nil
			}
		}
	}
	return false, errors.New("it treats spaces, or characters without a token, otherwise than SentencePiece models in GGUF do")
}

// scoresOfMerges gives each token the score with which SentencePiece merges as m does: it merges whatever makes a token, so
// m must list every way to make one, and list those of one token together, as what is converted from SentencePiece does.
func (t *Tokenizer) scoresOfMerges(m *bpe, types []tokenType) ([]float32, error) {
	order, ways := make(map[int32]int), make(map[int32]int)
	last := int32(-1)
	for _, p := range m.rankedMerges() {
		id := m.merges[p].id
		if _, ok := order[id]; !ok {
			order[id] = len(order)
		} else if id != last {
			return nil, fmt.Errorf("the merges into %q are not together: SentencePiece's scores cannot say that", t.Token(id))
		}
		last = id
		ways[id]++
	}
	isPiece := func(text string) bool {
		id, ok := t.ids[text]
		return ok && int(id) < len(types) && types[id] == normalToken
	}
	scores := make([]float32, len(types))
	for i, typ := range types {
		token := t.Token(int32(i))
		_, isByte := byteOf(token)
		switch {
		case typ == unusedToken:
			scores[i] = paddingScore
		case typ != normalToken:
			scores[i] = addedScore
		case isByte:
			types[i] = byteTokenType
		default:
			at, ok := order[int32(i)]
			if !ok {
				at = len(order) + i // never merged into
			}
			scores[i] = -float32(at)
			if n := waysInto(token, isPiece); n != ways[int32(i)] {
				return nil, fmt.Errorf("%q can be made in %d ways, of which %d are merges: SentencePiece would take any", token, n, ways[int32(i)])
			}
		}
	}
	return scores, nil
}

// waysInto counts the pairs of pieces that make a token.
func waysInto(token string, isPiece func(string) bool) (n int) {
	for i := range token {
		if i > 0 && isPiece(token[:i]) && isPiece(token[i:]) {
			n++
		}
	}
	return n
}

package tokenizer

import (
	"fmt"
	"math"
)

// Metadata is what FromGGUF reads of a GGUF file. Each accessor says whether the key is there with a value of its kind.
type Metadata interface {
	String(key string) (string, bool)
	Strings(key string) ([]string, bool)
	Ints(key string) ([]int64, bool)
	Floats(key string) ([]float64, bool)
	Uint(key string) (uint64, bool)
	Bool(key string) (value, ok bool)
}

// tokenType is an entry of tokenizer.ggml.token_type.
type tokenType int64

const (
	normalToken      tokenType = 1
	unknownToken     tokenType = 2
	controlToken     tokenType = 3
	userDefinedToken tokenType = 4
	unusedToken      tokenType = 5
	byteTokenType    tokenType = 6
)

// FromGGUF reads the keys tokenizer.ggml.* of a GGUF file: models "gpt2" (byte-level BPE with a named pre-tokenizer) and
// "llama" (SentencePiece BPE). Control and user-defined tokens are found in text.
func FromGGUF(meta Metadata) (*Tokenizer, error) {
	t, err := fromGGUF(meta)
	if err != nil {
		return nil, fmt.Errorf("tokenizer in GGUF metadata: %w", err)
	}
	t.name, _ = meta.String("general.name")
	return t, nil
}

func fromGGUF(meta Metadata) (*Tokenizer, error) {
	kind, ok := meta.String("tokenizer.ggml.model")
	if !ok {
		return nil, fmt.Errorf("tokenizer.ggml.model is missing")
	}
	v, err := readVocabulary(meta)
	if err != nil {
		return nil, err
	}
	t := &Tokenizer{ids: v.ids}
	switch kind {
	case "gpt2":
		err = t.setGPT2(meta)
	case "llama":
		err = t.setLlama(meta, v)
	default:
		err = fmt.Errorf("tokenizer.ggml.model %q is not supported (known: gpt2, llama)", kind)
	}
	if err != nil {
		return nil, err
	}
	if err := t.addTokens(v.added); err != nil {
		return nil, err
	}
	t.bos, t.eos = v.special(meta, "bos"), v.special(meta, "eos")
	if add, ok := meta.Bool("tokenizer.ggml.add_bos_token"); ok {
		t.addBOS = add
	}
	t.addBOS = t.addBOS && t.bos >= 0
	return t, nil
}

type vocabulary struct {
	tokens []string
	types  []int64 // nil: all normal
	ids    map[string]int32
	added  []addedToken
}

func readVocabulary(meta Metadata) (*vocabulary, error) {
	v := &vocabulary{}
	var ok bool
	if v.tokens, ok = meta.Strings("tokenizer.ggml.tokens"); !ok {
		return nil, fmt.Errorf("tokenizer.ggml.tokens is missing")
	}
	if len(v.tokens) > math.MaxInt32 {
		return nil, fmt.Errorf("tokenizer.ggml.tokens has %d entries", len(v.tokens))
	}
	if v.types, ok = meta.Ints("tokenizer.ggml.token_type"); ok && len(v.types) != len(v.tokens) {
		return nil, fmt.Errorf("tokenizer.ggml.token_type has %d entries for %d tokens", len(v.types), len(v.tokens))
	}
	v.ids = make(map[string]int32, len(v.tokens))
	for i, token := range v.tokens {
		if other, ok := v.ids[token]; ok {
			return nil, fmt.Errorf("tokens %d and %d are both %q", other, i, token)
		}
		v.ids[token] = int32(i)
		if typ := v.typeOf(i); typ == controlToken || typ == userDefinedToken {
			v.added = append(v.added, addedToken{ID: int32(i), Content: token, Special: typ == controlToken})
		}
	}
	return v, nil
}

func (v *vocabulary) typeOf(i int) tokenType {
	if v.types == nil {
		return normalToken
	}
	return tokenType(v.types[i])
}

// special is the id under tokenizer.ggml.NAME_token_id, or -1.
func (v *vocabulary) special(meta Metadata, name string) int32 {
	id, ok := meta.Uint("tokenizer.ggml." + name + "_token_id")
	if !ok || id >= uint64(len(v.tokens)) {
		return -1
	}
	return int32(id)
}

func (t *Tokenizer) setGPT2(meta Metadata) error {
	name, ok := meta.String("tokenizer.ggml.pre")
	if !ok {
		name = "default"
	}
	pre, err := findPre(name)
	if err != nil {
		return err
	}
	lines, ok := meta.Strings("tokenizer.ggml.merges")
	if !ok {
		return fmt.Errorf("tokenizer.ggml.merges is missing")
	}
	m, err := newBPE(t.ids, func(yield func(left, right string) error) error {
		for i, line := range lines {
			left, right, err := cutMerge(line)
			if err != nil {
				return fmt.Errorf("tokenizer.ggml.merges[%d]: %w", i, err)
			}
			if err := yield(left, right); err != nil {
				return err
			}
		}
		return nil
	}, true)
	if err != nil {
		return err
	}
	m.ignoreMerges = pre.ignoreMerges
	m.setBytes(t.ids)
	t.model, t.normalize, t.addBOS = m, pre.normalize, pre.addBOS
	if space, _ := meta.Bool("tokenizer.ggml.add_space_prefix"); space {
		t.split = prefixSpace
	}
	t.split = followedBy(t.split, pre.splitter())
	t.decoder.steps = []func([]string) []string{decodeBytes}
	return nil
}

func (t *Tokenizer) setLlama(meta Metadata, v *vocabulary) error {
	scores, ok := meta.Floats("tokenizer.ggml.scores")
	if !ok || len(scores) != len(v.tokens) {
		return fmt.Errorf("tokenizer.ggml.scores has %d entries for %d tokens", len(scores), len(v.tokens))
	}
	ranks, err := rankScores(scores)
	if err != nil {
		return err
	}
	m := &sentencePiece{pieces: make(map[string]piece, len(v.tokens)), unknown: v.special(meta, "unknown")}
	for b := range m.bytes {
		m.bytes[b] = -1
		if id, ok := v.ids[byteToken(byte(b))]; ok {
			m.bytes[b] = id
		}
	}
	words := make(map[string]int32, len(v.tokens))
	for i, token := range v.tokens {
		switch v.typeOf(i) {
		case normalToken, unusedToken:
			m.pieces[token] = piece{int32(i), ranks[i]}
			words[token] = int32(i)
		case unknownToken:
			m.unknown = int32(i)
		case controlToken, userDefinedToken, byteTokenType:
		default:
			return fmt.Errorf("token %d has the unknown type %d", i, v.typeOf(i))
		}
	}
	t.model, t.addBOS = m, true
	space, ok := meta.Bool("tokenizer.ggml.add_space_prefix")
	toMarks := []normalizer{replaceAll(" ", spaceMark)}
	t.decoder.steps = []func([]string) []string{decodeReplace(spaceMark, " "), decodeFallback, fuse}
	if space || !ok {
		toMarks = append([]normalizer{prepend(spaceMark)}, toMarks...)
		t.decoder.steps = append(t.decoder.steps, strip(" ", 1, 0))
	}
	t.normalize = sequence(toMarks)
	if separable(words) {
		t.split = wordStarts
	}
	return nil
}

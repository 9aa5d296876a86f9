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

// FromGGUF reads the keys tokenizer.ggml.* of a GGUF file: models "gpt2" (byte-level BPE with a named pre-tokenizer) and
// "llama" (SentencePiece BPE). Control, unknown and user-defined tokens are found in text.
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
	if err := t.addTokens(v.added()); err != nil {
		return nil, err
	}
	t.bos, t.eos = v.special(meta, "bos"), v.special(meta, "eos")
	for _, name := range otherEnds {
		if id := v.special(meta, name); id >= 0 {
			t.ends = append(t.ends, id)
		}
	}
	if add, ok := meta.Bool("tokenizer.ggml.add_bos_token"); ok {
		t.addBOS = add
	}
	t.addBOS = t.addBOS && t.bos >= 0
	return t, nil
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
	if types, ok := meta.Ints("tokenizer.ggml.token_type"); ok {
		if len(types) != len(v.tokens) {
			return nil, fmt.Errorf("tokenizer.ggml.token_type has %d entries for %d tokens", len(types), len(v.tokens))
		}
		v.types = make([]tokenType, len(types))
		for i, typ := range types {
			if typ < int64(normalToken) || typ > int64(byteTokenType) {
				return nil, fmt.Errorf("token %d has the unknown type %d", i, typ)
			}
			v.types[i] = tokenType(typ)
		}
	}
	return v, v.index()
}

// added are the tokens that are found in text before the model sees it, as llama.cpp does where it parses special tokens.
func (v *vocabulary) added() (added []addedToken) {
	for i, token := range v.tokens {
		if typ := v.typeOf(i); typ == controlToken || typ == userDefinedToken || typ == unknownToken {
			added = append(added, addedToken{ID: int32(i), Content: token, Special: typ != userDefinedToken})
		}
	}
	return added
}

// otherEnds are the names that GGUF has for tokens besides EOS that end what a model says: of a message, and of a turn.
var otherEnds = []string{"eom", "eot"}

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
	v.scores = make([]float32, len(scores))
	unknown := v.special(meta, "unknown")
	for i, score := range scores {
		v.scores[i] = float32(score)
		if v.typeOf(i) == unknownToken {
			unknown = int32(i)
		}
	}
	m, err := newSentencePiece(v, newSpeller(v, unknown))
	if err != nil {
		return err
	}
	space, ok := meta.Bool("tokenizer.ggml.add_space_prefix")
	t.addBOS = true
	t.useSentencePiece(m, space || !ok)
	return nil
}

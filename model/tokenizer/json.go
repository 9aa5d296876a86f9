package tokenizer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
)

// file is a tokenizer.json, version 1.0.
type file struct {
	AddedTokens   []addedToken    `json:"added_tokens"`
	Normalizer    json.RawMessage `json:"normalizer"`
	PreTokenizer  json.RawMessage `json:"pre_tokenizer"`
	PostProcessor json.RawMessage `json:"post_processor"`
	Decoder       json.RawMessage `json:"decoder"`
	Model         modelFile       `json:"model"`
}

type modelFile struct {
	Type         string          `json:"type"`
	Vocab        json.RawMessage `json:"vocab"`
	Merges       json.RawMessage `json:"merges"`
	Dropout      float64         `json:"dropout"`
	Unknown      *string         `json:"unk_token"`
	Prefix       string          `json:"continuing_subword_prefix"`
	Suffix       string          `json:"end_of_word_suffix"`
	FuseUnknown  bool            `json:"fuse_unk"`
	ByteFallback bool            `json:"byte_fallback"`
	IgnoreMerges bool            `json:"ignore_merges"`
}

// FromJSON reads a Hugging Face tokenizer.json; name says in errors what was read. Its model must be BPE. A component or a
// regular expression that finch does not know is an error that names it, never a guess. BOS and EOS come from the
// template of the post-processor, else from the usual names; WithSpecials overrides them.
func FromJSON(data []byte, name string) (*Tokenizer, error) {
	t, err := fromJSON(data)
	if err != nil {
		return nil, fmt.Errorf("tokenizer %s: %w", name, err)
	}
	t.name = name
	return t, nil
}

func fromJSON(data []byte) (*Tokenizer, error) {
	var f file
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, fmt.Errorf("not a tokenizer.json: %w", err)
	}
	vocab, err := f.Model.check()
	if err != nil {
		return nil, err
	}
	t := &Tokenizer{ids: vocab}
	normalizers, err := parseNormalizer(f.Normalizer, 0)
	if err != nil {
		return nil, err
	}
	t.normalize = sequence(normalizers)
	pre := preTokenizer{}
	if err := pre.add(f.PreTokenizer, 0); err != nil {
		return nil, err
	}
	t.split = chain(pre.splitters)
	if err := t.decoder.parse(f.Decoder); err != nil {
		return nil, err
	}
	m, err := f.Model.build(vocab, pre.byteLevel)
	if err != nil {
		return nil, err
	}
	t.model = m
	if m.bytes == nil && !m.ignoreMerges && separable(maps.Keys(vocab)) {
		t.split = followedBy(t.split, wordStarts)
	}
	if err := t.addTokens(f.AddedTokens); err != nil {
		return nil, err
	}
	return t, t.findSpecials(f.PostProcessor)
}

// check refuses models that are not supported and returns the vocabulary.
func (m *modelFile) check() (map[string]int32, error) {
	switch {
	case m.Type != "BPE" && (m.Type != "" || m.Merges == nil):
		return nil, fmt.Errorf("model type %q is not supported, only BPE is", m.Type)
	case m.Dropout != 0:
		return nil, fmt.Errorf("BPE dropout %v makes encoding random; set it to null", m.Dropout)
	case m.Prefix != "" || m.Suffix != "":
		return nil, fmt.Errorf("continuing_subword_prefix and end_of_word_suffix are not supported (%q, %q)", m.Prefix, m.Suffix)
	case m.Vocab == nil:
		return nil, fmt.Errorf("the model has no vocab")
	}
	var vocab map[string]int32
	if err := json.Unmarshal(m.Vocab, &vocab); err != nil {
		return nil, fmt.Errorf("vocab: %w", err)
	}
	return vocab, nil
}

func (m *modelFile) build(vocab map[string]int32, byteLevel bool) (*bpe, error) {
	b, err := newBPE(vocab, func(yield func(left, right string) error) error { return readMerges(m.Merges, yield) }, byteLevel)
	if err != nil {
		return nil, err
	}
	b.ignoreMerges, b.byteFallback, b.fuseUnknown = m.IgnoreMerges, m.ByteFallback, m.FuseUnknown
	if m.Unknown != nil {
		id, ok := vocab[*m.Unknown]
		if !ok {
			return nil, fmt.Errorf("unk_token %q is not in the vocabulary", *m.Unknown)
		}
		b.unknown = id
	}
	if byteLevel {
		b.setBytes(vocab)
	}
	return b, nil
}

// readMerges reads merges one by one, for they are the longer part of the file: ["a", "b"], or "a b" in older files.
func readMerges(data []byte, yield func(left, right string) error) error {
	if len(data) == 0 {
		return fmt.Errorf("the model has no merges")
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	if t, err := dec.Token(); err != nil || t != json.Delim('[') {
		return fmt.Errorf("merges are not a list")
	}
	for n := 0; dec.More(); n++ {
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return fmt.Errorf("merge %d: %w", n, err)
		}
		left, right, err := readMerge(raw)
		if err != nil {
			return fmt.Errorf("merge %d: %w", n, err)
		}
		if left == "#version" || strings.HasPrefix(left, "#version:") {
			continue
		}
		if err := yield(left, right); err != nil {
			return err
		}
	}
	return nil
}

func readMerge(raw []byte) (left, right string, err error) {
	if raw[0] == '[' {
		var both []string
		if err := json.Unmarshal(raw, &both); err != nil {
			return "", "", err
		}
		if len(both) != 2 {
			return "", "", fmt.Errorf("%d tokens where a merge joins 2", len(both))
		}
		return both[0], both[1], nil
	}
	var line string
	if err := json.Unmarshal(raw, &line); err != nil {
		return "", "", err
	}
	return cutMerge(line)
}

// cutMerge reads a merge written as two tokens with a space between.
func cutMerge(line string) (left, right string, err error) {
	left, right, ok := strings.Cut(line, " ")
	if !ok || strings.Contains(right, " ") {
		return "", "", fmt.Errorf("%q is not two tokens with one space between", line)
	}
	return left, right, nil
}

// maxIDGap is how many ids may be without a token, besides one for each token.
const maxIDGap = 1 << 16

// addTokens indexes the vocabulary and the added tokens. An added token that the model knows too must have its id: the
// library would silently give it the model's.
func (t *Tokenizer) addTokens(added []addedToken) error {
	last := int32(-1)
	for _, id := range t.ids {
		last = max(last, id)
	}
	for _, a := range added {
		last = max(last, a.ID)
	}
	if most := 2*(len(t.ids)+len(added)) + maxIDGap; int(last) >= most {
		return fmt.Errorf("there is a token with the id %d, %d or more: too far beyond the others", last, most)
	}
	t.tokens = make([]string, last+1)
	taken := make([]bool, last+1)
	for token, id := range t.ids {
		if id < 0 {
			return fmt.Errorf("token %q has id %d", token, id)
		}
		if taken[id] {
			return fmt.Errorf("two tokens have id %d", id)
		}
		t.tokens[id], taken[id] = token, true
	}
	for _, a := range added {
		if id, ok := t.ids[a.Content]; ok && id != a.ID {
			return fmt.Errorf("added token %q has id %d, but the vocabulary gives it %d", a.Content, a.ID, id)
		}
		if a.ID < 0 {
			return fmt.Errorf("added token %q has id %d", a.Content, a.ID)
		}
		if taken[a.ID] && t.tokens[a.ID] != a.Content {
			return fmt.Errorf("added token %q has id %d, which is that of %q", a.Content, a.ID, t.tokens[a.ID])
		}
		t.tokens[a.ID], t.ids[a.Content], taken[a.ID] = a.Content, a.ID, true
	}
	t.added = newAddedTokens(added, t.normalize)
	return nil
}

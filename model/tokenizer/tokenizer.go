// Package tokenizer turns text into token ids and back, id for id as the Rust library `tokenizers` does.
//
// A Tokenizer comes from a Hugging Face tokenizer.json (FromJSON) or from the metadata of a GGUF file (FromGGUF). Text
// passes through the library's stages in the library's order:
//
//	added tokens → normalizer → added tokens that match normalized text → pre-tokenizer → model
//
// Each stage has a file. The model is byte-pair encoding: by merge ranks over bytes or characters (bpe.go), or by
// SentencePiece's scores (sentencepiece.go).
package tokenizer

import "slices"

// Tokenizer is immutable and may be used by any number of goroutines.
type Tokenizer struct {
	name      string
	tokens    []string // as the vocabulary writes them, by id; "": none
	ids       map[string]int32
	added     addedTokens
	normalize normalizer // nil: text stays as it is
	split     splitter   // nil: text stays whole
	model     model
	decoder   decoder

	bos, eos int32   // -1: none
	ends     []int32 // besides eos
	addBOS   bool

	template string // of a chat, in Jinja; "": none
}

// model encodes one piece of pre-tokenized text, appending its ids to ids.
type model interface {
	encode(ids []int32, piece string) []int32
}

// Encode returns the ids of text. Added tokens in it, special ones too, become their own ids; no beginning-of-text token
// is put in front (see BOS). Invalid UTF-8 is read as U+FFFD, one for each maximal invalid sequence, as Unicode recommends
// and as decoding with replacement does in Rust and Python.
func (t *Tokenizer) Encode(text string) []int32 {
	text = validUTF8(text)
	ids := make([]int32, 0, len(text)/3+1)
	words := newWordCache(t.model)
	encode := func(piece string, _ bool) { ids = words.encode(ids, piece) }
	t.added.raw.split(text, func(piece string, first bool, id int32) {
		if id >= 0 {
			ids = append(ids, id)
			return
		}
		if t.normalize != nil {
			piece = t.normalize(piece)
		}
		t.added.normalized.split(piece, func(piece string, leading bool, id int32) {
			switch {
			case id >= 0:
				ids = append(ids, id)
			case t.split == nil:
				encode(piece, false)
			default:
				t.split(piece, first && leading, encode)
			}
		})
	})
	return slices.Clip(ids)
}

// Decode returns the text of ids, special tokens included. Ids outside the vocabulary are left out. Bytes that are not
// valid UTF-8, such as a character cut in two, become U+FFFD.
func (t *Tokenizer) Decode(ids []int32) string {
	tokens := make([]string, 0, len(ids))
	for _, id := range ids {
		if token, ok := t.added.text(id); ok {
			tokens = append(tokens, token)
		} else if token := t.Token(id); token != "" {
			tokens = append(tokens, token)
		}
	}
	return t.decoder.join(tokens)
}

// BOS is the beginning-of-text token, or -1, and whether the model expects it in front of every text.
func (t *Tokenizer) BOS() (id int32, add bool) { return t.bos, t.addBOS }

// EOS is the end-of-text token, or -1.
func (t *Tokenizer) EOS() int32 { return t.eos }

// Ends says whether nothing follows a token that the model chose: it ends the text, or an answer within a chat.
func (t *Tokenizer) Ends(id int32) bool { return id == t.eos || slices.Contains(t.ends, id) }

// Prefix is the token that every text begins with, or -1 if there is none.
func (t *Tokenizer) Prefix() int32 {
	if !t.addBOS {
		return -1
	}
	return t.bos
}

// WithSpecials returns a copy of t with other tokens for the beginning and end of text, -1 for none, and for other ends (see
// Ends). tokenizer.json names none of them: the model's config.json does.
func (t *Tokenizer) WithSpecials(bos, eos int32, addBOS bool, ends ...int32) *Tokenizer {
	c := *t
	c.bos, c.eos, c.ends, c.addBOS = bos, eos, ends, addBOS && bos >= 0
	return &c
}

// Vocab is one more than the largest id.
func (t *Tokenizer) Vocab() int { return len(t.tokens) }

// Token is the token of an id as the vocabulary writes it ("Ġthe", "▁the", "<0x0A>"), or "" outside the vocabulary.
func (t *Tokenizer) Token(id int32) string {
	if id < 0 || int(id) >= len(t.tokens) {
		return ""
	}
	return t.tokens[id]
}

// IsText says whether a token stands for some text: it is in the vocabulary, and not special.
func (t *Tokenizer) IsText(id int32) bool { return t.Token(id) != "" && !t.added.special[id] }

// ID is the id of a token as the vocabulary writes it.
func (t *Tokenizer) ID(token string) (id int32, ok bool) {
	id, ok = t.ids[token]
	return id, ok
}

// Name is what the tokenizer was loaded from.
func (t *Tokenizer) Name() string { return t.name }

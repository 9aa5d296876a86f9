package evaluator

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"
)

// Corpus is text in tokens, cut into consecutive sequences of equal length.
type Corpus struct {
	Tokens   []int32 // [sequences · Sequence]
	Sequence int
	From     int    // first scored position of each sequence; before it the tokens only give context
	Hash     string // SHA-256 of the sequence length and the token ids, hexadecimal
}

// NewCorpus packs the first tokens ids of a text into sequences; what does not fill a sequence is left out. A model that
// begins texts with a BOS token (bos ≥ 0) sees it in place of each sequence's first token, as it saw it in training. An
// error says how many tokens there are when the text is too short.
func NewCorpus(ids []int32, tokens, sequence int, bos int32) (*Corpus, error) {
	if sequence < 2 {
		return nil, fmt.Errorf("a sequence of %d tokens predicts nothing: write 2 or more", sequence)
	}
	if tokens < sequence || len(ids) < tokens {
		return nil, fmt.Errorf("the text has %d tokens, %d are asked for in sequences of %d: give a longer text or ask for fewer tokens",
			len(ids), tokens, sequence)
	}
	c := &Corpus{Tokens: slices.Clone(ids[:tokens/sequence*sequence]), Sequence: sequence}
	if bos >= 0 {
		for i := 0; i < len(c.Tokens); i += sequence {
			c.Tokens[i] = bos
		}
	}
	h := sha256.New()
	buf := binary.LittleEndian.AppendUint32(nil, uint32(sequence))
	for _, id := range c.Tokens {
		buf = binary.LittleEndian.AppendUint32(buf, uint32(id))
	}
	h.Write(buf)
	c.Hash = hex.EncodeToString(h.Sum(nil))
	return c, nil
}

// NewChunks cuts a text as llama.cpp's perplexity program does: consecutive chunks of context tokens, of which the second
// half is scored. A model that begins texts with a BOS token (bos ≥ 0) has one before the text, and sees it in place of
// each chunk's first token. limit > 0 takes only so many chunks.
func NewChunks(ids []int32, context, limit int, bos int32) (*Corpus, error) {
	if bos >= 0 {
		ids = append([]int32{bos}, ids...)
	}
	n := len(ids) / context
	if limit > 0 {
		n = min(n, limit)
	}
	c, err := NewCorpus(ids, max(n, 1)*context, context, bos)
	if err != nil {
		return nil, err
	}
	c.From = context / 2
	return c, nil
}

// windowStep is what llama.cpp rounds the length of a context up to.
const windowStep = 256

// NewWindows cuts a text as llama.cpp's perplexity program does with --ppl-stride: overlapping windows of about context +
// stride/2 tokens, each stride tokens after the one before it, of which the last stride tokens are scored. A BOS token is in
// front of the text and nowhere else.
func NewWindows(ids []int32, context, stride, limit int, bos int32) (*Corpus, error) {
	if bos >= 0 {
		ids = append([]int32{bos}, ids...)
	}
	length := Window(context, stride)
	n := max(len(ids)-length+stride-1, 0) / stride
	if n == 0 {
		return nil, fmt.Errorf("the text has %d tokens, a stride needs more than the %d of its window: give a longer text", len(ids), length)
	}
	if limit > 0 {
		n = min(n, limit)
	}
	var tokens []int32
	for i := range n {
		tokens = append(tokens, ids[i*stride:i*stride+length]...)
	}
	c, err := NewCorpus(tokens, len(tokens), length, -1)
	if err != nil {
		return nil, err
	}
	c.From = length - stride - 1
	return c, nil
}

// Window is how many tokens a network sees at a time with a stride.
func Window(context, stride int) int {
	return (context + stride/2 + windowStep - 1) / windowStep * windowStep
}

// positions is how many of each whole sequence are scored.
func (c *Corpus) positions() int { return c.Sequence - 1 - c.From }

// Len is the number of sequences.
func (c *Corpus) Len() int { return len(c.Tokens) / c.Sequence }

// ids are the tokens of one sequence.
func (c *Corpus) ids(i int) []int32 { return c.Tokens[i*c.Sequence : (i+1)*c.Sequence] }

// Slice is the tokens of one scoring: some sequences of a corpus, the last of them possibly cut.
type Slice struct {
	Corpus    *Corpus
	Sequences []int // indices into the corpus, in order of scoring
	Tokens    int   // in all
}

// Whole is the slice of all sequences.
func (c *Corpus) Whole() Slice { return c.First(c.Len()) }

// First is the slice of the first n sequences, or of all if there are fewer.
func (c *Corpus) First(n int) Slice {
	n = min(n, c.Len())
	s := Slice{Corpus: c, Tokens: n * c.Sequence}
	for i := range n {
		s.Sequences = append(s.Sequences, i)
	}
	return s
}

// Draw picks random sequences without replacement, the last one cut to reach exactly the number of tokens, as EvoPress
// draws the minibatch of a stage. The same state of rng draws the same slice.
func (c *Corpus) Draw(rng *rand.Rand, tokens int) (Slice, error) {
	n := (tokens + c.Sequence - 1) / c.Sequence
	if tokens < 2 || n > c.Len() {
		return Slice{}, fmt.Errorf("a slice of %d tokens cannot be drawn from %d sequences of %d", tokens, c.Len(), c.Sequence)
	}
	return Slice{Corpus: c, Sequences: rng.Perm(c.Len())[:n], Tokens: tokens}, nil
}

// last is the number of tokens used of the last sequence.
func (s *Slice) last() int { return s.Tokens - (len(s.Sequences)-1)*s.Corpus.Sequence }

// Hash identifies the tokens of the slice and which of them are scored, hexadecimal.
func (s *Slice) Hash() string {
	h := sha256.New()
	h.Write([]byte(s.Corpus.Hash))
	buf := binary.LittleEndian.AppendUint64(nil, uint64(s.Tokens))
	for _, i := range s.Sequences {
		buf = binary.LittleEndian.AppendUint32(buf, uint32(i))
	}
	if s.Corpus.From > 0 {
		buf = binary.LittleEndian.AppendUint64(buf, uint64(s.Corpus.From))
	}
	h.Write(buf)
	return hex.EncodeToString(h.Sum(nil))
}

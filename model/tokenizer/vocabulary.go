package tokenizer

import "fmt"

// tokenType is what a token is, by the numbers of SentencePiece and of tokenizer.ggml.token_type.
type tokenType uint8

const (
	normalToken      tokenType = 1
	unknownToken     tokenType = 2
	controlToken     tokenType = 3
	userDefinedToken tokenType = 4
	unusedToken      tokenType = 5
	byteTokenType    tokenType = 6
)

// vocabulary is a list of tokens as SentencePiece and GGUF keep them, by id.
type vocabulary struct {
	tokens []string
	types  []tokenType // nil: all normal
	scores []float32   // nil: none
	ids    map[string]int32
}

// index fills ids.
func (v *vocabulary) index() error {
	v.ids = make(map[string]int32, len(v.tokens))
	for i, token := range v.tokens {
		if other, ok := v.ids[token]; ok {
			return fmt.Errorf("tokens %d and %d are both %q", other, i, token)
		}
		v.ids[token] = int32(i)
	}
	return nil
}

func (v *vocabulary) typeOf(i int) tokenType {
	if v.types == nil {
		return normalToken
	}
	return v.types[i]
}

// words yields the tokens that text outside added tokens can turn into.
func (v *vocabulary) words(yield func(string) bool) {
	for i, token := range v.tokens {
		if typ := v.typeOf(i); (typ == normalToken || typ == userDefinedToken || typ == unusedToken) && !yield(token) {
			return
		}
	}
}

// useSentencePiece sets what all SentencePiece models have in common: spaces are marks, and one comes in front of text if
// prefix says so.
func (t *Tokenizer) useSentencePiece(m *sentencePiece, prefix bool) {
	t.model, t.normalize = m, spacesToMarks(prefix)
	t.decoder.steps = sentencePieceDecoder(prefix)
	if separable(m.vocabulary.words) {
		t.split = wordStarts
	}
}

func spacesToMarks(prefix bool) normalizer {
	toMarks := replaceAll(" ", spaceMark)
	if !prefix {
		return toMarks
	}
	return sequence([]normalizer{prepend(spaceMark), toMarks})
}

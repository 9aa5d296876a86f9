package text

import "iter"

// Tokenizer is what it takes to make tokens of documents; see package tokenizer.
type Tokenizer interface {
	Encode(text string) []int32
	Prefix() int32 // the token that the model has in front of every text, or -1
	EOS() int32    // the token that ends a text, or -1
}

// Tokens joins documents into one sequence of tokens, in their order, and stops when it has limit of them; 0 takes all. A
// model that begins texts with a token (BOS) has it between two documents; another the one that ends a text (EOS). A model
// with neither has an empty line there. In front of the first document is nothing: that is for whoever cuts the tokens into
// sequences.
func Tokens(t Tokenizer, documents iter.Seq2[string, error], limit int) ([]int32, error) {
	var between []int32
	switch {
	case t.Prefix() >= 0:
		between = []int32{t.Prefix()}
	case t.EOS() >= 0:
		between = []int32{t.EOS()}
	default:
		between = t.Encode("\n\n")
	}
	var ids []int32
	first := true
	for document, err := range documents {
		if err != nil {
			return nil, err
		}
		if !first {
			ids = append(ids, between...)
		}
		first = false
		ids = append(ids, t.Encode(document)...)
		if limit > 0 && len(ids) >= limit {
			break
		}
	}
	return ids, nil
}

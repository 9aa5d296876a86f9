package tasks

import (
	"fmt"
	"math"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/finch-llm/finch/evaluator"
)

// Tokenizer is what is needed of a model's.
type Tokenizer interface {
	Encode(text string) []int32
	Prefix() int32             // the token that every text begins with, or −1
	BOS() (id int32, add bool) // the token that a text may begin with, or −1
	EOS() int32                // the token that ends a text, or −1
}

// Encode gives the tokens of a request for a model that sees so many at a time. As in the harness, context and continuation are
// encoded together and the context again by itself; what is longer is predicted, and spaces at the context's end belong to it. If all of
// it is too long, its beginning is left out.
func (r Request) Encode(t Tokenizer, window int) (evaluator.Continuation, error) {
	trimmed := strings.TrimRightFunc(r.Context, unicode.IsSpace)
	continuation := r.Context[len(trimmed):] + r.Continuation
	encode := func(text string) []int32 {
		ids := t.Encode(text)
		if prefix := t.Prefix(); prefix >= 0 {
			ids = append([]int32{prefix}, ids...)
		}
		return ids
	}
	var ids []int32
	var from int
	if r.Context == "" {
		first, _ := t.BOS()
		if first < 0 {
			first = t.EOS()
		}
		if ids, from = t.Encode(continuation), 1; first >= 0 && (len(ids) == 0 || ids[0] != first) {
			ids = append([]int32{first}, ids...)
		}
	} else {
		ids, from = encode(trimmed+continuation), len(encode(trimmed))
	}
	switch {
	case from < 1 || from >= len(ids):
		return evaluator.Continuation{}, fmt.Errorf("%q has no token of its own after %q", shorten(r.Continuation), shorten(r.Context))
	case len(ids)-from > window:
		return evaluator.Continuation{}, fmt.Errorf("%q has %d tokens, the model's context is %d", shorten(r.Continuation), len(ids)-from, window)
	}
	if over := len(ids) - 1 - window; over > 0 { // the last token is predicted and not seen
		ids, from = ids[over:], from-over
	}
	return evaluator.Continuation{Tokens: ids, From: from}, nil
}

// shorten keeps the end of a text that goes into a message.
func shorten(text string) string {
	const widest = 40
	if len(text) <= widest {
		return text
	}
	at := len(text) - widest
	for !utf8.RuneStart(text[at]) {
		at++
	}
	return "…" + text[at:]
}

// Score is how well a model does. Errors are standard errors over questions.
type Score struct {
	Task      string              `json:"task"`
	Questions int                 `json:"questions"`
	Acc       evaluator.Estimate  `json:"acc"`
	AccNorm   *evaluator.Estimate `json:"acc_norm,omitempty"`   // by characters; nil where answers have no length of their own
	PPL       *evaluator.Estimate `json:"perplexity,omitempty"` // of a cloze text's end, the whole of it
}

// Requests encodes what a model is asked, item by item, request by request.
func (t *Task) Requests(by Tokenizer, window int) ([]evaluator.Continuation, error) {
	var list []evaluator.Continuation
	for i := range t.Items {
		for _, r := range t.Items[i].Requests {
			c, err := r.Encode(by, window)
			if err != nil {
				return nil, fmt.Errorf("%s, question %d: %w", t.Name, i+1, err)
			}
			list = append(list, c)
		}
	}
	return list, nil
}

// Longest is how many tokens a model sees at most of some texts.
func Longest(list []evaluator.Continuation) int {
	longest := 0
	for _, c := range list {
		longest = max(longest, len(c.Tokens)-1)
	}
	return longest
}

// Score turns the likelihoods of a task's requests into accuracies.
func (t *Task) Score(found []evaluator.Likelihood) Score {
	var right, normalized, logs []float64
	for i := range t.Items {
		item := &t.Items[i]
		of := found[:len(item.Requests)]
		found = found[len(item.Requests):]
		if item.cloze() {
			right, logs = append(right, indicator(of[0].Greedy)), append(logs, -of[0].Log)
			continue
		}
		right = append(right, indicator(likeliest(of, nil) == item.Gold))
		if item.Length != nil {
			normalized = append(normalized, indicator(likeliest(of, item.Length) == item.Gold))
		}
	}
	s := Score{Task: t.Name, Questions: len(t.Items), Acc: evaluator.MeanOf(right)}
	if len(normalized) == len(t.Items) {
		s.AccNorm = new(evaluator.MeanOf(normalized))
	}
	if len(logs) > 0 {
		s.PPL = new(evaluator.MeanOf(logs).Exp())
	}
	return s
}

// likeliest is the first of the largest log-likelihoods, each over its answer's length if there is one.
func likeliest(of []evaluator.Likelihood, length []int) int {
	best, highest := 0, math.Inf(-1)
	for i, l := range of {
		log := l.Log
		if length != nil {
			log /= float64(length[i])
		}
		if log > highest {
			best, highest = i, log
		}
	}
	return best
}

func indicator(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

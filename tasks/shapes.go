package tasks

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// row has the fields of all shapes.
type row struct {
	// llm-foundry's
	Query          string          `json:"query"`
	Choices        json.RawMessage `json:"choices"` // of answers; in data sets an object
	Gold           int             `json:"gold"`
	Context        string          `json:"context"`
	Continuation   string          `json:"continuation"`
	ContextOptions []string        `json:"context_options"`

	// those of the data sets that the harness reads
	Text          string          `json:"text"`
	Question      string          `json:"question"`
	QuestionStem  string          `json:"question_stem"`
	AnswerKey     string          `json:"answerKey"`
	Passage       string          `json:"passage"`
	Goal          string          `json:"goal"`
	Sol1          string          `json:"sol1"`
	Sol2          string          `json:"sol2"`
	Label         json.RawMessage `json:"label"`  // a number, also as text
	Answer        json.RawMessage `json:"answer"` // text, or true or false
	ActivityLabel string          `json:"activity_label"`
	CtxA          string          `json:"ctx_a"`
	CtxB          string          `json:"ctx_b"`
	Endings       []string        `json:"endings"`
	Sentence      string          `json:"sentence"`
	Option1       string          `json:"option1"`
	Option2       string          `json:"option2"`
}

// delimiter comes between context and answer: the harness's default.
const delimiter = " "

// cue comes between a question and its answers in tasks that begin with "Question:".
const cue = "\nAnswer:"

// shapes are those of llm-foundry and of the data sets on the Hub, with the prompts of lm-evaluation-harness. The first that fits
// counts.
var shapes = []shape{
	{[]string{"query", "choices", "gold"}, foundryChoice},
	{[]string{"context_options", "continuation", "gold"}, foundrySchema},
	{[]string{"context", "continuation"}, foundryCloze},
	{[]string{"goal", "sol1", "sol2", "label"}, piqa},
	{[]string{"activity_label", "ctx_a", "ctx_b", "endings", "label"}, hellaswag},
	{[]string{"sentence", "option1", "option2", "answer"}, winogrande},
	{[]string{"passage", "question"}, boolq},
	{[]string{"question_stem", "choices", "answerKey"}, openbookqa},
	{[]string{"question", "choices", "answerKey"}, arc},
	{[]string{"text"}, lambada},
}

// choose is a question with answers to choose from.
func choose(context string, answers []string, gold int) (Item, error) {
	item := Item{Gold: gold}
	for _, a := range answers {
		item.Requests = append(item.Requests, Request{context, delimiter + a})
		item.Length = append(item.Length, utf8.RuneCountInString(a))
	}
	if len(answers) < 2 {
		return item, fmt.Errorf("a question needs two answers or more, not %d", len(answers))
	}
	return item, nil
}

// foundryChoice leaves the cue to llm-foundry's settings, which have it for queries that end with a question so called.
func foundryChoice(r *row) (Item, error) {
	var answers []string
	if err := json.Unmarshal(r.Choices, &answers); err != nil {
		return Item{}, fmt.Errorf("choices: %w", err)
	}
	query := r.Query
	if last := query[strings.LastIndexByte(query, '\n')+1:]; strings.HasPrefix(last, "Question:") {
		query += cue
	}
	return choose(query, answers, r.Gold)
}

func foundrySchema(r *row) (Item, error) { return schema(r.ContextOptions, r.Continuation, r.Gold) }

// schema is a text that begins in several ways and ends in one.
func schema(contexts []string, continuation string, gold int) (Item, error) {
	item := Item{Gold: gold}
	for _, c := range contexts {
		item.Requests = append(item.Requests, Request{c, delimiter + continuation})
	}
	if len(contexts) < 2 {
		return item, fmt.Errorf("a question needs two contexts or more, not %d", len(contexts))
	}
	return item, nil
}

func foundryCloze(r *row) (Item, error) {
	return Item{Requests: []Request{{r.Context, delimiter + r.Continuation}}}, nil
}

// lambada's last word is what comes after the last space.
func lambada(r *row) (Item, error) {
	at := strings.LastIndexByte(r.Text, ' ')
	if at < 0 {
		return Item{}, errors.New("text has no space before its last word")
	}
	return Item{Requests: []Request{{r.Text[:at], r.Text[at:]}}}, nil
}

func piqa(r *row) (Item, error) {
	gold, err := number(r.Label)
	if err != nil {
		return Item{}, fmt.Errorf("label: %w", err)
	}
	return choose("Question: "+r.Goal+cue, []string{r.Sol1, r.Sol2}, gold)
}

func hellaswag(r *row) (Item, error) {
	gold, err := number(r.Label)
	if err != nil {
		return Item{}, fmt.Errorf("label: %w", err)
	}
	endings := make([]string, len(r.Endings))
	for i, e := range r.Endings {
		endings[i] = withoutMarks(e)
	}
	return choose(withoutMarks(r.ActivityLabel+": "+r.CtxA+" "+capitalize(r.CtxB)), endings, gold)
}

var brackets = regexp.MustCompile(`\[.*?\]`)

// withoutMarks takes out what WikiHow left in hellaswag's texts.
func withoutMarks(text string) string {
	text = strings.ReplaceAll(strings.TrimSpace(text), " [title]", ". ")
	return strings.ReplaceAll(brackets.ReplaceAllString(text, ""), "  ", " ")
}

// capitalize is Python's: the first letter large, all others small.
func capitalize(text string) string {
	first, n := utf8.DecodeRuneInString(text)
	if n == 0 {
		return text
	}
	return string(unicode.ToTitle(first)) + strings.ToLower(text[n:])
}

// winogrande has a gap for one of two options, of which the text after it is predicted.
func winogrande(r *row) (Item, error) {
	before, after, ok := strings.Cut(r.Sentence, "_")
	if !ok {
		return Item{}, errors.New("sentence has no gap: write _ for it")
	}
	answer, err := number(r.Answer)
	if err != nil {
		return Item{}, fmt.Errorf("answer: %w", err)
	}
	return schema([]string{before + r.Option1, before + r.Option2}, strings.TrimSpace(after), answer-1)
}

func boolq(r *row) (Item, error) {
	gold, err := number(r.Label)
	if r.Label == nil { // as its authors publish it
		var yes bool
		if err = json.Unmarshal(r.Answer, &yes); err != nil {
			return Item{}, errors.New("there is neither a label nor an answer of true or false")
		}
		gold = 0
		if yes {
			gold = 1
		}
	}
	if err != nil {
		return Item{}, fmt.Errorf("label: %w", err)
	}
	return choose(r.Passage+"\nQuestion: "+r.Question+"?"+cue, []string{"no", "yes"}, gold)
}

func openbookqa(r *row) (Item, error) { return labelled(r.QuestionStem, r) }

func arc(r *row) (Item, error) { return labelled("Question: "+r.Question+cue, r) }

// labelled is a question whose answers have labels.
func labelled(context string, r *row) (Item, error) {
	var choices struct {
		Text  []string `json:"text"`
		Label []string `json:"label"`
	}
	if err := json.Unmarshal(r.Choices, &choices); err != nil {
		return Item{}, fmt.Errorf("choices: %w", err)
	}
	if len(choices.Text) != len(choices.Label) {
		return Item{}, fmt.Errorf("choices has %d texts and %d labels", len(choices.Text), len(choices.Label))
	}
	gold := slices.Index(choices.Label, strings.TrimLeft(r.AnswerKey, " "))
	if gold < 0 {
		return Item{}, fmt.Errorf("answerKey %q is none of the labels %q", r.AnswerKey, choices.Label)
	}
	return choose(context, choices.Text, gold)
}

// number reads a number that may be written as text.
func number(raw json.RawMessage) (int, error) {
	n, err := strconv.Atoi(strings.Trim(string(raw), `"`))
	if err != nil {
		return 0, fmt.Errorf("%s is no number of an answer", raw)
	}
	return n, nil
}

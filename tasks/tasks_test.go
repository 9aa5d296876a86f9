package tasks

import (
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/finch-llm/finch/evaluator"
)

func TestParseFoundry(t *testing.T) {
	for _, c := range []struct {
		name, line string
		want       Item
	}{
		{"question", `{"query": "Question: Who?", "choices": ["I", "you"], "gold": 1}`,
			Item{[]Request{{"Question: Who?\nAnswer:", " I"}, {"Question: Who?\nAnswer:", " you"}}, 1, []int{1, 3}}},
		{"passage", `{"query": "Passage: It is.\nQuestion: is it?", "choices": ["no", "yes"], "gold": 1}`,
			Item{[]Request{{"Passage: It is.\nQuestion: is it?\nAnswer:", " no"}, {"Passage: It is.\nQuestion: is it?\nAnswer:", " yes"}}, 1, []int{2, 3}}},
		{"beginning", `{"query": "He went", "choices": ["home", "là"], "gold": 0}`,
			Item{[]Request{{"He went", " home"}, {"He went", " là"}}, 0, []int{4, 2}}},
		{"schema", `{"context_options": ["The cup", "The box"], "continuation": "was small.", "gold": 1}`,
			Item{[]Request{{"The cup", " was small."}, {"The box", " was small."}}, 1, nil}},
		{"cloze", `{"context": "Call me", "continuation": "Ishmael"}`, Item{[]Request{{"Call me", " Ishmael"}}, 0, nil}},
		{"answer of true", `{"question": "is it", "title": "It", "answer": true, "passage": "It is."}`,
			Item{[]Request{{"It is.\nQuestion: is it?\nAnswer:", " no"}, {"It is.\nQuestion: is it?\nAnswer:", " yes"}}, 1, []int{2, 3}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			task, err := parse([]byte("\n"+c.line), "folder/task.jsonl")
			if err != nil {
				t.Fatal(err)
			}
			if task.Name != "task" || len(task.Items) != 1 || !reflect.DeepEqual(task.Items[0], c.want) {
				t.Errorf("got %+v", task)
			}
		})
	}
}

func TestMistakes(t *testing.T) {
	for _, c := range []struct{ name, text, says string }{
		{"nothing", "\n", "no questions"},
		{"no JSON", "Call me Ishmael", ":1: a question is a JSON object"},
		{"unknown fields", `{"riddle": "?"}`, "goal, sol1, sol2, label"},
		{"second line", `{"context": "a", "continuation": "b"}` + "\n{", ":2:"},
		{"mixed", `{"context": "a", "continuation": "b"}` + "\n" + `{"query": "q", "choices": ["a", "b"], "gold": 0}`, ":2: some lines"},
		{"gold", `{"query": "q", "choices": ["a", "b"], "gold": 2}`, "answer 2 of 2"},
		{"negative gold", `{"query": "q", "choices": ["a", "b"], "gold": -1}`, "answer -1"},
		{"one choice", `{"query": "q", "choices": ["a"], "gold": 0}`, "two answers"},
		{"empty answer", `{"query": "q", "choices": ["a", " "], "gold": 0}`, "nothing to predict"},
		{"no gap", `{"sentence": "a", "option1": "b", "option2": "c", "answer": "1"}`, "gap"},
		{"hidden answer", `{"sentence": "a _ b", "option1": "b", "option2": "c", "answer": ""}`, "answer"},
		{"third option", `{"sentence": "a _ b", "option1": "b", "option2": "c", "answer": "3"}`, "answer 2 of 2"},
		{"label", `{"goal": "g", "sol1": "a", "sol2": "b", "label": "x"}`, "label"},
		{"key", `{"question": "q", "choices": {"text": ["a", "b"], "label": ["A", "B"]}, "answerKey": "C"}`, `"C"`},
		{"texts and labels", `{"question": "q", "choices": {"text": ["a", "b"], "label": ["A"]}, "answerKey": "A"}`, "2 texts and 1 labels"},
		{"no label", `{"question": "q", "passage": "p"}`, "label"},
		{"one word", `{"text": "word"}`, "space"},
		{"type", `{"query": 3, "choices": ["a", "b"], "gold": 1}`, "query"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := parse([]byte(c.text), "task.jsonl"); err == nil || !strings.Contains(err.Error(), c.says) || !strings.HasPrefix(err.Error(), "task.jsonl") {
				t.Errorf("got %v, want %q", err, c.says)
			}
		})
	}
	if _, err := Read("nowhere.jsonl"); err == nil || !strings.Contains(err.Error(), "nowhere.jsonl") {
		t.Errorf("got %v", err)
	}
}

// letters is a tokenizer of one token per byte, but for "ab", which is one.
type letters struct{ prefix, bos, eos int32 }

func (l letters) Encode(text string) []int32 {
	var ids []int32
	for i := 0; i < len(text); i++ {
		if strings.HasPrefix(text[i:], "ab") {
			ids = append(ids, 1000)
			i++
			continue
		}
		ids = append(ids, int32(text[i]))
	}
	return ids
}

func (l letters) Prefix() int32      { return l.prefix }
func (l letters) BOS() (int32, bool) { return l.bos, l.prefix >= 0 }
func (l letters) EOS() int32         { return l.eos }

func TestEncode(t *testing.T) {
	none := letters{-1, -1, -1}
	for _, c := range []struct {
		name string
		r    Request
		by   letters
		max  int
		want evaluator.Continuation
	}{
		{"plain", Request{"x", " y"}, none, 9, evaluator.Continuation{Tokens: []int32{'x', ' ', 'y'}, From: 1}},
		{"spaces move", Request{"x  ", "y"}, none, 9, evaluator.Continuation{Tokens: []int32{'x', ' ', ' ', 'y'}, From: 1}},
		{"merged", Request{"xa", "bcd"}, none, 9, evaluator.Continuation{Tokens: []int32{'x', 1000, 'c', 'd'}, From: 2}},
		{"BOS", Request{"x", "y"}, letters{1, 1, 2}, 9, evaluator.Continuation{Tokens: []int32{1, 'x', 'y'}, From: 2}},
		{"empty context", Request{"", "xy"}, letters{-1, 1, 2}, 9, evaluator.Continuation{Tokens: []int32{1, 'x', 'y'}, From: 1}},
		{"empty context, no BOS", Request{"", "xy"}, letters{-1, -1, 2}, 9, evaluator.Continuation{Tokens: []int32{2, 'x', 'y'}, From: 1}},
		{"begins itself", Request{"", "xy"}, letters{-1, 'x', -1}, 9, evaluator.Continuation{Tokens: []int32{'x', 'y'}, From: 1}},
		{"too long", Request{"uvwx", "yz"}, none, 3, evaluator.Continuation{Tokens: []int32{'w', 'x', 'y', 'z'}, From: 2}},
		{"context gone but one", Request{"uvwx", "yz"}, none, 2, evaluator.Continuation{Tokens: []int32{'x', 'y', 'z'}, From: 1}},
	} {
		got, err := c.r.Encode(c.by, c.max)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, %v; want %+v", c.name, got, err, c.want)
		}
	}
	if _, err := (Request{"u", "xyz"}).Encode(none, 2); err == nil || !strings.Contains(err.Error(), "3 tokens") {
		t.Errorf("a continuation longer than the context: %v", err)
	}
	if _, err := (Request{"xa", "b"}).Encode(none, 9); err == nil || !strings.Contains(err.Error(), "no token of its own") {
		t.Errorf("a continuation within the context's last token: %v", err)
	}
}

func TestScore(t *testing.T) {
	l := func(logs ...float64) (list []evaluator.Likelihood) {
		for _, log := range logs {
			list = append(list, evaluator.Likelihood{Log: log, Greedy: log > -2})
		}
		return list
	}
	two := []Request{{}, {}}
	choice := Task{Name: "c", Items: []Item{
		{two, 0, []int{1, 4}}, // likeliest: the first; by length: the second
		{two, 1, []int{1, 4}},
		{two, 1, []int{2, 2}}, // equal: the first
		{two, 0, []int{2, 2}},
	}}
	got := choice.Score(l(-3, -4, -3, -4, -5, -5, -1, -2))
	if want := (evaluator.Estimate{Value: 0.5, Error: math.Sqrt(1.0 / 12)}); math.Abs(got.Acc.Value-want.Value) > 1e-12 || math.Abs(got.Acc.Error-want.Error) > 1e-12 {
		t.Errorf("acc %+v, want %+v", got.Acc, want)
	}
	if got.AccNorm == nil || math.Abs(got.AccNorm.Value-0.5) > 1e-12 || got.PPL != nil || got.Questions != 4 {
		t.Errorf("%+v", got)
	}
	cloze := Task{Name: "l", Items: []Item{{Requests: two[:1]}, {Requests: two[:1]}}}
	got = cloze.Score(l(-1, -3))
	if got.Acc.Value != 0.5 || got.AccNorm != nil || got.PPL == nil || math.Abs(got.PPL.Value-math.Exp(2)) > 1e-12 || math.Abs(got.PPL.Error-math.Exp(2)) > 1e-12 {
		t.Errorf("cloze %+v", got)
	}
}

func FuzzParse(f *testing.F) {
	for _, line := range []string{
		`{"query": "Question: Who?", "choices": ["I", "you"], "gold": 1}`, `{"text": "a b"}`,
		`{"sentence": "a _ b", "option1": "b", "option2": "c", "answer": "1"}`,
		`{"question": "q", "choices": {"text": ["a", "b"], "label": ["A", "B"]}, "answerKey": "B"}`,
		`{"activity_label": "a", "ctx_a": "b", "ctx_b": "ǆ", "endings": ["c [d", "e]"], "label": "1"}`,
	} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		task, err := parse(data, "task.jsonl")
		if err != nil {
			return
		}
		for _, item := range task.Items {
			if item.Gold < 0 || item.Gold >= len(item.Requests) || item.Length != nil && len(item.Length) != len(item.Requests) {
				t.Fatalf("%+v", item)
			}
		}
	})
}

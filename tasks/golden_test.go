package tasks_test

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/finch-llm/finch/evaluator"
	"github.com/finch-llm/finch/internal/testmodel"
	"github.com/finch-llm/finch/kernels"
	"github.com/finch-llm/finch/tasks"
)

// harness is what lm-evaluation-harness asks and finds, by tools/golden/tasks.py.
type harness struct {
	Tasks map[string]struct {
		Acc          float64
		AccError     float64  `json:"acc_stderr"`
		AccNorm      *float64 `json:"acc_norm"`
		AccNormError float64  `json:"acc_norm_stderr"`
		Questions    []struct {
			Log      []float64
			Greedy   []bool
			Requests [][2]string
		}
	}
}

func golden(t *testing.T) harness {
	t.Helper()
	data, err := os.ReadFile("testdata/harness.json")
	if err != nil {
		t.Fatal(err)
	}
	var h harness
	if err := json.Unmarshal(data, &h); err != nil {
		t.Fatal(err)
	}
	return h
}

// madeUp are the tasks whose questions are in testdata.
var madeUp = []string{"arc", "lambada", "piqa", "winogrande", "hellaswag", "boolq", "openbookqa"}

func TestRequestsAreTheHarness(t *testing.T) {
	h := golden(t)
	for _, name := range madeUp {
		task, err := tasks.Read(filepath.Join("testdata", name+".jsonl"))
		if err != nil {
			t.Fatal(err)
		}
		want := h.Tasks[name].Questions
		if len(task.Items) != len(want) {
			t.Fatalf("%s: %d questions of %d", name, len(task.Items), len(want))
		}
		for i, item := range task.Items {
			if len(item.Requests) != len(want[i].Requests) {
				t.Fatalf("%s: %d requests in question %d, want %d", name, len(item.Requests), i, len(want[i].Requests))
			}
			for r, got := range item.Requests {
				if [2]string{got.Context, got.Continuation} != want[i].Requests[r] {
					t.Errorf("%s, question %d asks\n%q, the harness\n%q", name, i, got, want[i].Requests[r])
				}
			}
		}
	}
}

// TestLikelihoodsAreTheHarness compares with the harness's numbers of SmolLM2 by transformers in fp32.
func TestLikelihoodsAreTheHarness(t *testing.T) {
	m := testmodel.SmolLM2(t)
	h := golden(t)
	e, err := evaluator.New(m, evaluator.Options{Path: kernels.Paths()[0].Exact(), Workers: 2, Context: 512, NoTeacher: true})
	if err != nil {
		t.Fatal(err)
	}
	paths := map[string]string{"arc_easy": "../../shared/data/tasks", "lambada_openai": "../../shared/data/tasks"}
	for _, name := range madeUp {
		paths[name] = "testdata"
	}
	for name, dir := range paths {
		want := h.Tasks[name]
		task, err := tasks.Read(filepath.Join(dir, name+".jsonl"))
		if err != nil {
			t.Logf("%s is not tested: %v", name, err)
			continue
		}
		task.Items = task.Items[:len(want.Questions)]
		list, err := task.Requests(m.Tokenizer, m.Context)
		if err != nil {
			t.Fatal(err)
		}
		found, err := e.Continuations(context.Background(), &m.Network, list)
		if err != nil {
			t.Fatal(err)
		}
		worst, at := 0.0, 0
		for i, q := range want.Questions {
			for r, log := range q.Log {
				got := found[at]
				worst = max(worst, math.Abs(got.Log-log))
				if !(math.Abs(got.Log-log) <= 1e-3) || got.Greedy != q.Greedy[r] {
					t.Errorf("%s, question %d, request %d: %+v, the harness has %g, %v", name, i, r, got, log, q.Greedy[r])
				}
				at++
			}
		}
		t.Logf("%s: %d log-likelihoods within %.1g of the harness's", name, at, worst)
		s := task.Score(found)
		near := func(what string, got, want float64) {
			if math.Abs(got-want) > 1e-9 {
				t.Errorf("%s: %s is %g, the harness has %g", name, what, got, want)
			}
		}
		near("acc", s.Acc.Value, want.Acc)
		near("its error", s.Acc.Error, want.AccError)
		if want.AccNorm != nil {
			near("acc_norm", s.AccNorm.Value, *want.AccNorm)
			near("its error", s.AccNorm.Error, want.AccNormError)
		}
	}
}

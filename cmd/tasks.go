package cmd

import (
	"context"
	"fmt"
	"io"

	"github.com/finch-llm/finch/evaluator"
	"github.com/finch-llm/finch/model"
	"github.com/finch-llm/finch/store"
	"github.com/finch-llm/finch/tasks"
)

// readTasks reads all files before any model is opened.
func readTasks(files []string) ([]*tasks.Task, error) {
	var list []*tasks.Task
	for _, path := range files {
		t, err := tasks.Read(path)
		if err != nil {
			return nil, err
		}
		list = append(list, t)
	}
	return list, nil
}

// answer scores a model on tasks.
func answer(ctx context.Context, m *model.Model, o evaluator.Options, list []*tasks.Task) ([]tasks.Score, error) {
	if len(list) == 0 {
		return nil, nil
	}
	asked := make([][]evaluator.Continuation, len(list))
	for i, t := range list {
		var err error
		if asked[i], err = t.Requests(m.Tokenizer, m.Context); err != nil {
			return nil, err
		}
		o.Context = max(o.Context, tasks.Longest(asked[i]))
	}
	o.NoTeacher = true
	engine, err := evaluator.New(m, o)
	if err != nil {
		return nil, err
	}
	defer engine.Rest()
	var scores []tasks.Score
	for i, t := range list {
		found, err := engine.Continuations(ctx, &m.Network, asked[i])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", t.Name, err)
		}
		scores = append(scores, t.Score(found))
	}
	return scores, nil
}

func printTasks(out io.Writer, scores []tasks.Score) error {
	t := &store.Table{Columns: []string{"task", "questions", "acc", "acc_norm", "perplexity"}}
	for _, s := range scores {
		t.Rows = append(t.Rows, []any{s.Task, int64(s.Questions), estimate(&s.Acc), estimate(s.AccNorm), estimate(s.PPL)})
	}
	return store.Render(out, t, "table")
}

// estimate writes a value with its error; nothing for none.
func estimate(e *evaluator.Estimate) any {
	if e == nil {
		return nil
	}
	return fmt.Sprintf("%.4f ± %.4f", e.Value, e.Error)
}

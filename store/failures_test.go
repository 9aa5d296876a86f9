package store

import (
	"errors"
	"math"
	"reflect"
	"testing"
)

func TestFailures(t *testing.T) {
	db := sample(t)
	if table := ask(t, db, "failures", nil); len(table.Rows) != 0 {
		t.Errorf("failures of sound runs: %v", table.Rows)
	}
	stages, closing := testGeneration(1, 1, 1)
	stages[0].Candidates[1].Status = CandidateInfeasible
	stages[0].Scores[0].Fitness = math.NaN()
	stages[0].Candidates[0].Status = CandidateFailed
	stages[0].Scores = append(stages[0].Scores[:1], stages[0].Scores[2:]...)
	run, err := db.FindRun(ctx, "open", 1)
	must(t, err)
	for _, b := range stages {
		must(t, db.RecordBatch(ctx, run.ID, b))
	}
	_, err = db.CloseGeneration(ctx, run.ID, closing)
	must(t, err)
	must(t, db.FailRun(ctx, run.ID, 1, errors.New("the disk is full")))
	id := run.ID
	want := [][]any{
		{id, "open", int64(1), "run", nil, nil, nil, nil, "the disk is full"},
		{id, "open", int64(1), "score", int64(4), int64(1), int64(0), "flip", "no finite score"},
		{id, "open", int64(1), "candidate", int64(5), int64(1), int64(0), "flip", "no file can hold it"},
	}
	for _, params := range []map[string]any{nil, {"run": "open"}, {"run": id}} {
		if got := ask(t, db, "failures", params).Rows; !reflect.DeepEqual(got, want) {
			t.Errorf("%v: %v\nwant %v", params, got, want)
		}
	}
	if got := ask(t, db, "failures", map[string]any{"run": "bits-4"}).Rows; len(got) != 0 {
		t.Errorf("failures of another run: %v", got)
	}
}

// What bits gives by depth adds up to what bits_by_kind gives.
func TestBits(t *testing.T) {
	db := sample(t)
	sum := func(query string) []any {
		return column(t, ask(t, db, query, nil), "bytes")
	}
	total := map[any]int64{}
	table := ask(t, db, "bits", map[string]any{"run": 1})
	kinds, bytes := column(t, table, "kind"), column(t, table, "bytes")
	for i := range kinds {
		total[kinds[i]] += bytes[i].(int64)
	}
	for _, kind := range []string{"attn_q", "ffn_down"} {
		want := sum("SELECT bytes FROM bits_by_kind WHERE run_id = 1 AND role = 'winner' AND kind = '" + kind + "'")
		if len(want) != 1 || total[kind] != want[0] {
			t.Errorf("%s: %d bytes, want %v", kind, total[kind], want)
		}
	}
	if depths := column(t, table, "depth"); !reflect.DeepEqual(depths, []any{"first third", "second third", "first third", "second third"}) {
		t.Errorf("depths of two blocks: %v", depths)
	}
}

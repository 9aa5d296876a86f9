package evaluator_test

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"testing"

	"github.com/finch-llm/finch/evaluator"
	"github.com/finch-llm/finch/internal/testmodel"
	"github.com/finch-llm/finch/kernels"
	"github.com/finch-llm/finch/model"
)

// TestSmolLM2Perplexity compares with transformers in fp32 on the same weights, text and chunks, by
// tools/golden/perplexity.py.
func TestSmolLM2Perplexity(t *testing.T) {
	const path = "../../shared/data/text/wikitext2-test.raw"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Skipf("perplexity on wikitext-2 is not tested: %v", err)
	}
	m := testmodel.SmolLM2(t)
	data, err := os.ReadFile("../model/testdata/smollm2_wikitext.json")
	if err != nil {
		t.Fatal(err)
	}
	var want struct {
		Context, Chunks int
		TextTokens      int `json:"text_tokens"`
		Scored          int `json:"scored_tokens"`
		Perplexity      float64
		ChunkNLL        []float64 `json:"chunk_nll"`
	}
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatal(err)
	}
	ids := m.Tokenizer.Encode(string(text))
	if len(ids) != want.TextTokens {
		t.Fatalf("the text has %d tokens, the Rust tokenizer finds %d", len(ids), want.TextTokens)
	}
	corpus, err := evaluator.NewChunks(ids, want.Context, want.Chunks, -1)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path  string
		limit float64
	}{{"avx512", 1e-5}, {"avx512bf16", 2e-3}} {
		p, err := kernels.Select(c.path)
		if err != nil {
			t.Logf("%s is not tested: %v", c.path, err)
			continue
		}
		e, err := evaluator.New(m, evaluator.Options{Path: p, Workers: 2, Context: want.Context, NoTeacher: true})
		if err != nil {
			t.Fatal(err)
		}
		scores, err := e.Score(context.Background(), []*model.Network{&m.Network}, corpus.Whole())
		if err != nil {
			t.Fatal(err)
		}
		got := scores[0].Perplexity()
		t.Logf("%s: perplexity %.5f, transformers %.5f", c.path, got, want.Perplexity)
		if scores[0].Positions != want.Scored || math.Abs(got/want.Perplexity-1) > c.limit {
			t.Errorf("%s: perplexity %v over %d positions, transformers %v over %d", c.path, got, scores[0].Positions, want.Perplexity, want.Scored)
		}
	}
}

package evaluator

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/finch-llm/finch/internal/testmodel"
	"github.com/finch-llm/finch/kernels"
	"github.com/finch-llm/finch/model"
)

// special is the one special token of the tiny models.
const special = 0

// sample has a model write a text.
func sample(t *testing.T, m *model.Model, o Options, s Sampling) *Corpus {
	t.Helper()
	o.Context, o.NoTeacher = max(o.Context, s.Length), true
	if o.Path == nil {
		o.Path = kernels.Paths()[0].Exact()
	}
	c, err := newEngine(t, m, o).Sample(context.Background(), s)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// withTokenizer is a model as testmodel.Folder writes it, with a tokenizer and tokens beyond it.
func withTokenizer(t *testing.T) *model.Model {
	t.Helper()
	m, err := model.Open(testmodel.Folder(t, testmodel.Llama(1, 2, 64, 96, testmodel.Vocab+9)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// A sequence is written token by token, as if it were the only one: each by the probabilities that the whole sequence before it
// gives. It does not matter how many workers write how many sequences at a time.
func TestSampleWritesByProbability(t *testing.T) {
	s := Sampling{Sequences: 7, Length: 40, Seed: 3} // longer than the windows of these models
	for name, m := range goldenModels(t) {
		text := sample(t, m, Options{}, s)
		if text.Len() != s.Sequences || text.Sequence != s.Length {
			t.Fatalf("%s: %d sequences of %d tokens", name, text.Len(), text.Sequence)
		}
		for what, o := range map[string]Options{
			"two workers": {Workers: 2}, "five workers": {Workers: 5}, "more workers than sequences": {Workers: 9},
			"one at a time": {Wave: 1}, "three at a time, in a longer context": {Wave: 3 * m.CacheBytes(60), Context: 60},
		} {
			if got := sample(t, m, o, s); got.Hash != text.Hash {
				t.Errorf("%s: %s write another text", name, what)
			}
		}
		for i := range s.Sequences {
			for position := 1; position < s.Length; position += 13 {
				if got, want := text.ids(i)[position], likely(t, m, text.ids(i)[:position], s, i); got != want {
					t.Errorf("%s: token %d of sequence %d is %d, want %d", name, position, i, got, want)
				}
			}
		}
	}
}

// likely is the token that follows in a sequence, drawn by the definition.
func likely(t *testing.T, m *model.Model, before []int32, s Sampling, sequence int) int32 {
	t.Helper()
	r := model.NewRunner(m, kernels.Paths()[0].Exact(), s.Length)
	hidden, logits := make([]float32, len(before)*m.Hidden), make([]float32, m.Vocab)
	if err := r.Hidden(hidden, &m.Network, before, len(before)); err != nil {
		t.Fatal(err)
	}
	r.Logits(logits, hidden[(len(before)-1)*m.Hidden:])
	sum := 0.0
	for id, l := range logits {
		if id != special {
			sum += math.Exp(float64(l))
		}
	}
	left := uniform(s.Seed, sequence, len(before)) * sum
	for id, l := range logits {
		if id == special {
			continue
		}
		if left -= math.Exp(float64(l)); left < 0 {
			return int32(id)
		}
	}
	t.Fatal("no token is drawn")
	return -1
}

// Sequences differ, and so do texts of different seeds.
func TestSamplesDiffer(t *testing.T) {
	m := goldenModels(t)["llama"]
	text := sample(t, m, Options{}, Sampling{Sequences: 40, Length: 16, Seed: 1})
	other := sample(t, m, Options{}, Sampling{Sequences: 40, Length: 16, Seed: 2})
	more := sample(t, m, Options{}, Sampling{Sequences: 41, Length: 16, Seed: 1})
	for i := range text.Len() {
		if slices.Equal(text.ids(i), text.ids((i+1)%text.Len())) || slices.Equal(text.ids(i), other.ids(i)) {
			t.Errorf("sequence %d is there twice", i)
		}
		if !slices.Equal(text.ids(i), more.ids(i)) {
			t.Errorf("sequence %d is another one in a longer text", i)
		}
	}
}

// The numbers that tokens are drawn with are as good as random ones: pairs of neighbours in a sequence, and of the same position in
// neighbouring sequences, fall into the cells of a grid as often as chance has it.
func TestSampleDrawsEvenly(t *testing.T) {
	const grid, sequences, length = 16, 128, 128
	for name, next := range map[string][2]int{"positions": {0, 1}, "sequences": {1, 0}} {
		var cells [grid * grid]float64
		for s := range sequences {
			for p := range length {
				a, b := uniform(1, s, p), uniform(1, s+next[0], p+next[1])
				cells[int(a*grid)*grid+int(b*grid)]++
			}
		}
		chi, want := 0.0, float64(sequences*length)/(grid*grid)
		for _, n := range cells {
			chi += (n - want) * (n - want) / want
		}
		// 255 degrees of freedom, and pairs that share numbers: mean 255, standard deviation about 22.6.
		if chi < 255-5*22.6 || chi > 255+5*22.6 {
			t.Errorf("neighbouring %s: χ² = %g", name, chi)
		}
	}
}

// Tokens are drawn in proportion to their probabilities; special ones and those that the tokenizer does not have are not.
func TestSampleDrawsWhatStandsForText(t *testing.T) {
	m := withTokenizer(t)
	choices := textTokens(m)
	if slices.Contains(choices, special) || len(choices) != testmodel.Vocab-1 {
		t.Fatalf("%d tokens stand for text, of %d", len(choices), m.Vocab)
	}
	logits := make([]float32, m.Vocab)
	for i := range logits {
		logits[i] = -1000
	}
	logits[special], logits[m.Vocab-1] = 1000, 1000 // far likelier than any
	logits[7], logits[200] = 500, 500+float32(math.Log(3))
	d := &draft{writing: &writing{model: m, choices: choices}, cumulative: make([]float64, len(choices))}
	var drawn [testmodel.Vocab]int
	const draws = 10000
	for i := range draws {
		id, err := d.draw(logits, (float64(i)+0.5)/draws)
		if err != nil {
			t.Fatal(err)
		}
		drawn[id]++
	}
	if math.Abs(float64(drawn[7])-draws/4) > 1 || drawn[7]+drawn[200] != draws {
		t.Errorf("of tokens with probabilities 1/4 and 3/4, %d and %d of %d are drawn", drawn[7], drawn[200], draws)
	}
	for name, l := range map[string]float32{"NaN": float32(math.NaN()), "infinity": float32(math.Inf(1))} {
		logits[7] = l
		if _, err := d.draw(logits, 0.5); err == nil {
			t.Errorf("a token is drawn by %s", name)
		}
	}
}

// A text begins with BOS, else with EOS, else with any token.
func TestSampleBegins(t *testing.T) {
	m := *withTokenizer(t)
	of := m.Tokenizer
	for name, c := range map[string]struct {
		bos, eos int32
		add      bool
		want     int32 // -1: any
	}{
		"a BOS in front of texts": {5, 6, true, 5}, "a BOS": {5, 6, false, 5}, "no BOS": {-1, 6, false, 6}, "neither": {-1, -1, false, -1},
	} {
		m.Tokenizer = of.WithSpecials(c.bos, c.eos, c.add)
		text := sample(t, &m, Options{}, Sampling{Sequences: 30, Length: 2, Seed: 1})
		first := map[int32]bool{}
		for i := range text.Len() {
			first[text.ids(i)[0]] = true
		}
		if c.want >= 0 && (len(first) != 1 || !first[c.want]) || c.want < 0 && (len(first) < 20 || first[special]) {
			t.Errorf("%s: sequences begin with %v", name, first)
		}
	}
}

// Whoever waits sees the text grow, and may stop it.
func TestSampleIsShownAndStopped(t *testing.T) {
	m := withTokenizer(t)
	at, calls := 0, 0
	s := Sampling{Sequences: 5, Length: 16, Written: func(done, total int) {
		if done <= at || total != 80 {
			t.Errorf("after %d tokens, %d of %d are written", at, done, total)
		}
		at = done
		calls++
	}}
	sample(t, m, Options{Workers: 2}, s)
	if at != 80 || calls < 16 {
		t.Errorf("%d tokens were written in %d steps", at, calls)
	}
	ctx, stop := context.WithCancel(context.Background())
	s.Written = func(done, _ int) {
		if at = done; done >= 20 {
			stop()
		}
	}
	e := newEngine(t, m, Options{Path: kernels.Paths()[0].Exact(), Workers: 2, Context: 16, NoTeacher: true})
	if _, err := e.Sample(ctx, s); !errors.Is(err, context.Canceled) || at >= 40 {
		t.Errorf("stopped after 20 tokens, %d were written, %v", at, err)
	}
}

func TestSampleRefuses(t *testing.T) {
	m := withTokenizer(t)
	for name, s := range map[string]Sampling{
		"no sequences": {Length: 16}, "sequences of one token": {Sequences: 2, Length: 1}, "beyond the context": {Sequences: 2, Length: 18},
	} {
		e := newEngine(t, m, Options{Path: kernels.Paths()[0].Exact(), Context: 16, NoTeacher: true})
		if _, err := e.Sample(context.Background(), s); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// What is held at a time is what was foretold, within the bytes that keys and values may take.
func TestSampleBatch(t *testing.T) {
	m := testmodel.Llama(1, 2, 64, 96, vocab)
	cache := m.CacheBytes(512)
	for name, c := range map[string]struct {
		o         Options
		sequences int
		want      int
	}{
		"few":                 {Options{Workers: 2}, 5, 3},
		"a batch for each":    {Options{Workers: 2}, 64, 32},
		"batches of one size": {Options{Workers: 1}, 70, 24},
		"little memory":       {Options{Workers: 2, Wave: 10 * cache}, 64, 5},
		"no memory":           {Options{Workers: 2, Wave: 1}, 64, 1},
	} {
		c.o.Context = 512
		s := Sampling{Sequences: c.sequences, Length: 512}
		if got := c.o.sampleBatch(m, s); got != c.want {
			t.Errorf("%s: %d sequences at a time, want %d", name, got, c.want)
		}
		if bytes, least := c.o.SampleBytes(m, s), int64(c.o.Workers*c.want)*cache; bytes < least || bytes > 2*least {
			t.Errorf("%s: %d bytes are foretold, caches have %d", name, bytes, least)
		}
	}
}

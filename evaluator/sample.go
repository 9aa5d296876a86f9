package evaluator

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"sort"
	"sync"

	"github.com/finch-llm/finch/model"
)

const (
	// SampleVersion is raised when Sample writes another text for the same model, seed and lengths than before.
	SampleVersion = 1

	// SampleSeed is that of the texts that statistics are taken on: with the same settings, they are the same ones.
	SampleSeed = 1
)

// maxSampleBatch is how many sequences a worker writes side by side, if there is memory for their keys and values: each weight is
// unpacked once for a token of them all.
const maxSampleBatch = 32

// Sampling is a text that Engine.Sample has the model write.
type Sampling struct {
	Sequences, Length int // of each sequence in tokens, at most Options.Context
	Seed              uint64

	// Written says that done of total tokens are there. Calls come one at a time. Nil: nobody wants to know.
	Written func(done, total int)
}

// Sample has the model write sequences: the data-free calibration text of LLM-QAT (Liu et al., arXiv 2305.17888) and
// Self-calibration (Williams et al., arXiv 2410.17170).
//
// A sequence begins with the token that begins texts (BOS); where a model has none, with the one that ends them (EOS), after
// which another text begins; where it has neither, with any token, all being as likely. Each further token is drawn at
// temperature 1 from all tokens that stand for text, as they are likely after those before it. Special tokens are never drawn, so
// that the text goes on to the end of its sequence.
//
// The text depends on the model, the kernels, the seed, the lengths and, for longrope, Options.Context alone: a token is drawn by
// seed, sequence and position.
func (e *Engine) Sample(ctx context.Context, s Sampling) (*Corpus, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	w := &writing{
		Sampling: s, model: e.model, choices: textTokens(e.model), ids: make([]int32, s.Sequences*s.Length),
	}
	if len(w.choices) == 0 {
		return nil, fmt.Errorf("%s has no tokens that stand for text: it cannot write any", e.model.Ref)
	}
	workers := len(e.workers)
	batch := e.options.sampleBatch(e.model, s)
	err := e.each(ctx, "writing a text", workers, func(worker *worker, i int) error {
		return w.write(ctx, worker.runner, i*s.Sequences/workers, (i+1)*s.Sequences/workers, batch)
	})
	if err != nil {
		return nil, err
	}
	return NewCorpus(w.ids, len(w.ids), s.Length, -1)
}

// sampleBatch is how many sequences each worker writes side by side: so many that their keys and values take no more than Wave
// bytes, but one at least, and as many in its last batch as in the others, or a few less.
func (o *Options) sampleBatch(m *model.Model, s Sampling) int {
	workers := max(o.Workers, 1)
	share := max(1, (s.Sequences+workers-1)/workers)
	fit := o.wave() / int64(workers) / m.CacheBytes(o.Context)
	limit := max(1, int(min(maxSampleBatch, fit)))
	batches := (share + limit - 1) / limit
	return (share + batches - 1) / batches
}

// SampleBytes is about what Sample takes besides the weights: keys and values, and what is computed of a token.
func (o *Options) SampleBytes(m *model.Model, s Sampling) int64 {
	token := int64(4*m.Vocab + 4*4*(m.Hidden+m.Inner()+m.Heads*m.HeadDim))
	return int64(max(o.Workers, 1)) * (int64(o.sampleBatch(m, s))*(m.CacheBytes(o.Context)+token) + 8*int64(m.Vocab))
}

// textTokens are the tokens that stand for text.
func textTokens(m *model.Model) []int32 {
	var ids []int32
	for id := range int32(m.Vocab) {
		if m.Tokenizer.IsText(id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// writing is one call of Sample.
type writing struct {
	Sampling
	model   *model.Model
	choices []int32 // what may be drawn
	ids     []int32 // [sequences, length]

	mu   sync.Mutex // guards done
	done int
}

// write writes the sequences [from, to), so many at a time.
func (w *writing) write(ctx context.Context, r *model.Runner, from, to, batch int) error {
	var caches []*model.Cache
	for range min(batch, to-from) {
		caches = append(caches, r.NewCache())
	}
	d := &draft{
		writing: w, runner: r, hidden: make([]float32, len(caches)*w.model.Hidden), logits: make([]float32, len(caches)*w.model.Vocab),
		cumulative: make([]float64, len(w.choices)),
	}
	for ; from < to; from += batch {
		d.caches = caches[:min(batch, to-from)]
		if err := d.write(ctx, from); err != nil {
			return err
		}
	}
	return nil
}

// wrote says that so many more tokens are there.
func (w *writing) wrote(tokens int) {
	if w.Written == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.done += tokens
	w.Written(w.done, len(w.ids))
}

// draft is some sequences that one worker writes in lockstep.
type draft struct {
	*writing
	runner     *model.Runner
	caches     []*model.Cache // of each sequence
	hidden     []float32      // [sequences, hidden]
	logits     []float32      // [sequences, vocab]
	cumulative []float64      // of the probabilities of choices
}

// write writes the sequences from first on, one for each cache.
func (d *draft) write(ctx context.Context, first int) error {
	n := len(d.caches)
	hidden, logits, next := d.hidden[:n*d.model.Hidden], d.logits[:n*d.model.Vocab], make([]int32, n)
	for i, c := range d.caches {
		c.Reset()
		next[i] = d.begin(first + i)
	}
	for position := 0; ; position++ {
		for i, id := range next {
			d.ids[(first+i)*d.Length+position] = id
		}
		d.wrote(n)
		if position == d.Length-1 {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := d.runner.Extend(hidden, &d.model.Network, next, d.caches...); err != nil {
			return err
		}
		d.runner.Logits(logits, hidden)
		for i := range next {
			choice, err := d.draw(logits[i*d.model.Vocab:(i+1)*d.model.Vocab], uniform(d.Seed, first+i, position+1))
			if err != nil {
				return err
			}
			next[i] = choice
		}
	}
}

// begin is a sequence's first token.
func (d *draft) begin(sequence int) int32 {
	if bos, _ := d.model.Tokenizer.BOS(); bos >= 0 {
		return bos
	}
	if eos := d.model.Tokenizer.EOS(); eos >= 0 {
		return eos
	}
	return d.choices[int(uniform(d.Seed, sequence, 0)*float64(len(d.choices)))]
}

// uniform is the random number in [0, 1) that a token is drawn with.
func uniform(seed uint64, sequence, position int) float64 {
	return rand.New(rand.NewPCG(seed, uint64(sequence)<<32|uint64(position))).Float64()
}

// draw picks the token at which the cumulative probabilities pass u.
func (d *draft) draw(logits []float32, u float64) (int32, error) {
	top := math.Inf(-1)
	for _, id := range d.choices {
		top = max(top, float64(logits[id]))
	}
	sum := 0.0
	for i, id := range d.choices {
		sum += math.Exp(float64(logits[id]) - top)
		d.cumulative[i] = sum
	}
	if !(sum > 0) {
		return 0, fmt.Errorf("%s predicts no token: its logits are not finite", d.model.Ref)
	}
	at := sort.Search(len(d.choices)-1, func(i int) bool { return d.cumulative[i] > u*sum })
	return d.choices[at], nil
}

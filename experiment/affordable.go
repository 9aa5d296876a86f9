package experiment

import (
	"context"
	"slices"
	"strings"

	"github.com/finch-llm/finch/compress"
	"github.com/finch-llm/finch/configs"
	"github.com/finch-llm/finch/evaluator"
	"github.com/finch-llm/finch/kernels"
	"github.com/finch-llm/finch/model"
)

// offer is a level that a composed experiment may take.
type offer struct {
	name    string
	above   bool    // all layers at it exceed the budget
	seconds float64 // to make it for all layers
}

// Up to so many rows and columns of the first layer each level is timed on.
const (
	sampleRows = 32
	sampleCols = 1024
)

// composedStatistics is how many tokens of the calibration text fitted levels of composed experiments are fitted to, at most.
const composedStatistics = 32768

// afford leaves those offers whose levels can be made in so many seconds, and fits them to statistics if there is time for that too. It
// writes them into the experiment and returns the seconds that they take: more than limit only if the quickest on either side of the
// budget do.
func (s *Session) afford(ctx context.Context, t *Task, offers []offer, limit float64) (float64, error) {
	sample := t.sample()
	total := 0.0
	for i := range offers {
		var err error
		if offers[i].seconds, err = s.time(sample, offers[i].name); err != nil {
			return 0, err
		}
		offers[i].seconds *= sample.weights
		total += offers[i].seconds
	}
	for total > limit {
		i := dearest(offers)
		if i < 0 {
			break
		}
		total -= offers[i].seconds
		offers = slices.Delete(offers, i, i+1)
	}
	if total < limit {
		more, err := s.fitOffers(ctx, t, sample, offers, limit-total)
		if err != nil {
			return 0, err
		}
		total += more
	}
	t.Config.Levels.Names = nil
	for _, o := range offers {
		t.Config.Levels.Names = append(t.Config.Levels.Names, o.name)
	}
	return total, nil
}

// dearest is the offer that takes longest, of those without which there are two or more, on the same sides of the budget; -1 if there
// is none.
func dearest(offers []offer) int {
	at := -1
	for i, o := range offers {
		beside := 0
		for _, other := range offers {
			if other.above == o.above {
				beside++
			}
		}
		if len(offers) > 2 && beside > 1 && (at < 0 || o.seconds > offers[at].seconds) {
			at = i
		}
	}
	return at
}

// fitOffers has offers fitted to statistics, the smallest first, which gain most, as far as that takes no more seconds than limit, and
// returns how many it takes.
func (s *Session) fitOffers(ctx context.Context, t *Task, sample *sample, offers []offer, limit float64) (float64, error) {
	set := t.Calibration
	tokens := min(composedStatistics, len(set.Tokens)) / set.Sequence * set.Sequence
	t.fitting = &fitting{text: configs.Text{Data: t.Config.Calibration.Data, Tokens: tokens, Sequence: set.Sequence}}
	statistics, err := s.statisticsSeconds(ctx, t)
	if err != nil || statistics > limit {
		return 0, err
	}
	outputs, factors, err := s.productSeconds(sample)
	if err != nil {
		return 0, err
	}
	// GPTQ fits a text more closely than an importance matrix does, which is a gain where the text is what the model is for.
	steps := []struct {
		prefix  string
		once    float64 // seconds for the first of them
		scale   float64 // from the sample to the model
		applies bool
	}{
		{"imatrix-", statistics + outputs*float64(len(offers)+1)/2, sample.weights, true},
		{"gptq-", factors, sample.products, !strings.HasPrefix(t.Config.Calibration.Data, "builtin:")},
	}
	total, once := 0.0, 0.0
	plain := slices.Clone(offers)
	for _, step := range steps {
		if !step.applies {
			continue
		}
		once += step.once
		for i := range offers {
			name := step.prefix + plain[i].name
			level, err := compress.ParseLevel(name)
			if err != nil || !s.hasMemory(t, level) {
				continue // q8_0 has no use for importance, nor the IQ types for GPTQ
			}
			seconds, err := s.time(sample, name)
			if err != nil {
				return 0, err
			}
			seconds *= step.scale
			if more := once + seconds - offers[i].seconds; total+more <= limit {
				offers[i].name, offers[i].seconds = name, seconds
				total, once = total+more, 0
				t.Config.Statistics = configs.Statistics{Text: t.fitting.text}
			}
		}
	}
	return total, nil
}

// hasMemory says that there is enough to fit a level.
func (s *Session) hasMemory(t *Task, level compress.Level) bool {
	memory, _ := t.buildingBytes([]wanted{{level: level}}, s.options())
	return s.Memory == 0 || memory <= s.Memory
}

// statisticsSeconds measures, by a few sequences and the first block, how long it takes to run the model on the text of its fitting.
func (s *Session) statisticsSeconds(ctx context.Context, t *Task) (float64, error) {
	few := t.fitting.text
	few.Tokens = min(few.Tokens, 2*s.Workers*few.Sequence)
	corpus, err := s.corpus(t.Model, few)
	if err != nil {
		return 0, err
	}
	engine, err := s.fitter(t.Model, few.Sequence)
	if err != nil {
		return 0, err
	}
	defer engine.Rest()
	start := s.Clock()
	err = engine.Statistics(ctx, &evaluator.Calibration{
		Corpus: corpus,
		Needs: func(block int, _ model.Kind) compress.Needs {
			if block == 0 {
				return compress.NeedsHessian
			}
			return compress.NeedsNothing
		},
		Take: func(int, *[model.NumKinds]*compress.Statistics) error { return nil },
	})
	blocks := float64(t.Model.Blocks) * float64(t.fitting.text.Tokens) / float64(few.Tokens)
	return s.Clock().Sub(start).Seconds() * blocks, err
}

// sample is a part of the first layer that levels are timed on, and how much more all layers take: what grows with their weights, with
// rows × columns², as products with second moments do, and with the columns³ of each input, as factors of the moments do.
type sample struct {
	compress.Layer
	weights, products, factors float64
}

func (t *Task) sample() *sample {
	first := &t.layers[0]
	rows, cols := min(sampleRows, first.dense.Rows), min(sampleCols, first.dense.Cols)
	p := &sample{Layer: compress.Layer{
		Name: first.source.Name, Rows: rows, Cols: cols, Weights: make([]float32, rows*cols), Statistics: evenStatistics(cols),
	}}
	row := make([]float32, first.dense.Cols)
	for r := range rows {
		kernels.Unpack(row, first.dense, r)
		copy(p.Weights[r*cols:(r+1)*cols], row)
	}
	for i := range t.layers {
		l := &t.layers[i]
		r, c := float64(l.dense.Rows)/float64(rows), float64(l.dense.Cols)/float64(cols)
		p.weights += r * c
		p.products += r * c * c
		if l.kind.Input() == l.kind {
			p.factors += c * c * c
		}
	}
	return p
}

// evenStatistics are of inputs of mean square 1, any two of which have half of that in common.
func evenStatistics(cols int) *compress.Statistics {
	s := &compress.Statistics{Tokens: 1, Squares: make([]float64, cols), Hessian: make([]float64, cols*cols)}
	for i := range s.Hessian {
		s.Hessian[i] = 0.5
	}
	for i := range s.Squares {
		s.Squares[i], s.Hessian[i*cols+i] = 1, 1
	}
	return s
}

// time measures how long it takes to store a sample at a level, each worker busy with another.
func (s *Session) time(p *sample, name string) (float64, error) {
	level, err := compress.ParseLevel(name)
	if err != nil {
		return 0, err
	}
	start := s.Clock()
	_, err = compress.Compress(p.Layer, level)
	return s.Clock().Sub(start).Seconds() / float64(s.Workers), err
}

// productSeconds measures how long all layers take for the errors of their outputs at one level, twice, and for the factors that GPTQ
// needs, which the statistics of p then have.
func (s *Session) productSeconds(p *sample) (outputs, factors float64, err error) {
	level, err := compress.ParseLevel("gptq-q4_k")
	if err != nil {
		return 0, 0, err
	}
	with, err := s.time(p, level.Name())
	if err != nil {
		return 0, 0, err
	}
	without, err := s.time(p, level.Name())
	if err != nil {
		return 0, 0, err
	}
	m, err := compress.Compress(p.Layer, level)
	if err != nil {
		return 0, 0, err
	}
	start := s.Clock()
	compress.Describe(p.Layer, level, m)
	outputs = s.Clock().Sub(start).Seconds() / float64(s.Workers) * p.products
	return outputs, max(0, with-without) * p.factors, nil
}

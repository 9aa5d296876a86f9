package experiment

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/finch-llm/finch/compress"
	"github.com/finch-llm/finch/configs"
	"github.com/finch-llm/finch/evaluator"
	"github.com/finch-llm/finch/export"
	"github.com/finch-llm/finch/search"
)

// Wish is what somebody wants of a model who writes no experiment file.
type Wish struct {
	Name, Model   string
	Bytes         int64   // of the GGUF file, or
	BitsPerWeight float64 // over its layers
	Data, HeldOut string  // texts to search on and to measure on
	TimeLimit     time.Duration
}

// UnreachableError says that no choice of levels comes to what is wished for.
type UnreachableError struct{ message string }

func (e *UnreachableError) Error() string { return e.message }

// Defaults of composed experiments, at most.
const (
	composedSequence    = 512
	composedCalibration = 98304
	composedEvaluation  = 32768
)

// ladderLevels are formats of GGUF with the fewest bits for what they lose, from the smallest.
var ladderLevels = []string{
	"iq2_xxs", "iq2_xs", "iq2_s", "q2_k", "iq3_xxs", "iq3_s", "q3_k", "iq4_xs", "iq4_nl", "q4_k", "q5_k", "q6_k", "q8_0",
}

// beside is how many levels are offered below and above the wish, for layers that matter less and more.
const beside = 5

// schemes are ways to spend tokens on a generation, from the most careful; stages are in sequences.
var schemes = []struct {
	offspring         int
	survivors, stages []int
}{
	{32, []int{8, 2, 1}, []int{1, 8, 48}},
	{16, []int{4, 1}, []int{1, 16}},
	{8, []int{1}, []int{2}},
}

// Generations of a composed search: with fewer than enough a cheaper scheme is taken, more than the most gain little.
const (
	leastGenerations  = 3
	enoughGenerations = 40
	mostGenerations   = 400
)

// Compose writes an experiment file for a wish: the levels that the model's rows allow around it, and as long a search as the
// time allows at the speed that is measured here. An *UnreachableError names the smallest and the largest size there are.
func (s *Session) Compose(ctx context.Context, w Wish) ([]byte, error) {
	t, err := s.compose(w)
	if err != nil {
		return nil, err
	}
	offers, err := t.chooseLevels(w)
	if err != nil {
		return nil, err
	}
	speed, err := s.speed(ctx, t)
	if err != nil {
		return nil, err
	}
	levels, err := s.afford(ctx, t, offers, w.TimeLimit.Seconds()/4)
	if err != nil {
		return nil, err
	}
	held := float64(3*len(t.Evaluation.Tokens)+2*len(t.Calibration.Tokens)) / speed // winner, baseline, dense; winner and baseline
	t.pace((w.TimeLimit.Seconds() - levels - held) * speed)
	return t.write(w), nil
}

// compose prepares a task that may take every level.
func (s *Session) compose(w Wish) (*Task, error) {
	if w.Data == w.HeldOut {
		return nil, fmt.Errorf("%s cannot be searched on and be held out: give two texts", w.Data)
	}
	config := &configs.Experiment{
		Name: w.Name, Model: w.Model, Target: configs.GGUF, Seeds: []uint64{1},
		Calibration: configs.Text{Data: w.Data}, Evaluation: configs.Text{Data: w.HeldOut},
		Levels: configs.Levels{Names: ladderLevels}, Budget: configs.Budget{Bytes: w.Bytes, BitsPerWeight: w.BitsPerWeight},
		Search: configs.Search{Fitness: configs.KL},
	}
	if err := s.fetch(config); err != nil {
		return nil, err
	}
	m, err := s.model(w.Model)
	if err != nil {
		return nil, err
	}
	if err := original(m); err != nil {
		return nil, err
	}
	t := &Task{Config: config, Model: m}
	for _, text := range []struct {
		data   string
		most   int
		config *configs.Text
		corpus **evaluator.Corpus
	}{{w.Data, composedCalibration, &config.Calibration, &t.Calibration}, {w.HeldOut, composedEvaluation, &config.Evaluation, &t.Evaluation}} {
		ids, err := s.tokens(m, text.data, text.most)
		if err != nil {
			return nil, err
		}
		sequence := min(composedSequence, m.Context)
		whole := min(text.most, len(ids)) / sequence * sequence
		if whole < 2*sequence {
			return nil, fmt.Errorf("%s has less than %d tokens: give a longer text", text.data, 2*sequence)
		}
		*text.config = configs.Text{Data: text.data, Tokens: whole, Sequence: sequence}
		if *text.corpus, err = s.corpus(m, *text.config); err != nil {
			return nil, err
		}
	}
	if t.target, err = export.For(configs.GGUF, m); err != nil {
		return nil, err
	}
	return t, t.layOut()
}

// chooseLevels offers the levels that are next to the wish, or says that there are none.
func (t *Task) chooseLevels(w Wish) ([]offer, error) {
	p, err := t.problem(t.estimate)
	if err != nil {
		return nil, err
	}
	smallest, largest := p.fixed, p.fixed
	for i := range p.sites { // choices are sorted by size
		c := p.sites[i].choices
		smallest.add(c[0].cost)
		largest.add(c[len(c)-1].cost)
	}
	size, limit := func(c cost) int64 { return c.file }, w.Bytes
	if w.Bytes == 0 {
		size, limit = func(c cost) int64 { return c.stored }, int64(w.BitsPerWeight*float64(t.Model.LayerWeights())/8)
	}
	reach := fmt.Sprintf("with levels of a GGUF, %s reaches from %d to %d bytes, %.3f to %.3f bits per weight", t.Model.Ref,
		smallest.file, largest.file, p.bitsPerWeight(smallest), p.bitsPerWeight(largest))
	switch {
	case limit < size(smallest):
		return nil, &UnreachableError{reach + ": ask for more"}
	case limit > size(largest):
		return nil, &UnreachableError{reach + ": there is nothing to search for, ask for less"}
	case smallest == largest:
		return nil, &UnreachableError{reach + ": its rows divide into no blocks, so there is nothing to search for"}
	}
	type sized struct {
		offer
		bytes int64
	}
	var below, above []sized
	seen := map[string]bool{}
	for _, name := range ladderLevels {
		total, as, err := p.uniform(name)
		if err != nil {
			return nil, err
		}
		if seen[as] { // the same in every layer
			continue
		}
		seen[as] = true
		o := sized{offer{name: name, above: size(total) > limit}, size(total)}
		if o.above {
			above = append(above, o)
		} else {
			below = append(below, o)
		}
	}
	bySize := func(a, b sized) int { return cmp.Compare(a.bytes, b.bytes) }
	slices.SortStableFunc(below, bySize)
	slices.SortStableFunc(above, bySize)
	var offers []offer
	for _, o := range append(below[max(0, len(below)-beside):], above[:min(beside, len(above))]...) {
		offers = append(offers, o.offer)
	}
	return offers, nil
}

// uniform is what all layers at one level cost, and how each is stored there.
func (p *Problem) uniform(name string) (total cost, as string, err error) {
	level, err := compress.ParseLevel(name)
	if err != nil {
		return cost{}, "", err
	}
	total = p.fixed
	var formats strings.Builder
	for i := range p.layers {
		_, info, err := p.estimate(&p.layers[i], levelChoice{name, level})
		if err != nil {
			return cost{}, "", err
		}
		total.add(p.cost(info))
		fmt.Fprintf(&formats, "%s ", info.Format)
	}
	return total, formats.String(), nil
}

// pace chooses a search that scores about so many tokens.
func (t *Task) pace(tokens float64) {
	s := &t.Config.Search
	for _, scheme := range schemes {
		s.Offspring, s.Survivors, s.Tokens = scheme.offspring, scheme.survivors, nil
		for _, n := range scheme.stages {
			s.Tokens = append(s.Tokens, min(n, t.Calibration.Len())*t.Calibration.Sequence)
		}
		generation := search.Settings{Generations: 1, Offspring: s.Offspring, Survivors: s.Survivors, Tokens: s.Tokens}.TotalTokens()
		s.Generations = max(leastGenerations, min(mostGenerations, int(tokens/float64(generation))))
		if s.Generations >= enoughGenerations {
			break
		}
	}
}

// write is the experiment as a file.
func (t *Task) write(w Wish) []byte {
	c := t.Config
	var b bytes.Buffer
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	text := func(x configs.Text) string {
		return fmt.Sprintf("{ data = %s, tokens = %d, sequence = %d }", quote(x.Data), x.Tokens, x.Sequence)
	}
	line("# By finch compress, for a search of about %v on the machine that wrote it. finch run goes on with it.\n", w.TimeLimit)
	line("[[experiment]]")
	line("name        = %s", quote(c.Name))
	line("model       = %s", quote(c.Model))
	line("calibration = %s", text(c.Calibration))
	line("evaluation  = %s", text(c.Evaluation))
	if c.Statistics != (configs.Statistics{}) {
		line("statistics  = %s", text(c.Statistics.Text))
	}
	line("target      = %s", quote(c.Target))
	line("levels      = %s", quote(c.Levels.Names))
	if c.Budget.Bytes > 0 {
		line(`budget      = { bytes = "%d B" }`, c.Budget.Bytes)
	} else {
		line("budget      = { bits_per_weight = %v }", c.Budget.BitsPerWeight)
	}
	line("\n[experiment.search]")
	line("generations = %d", c.Search.Generations)
	line("offspring   = %d", c.Search.Offspring)
	line("survivors   = %s", quote(c.Search.Survivors))
	line("tokens      = %s", quote(c.Search.Tokens))
	line("start       = %s", quote(configs.StartUniform)) // so that more time is never wasted on less than the naive mix
	return b.Bytes()
}

// quote writes text or a list as JSON does, which TOML reads.
func quote(v any) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err) // text and lists of text and numbers have a form
	}
	return strings.TrimSpace(b.String())
}

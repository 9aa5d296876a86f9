package experiment

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"

	"github.com/finch-llm/finch/configs"
	"github.com/finch-llm/finch/kernels"
)

// Latency is a table of what a pass over some tokens takes on one machine. A pass is the sum of its layers and of what is fixed.
// docs/formats.md has the file.
type Latency struct {
	Machine string                      `json:"machine"` // for people
	Kernels string                      `json:"kernels"` // for people: what was measured
	Model   string                      `json:"model"`   // SHA-256, hexadecimal, as runs.model_hash
	Tokens  int                         `json:"tokens"`  // at once: 1 in decoding
	Fixed   int64                       `json:"fixed_ns"`
	Layers  map[string]map[string]int64 `json:"layers_ns"` // by the layer's name and the level's
}

// denseLevel stands in a table for a layer without a choice, which stays as the model has it.
const denseLevel = "dense"

const (
	maxLatencyFile = 64 << 20
	maxLatency     = int64(1e15) // of an entry, in nanoseconds: sums of them fit int64
)

// readLatency reads the table that the budget names, and makes sure that it is one of this model and has all times that the search may need.
func (t *Task) readLatency() error {
	path := t.Config.Budget.LatencyTable
	if path == "" {
		return nil
	}
	table, err := parseLatency(path)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if table.Model != t.Model.Hash {
		return fmt.Errorf("%s is of another model (SHA-256 %.12s, %s has %.12s): measure this one with finch bench latency", path, table.Model, t.Model.Ref, t.Model.Hash)
	}
	for i := range t.layers {
		l := &t.layers[i]
		for _, level := range l.levelNames() {
			if _, ok := table.Layers[l.source.Name][level]; !ok {
				return fmt.Errorf("%s has no time of %s at %s: measure it with finch bench latency, or leave the level out", path, l.source.Name, level)
			}
		}
	}
	t.latency = table
	return nil
}

// levelNames are those under which a table has the layer.
func (l *layer) levelNames() []string {
	if len(l.choices) == 0 {
		return []string{denseLevel}
	}
	names := make([]string, len(l.choices))
	for i, c := range l.choices {
		names[i] = c.level.Name()
	}
	return names
}

func parseLatency(path string) (*Latency, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, errors.Unwrap(err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxLatencyFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxLatencyFile {
		return nil, fmt.Errorf("it has more than %d bytes: no table of latencies is as long", maxLatencyFile)
	}
	var table Latency
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&table); err != nil {
		return nil, fmt.Errorf("no table of latencies: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("no table of latencies: something follows on it")
	}
	if table.Tokens < 1 {
		return nil, fmt.Errorf(`"tokens" is %d: write how many are computed at once, 1 in decoding`, table.Tokens)
	}
	if table.Fixed < 0 || table.Fixed > maxLatency {
		return nil, fmt.Errorf(`"fixed_ns" is %d: write nanoseconds from 0 to %d`, table.Fixed, maxLatency)
	}
	for _, layer := range slices.Sorted(maps.Keys(table.Layers)) {
		for _, level := range slices.Sorted(maps.Keys(table.Layers[layer])) {
			if ns := table.Layers[layer][level]; ns < 0 || ns > maxLatency {
				return nil, fmt.Errorf("%s at %s takes %d: write nanoseconds from 0 to %d", layer, level, ns, maxLatency)
			}
		}
	}
	return &table, nil
}

func (l *Latency) fixed() int64 {
	if l == nil {
		return 0
	}
	return l.Fixed
}

// of is what a layer takes at a level ("": as the model has it).
func (l *Latency) of(layer, level string) int64 {
	if l == nil {
		return 0
	}
	if level == "" {
		level = denseLevel
	}
	return l.Layers[layer][level]
}

// MeasureLatency measures what an experiment's layers take at each of their levels on one core, so many tokens at once, and the output matrix
// as what is fixed. Levels that are missing are built. Layers of one shape are measured once. Since decoding waits for memory, each matrix is
// one of as many copies as make up cache bytes, which should be more than the caches of the processor hold. A time is the median of so many
// rounds through all copies.
func (s *Session) MeasureLatency(ctx context.Context, config *configs.Experiment, tokens, rounds int, cache int64) (*Latency, error) {
	if err := s.fetch(config); err != nil {
		return nil, err
	}
	m, err := s.model(config.Model)
	if err != nil {
		return nil, config.Errorf("model", "%v", err)
	}
	t, err := s.levelsOf(config, m)
	if err != nil {
		return nil, config.Errorf("levels", "%v", err)
	}
	if err := s.build(ctx, t, t.wanted()); err != nil {
		return nil, err
	}
	w := &stopwatch{Session: s, worker: s.Path.NewWorker(), tokens: tokens, rounds: rounds, cache: cache, known: map[shape]int64{}}
	table := &Latency{Kernels: s.Path.Name(), Model: m.Hash, Tokens: tokens, Layers: map[string]map[string]int64{}}
	for i := range t.layers {
		if table.Layers[t.layers[i].source.Name], err = w.layer(ctx, &t.layers[i]); err != nil {
			return nil, err
		}
	}
	table.Fixed = w.measure(m.Head)
	return table, nil
}

// stopwatch measures multiplies.
type stopwatch struct {
	*Session
	worker         *kernels.Worker
	tokens, rounds int
	cache          int64
	known          map[shape]int64
}

type shape struct {
	rows, cols int
	level      string
}

// layer measures all levels of a layer, or takes the times of one of the same shape.
func (w *stopwatch) layer(ctx context.Context, l *layer) (map[string]int64, error) {
	times := map[string]int64{}
	for i, level := range l.levelNames() {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		key := shape{l.dense.Rows, l.dense.Cols, level}
		if _, ok := w.known[key]; !ok {
			m := l.dense
			if level != denseLevel {
				var err error
				if m, err = w.load(l, i); err != nil {
					return nil, err
				}
			}
			w.known[key] = w.measure(m)
		}
		times[level] = w.known[key]
	}
	return times, nil
}

func (w *stopwatch) load(l *layer, choice int) (*kernels.Matrix, error) {
	m, _, err := w.levels.Load(l.source.Key(l.choices[choice].level))
	return m, err
}

// measure is the median of the nanoseconds that a multiply takes, in each round on average over the copies.
func (w *stopwatch) measure(m *kernels.Matrix) int64 {
	copies := make([]kernels.Matrix, max(2, (w.cache+m.Bytes()-1)/m.Bytes()))
	for i := range copies {
		copies[i] = *m
		copies[i].Data, copies[i].Mask = bytes.Clone(m.Data), bytes.Clone(m.Mask)
	}
	x, dst := make([]float32, w.tokens*m.Cols), make([]float32, w.tokens*m.Rows)
	for i := range x {
		x[i] = float32(i%7) - 3
	}
	round := func() int64 {
		start := w.Clock()
		for i := range copies {
			w.worker.MatMul(dst, x, w.tokens, &copies[i])
		}
		return int64(math.Round(float64(w.Clock().Sub(start).Nanoseconds()) / float64(len(copies))))
	}
	round() // pages in the memory
	times := make([]int64, w.rounds)
	for i := range times {
		times[i] = round()
	}
	slices.Sort(times)
	return times[len(times)/2]
}

// Range is the least and the most that a pass with all layers can take.
func (l *Latency) Range() (least, most int64) {
	least, most = l.Fixed, l.Fixed
	for _, levels := range l.Layers {
		times := slices.Collect(maps.Values(levels))
		least, most = least+slices.Min(times), most+slices.Max(times)
	}
	return least, most
}

package experiment

import (
	"context"
	"slices"

	"github.com/finch-llm/finch/compress"
	"github.com/finch-llm/finch/internal/atomicfile"
	"github.com/finch-llm/finch/kernels"
)

// Build has the levels built that the task needs and lays out its search space with their exact costs.
func (s *Session) Build(ctx context.Context, t *Task) (*Problem, error) {
	if err := s.build(ctx, t, t.wanted()); err != nil {
		return nil, err
	}
	keys := map[*kernels.Matrix]compress.Key{}
	p, err := t.problem(func(l *layer, c levelChoice) (*kernels.Matrix, compress.Info, error) {
		key := l.source.Key(c.level)
		m, info, err := s.levels.Load(key)
		keys[m] = key
		return m, info, err
	})
	if err != nil {
		return nil, err
	}
	p.keys = keys
	if err := p.Space.Validate(); err != nil {
		return nil, t.Config.Errorf("budget", "%v", err)
	}
	return p, nil
}

// wanted is a layer at a level that is to be in the level database.
type wanted struct {
	layer *layer
	level compress.Level
}

func (w wanted) key() compress.Key { return w.layer.source.Key(w.level) }

// wanted is every choice of every layer.
func (t *Task) wanted() []wanted {
	var list []wanted
	for i := range t.layers {
		for _, c := range t.layers[i].choices {
			list = append(list, wanted{&t.layers[i], c.level})
		}
	}
	return list
}

// Keys are those that the task's levels have in the level database.
func (t *Task) Keys() map[compress.Key]bool {
	keys := map[compress.Key]bool{}
	for _, w := range t.wanted() {
		keys[w.key()] = true
	}
	return keys
}

// build makes the levels that the level database lacks. Those that learn from their layers' inputs come last, block by block:
// only if there are any is the model run.
func (s *Session) build(ctx context.Context, t *Task, want []wanted) error {
	if s.levels == nil {
		db, err := compress.OpenDatabase(s.Levels)
		if err != nil {
			return err
		}
		s.levels = db
		if err := atomicfile.Clean(s.Levels); err != nil { // whoever holds the database is alone in its folder
			return err
		}
	}
	if len(want) == 0 {
		return nil
	}
	plain, fitted := s.missing(want)
	if through := t.before(fitted, want); len(through) > 0 {
		want = append(slices.Clone(want), through...)
		plain, fitted = s.missing(want)
	}
	b := &builder{Session: s, Task: t, done: len(want) - len(plain) - len(fitted), total: len(want)}
	s.Progress.Levels(b.done, b.total)
	if err := b.build(ctx, jobs(plain)); err != nil || len(fitted) == 0 {
		return err
	}
	return b.fit(ctx, fitted)
}

// missing lists what the level database lacks: levels that learn nothing, and those that are fitted to statistics.
func (s *Session) missing(want []wanted) (plain, fitted []wanted) {
	for _, w := range want {
		switch {
		case compress.Built(s.Levels, w.key()):
		case w.level.Needs() == compress.NeedsNothing:
			plain = append(plain, w)
		default:
			fitted = append(fitted, w)
		}
	}
	return plain, fitted
}

// builder makes levels and says how many are there.
type builder struct {
	*Session
	*Task
	done, total int
}

func (b *builder) build(ctx context.Context, jobs []compress.Job) error {
	before := b.done
	return compress.Build(ctx, b.Levels, jobs, b.Workers, func(done, _ int, _ int64) {
		b.done = before + done
		b.Progress.Levels(b.done, b.total)
	})
}

func jobs(list []wanted) []compress.Job {
	var jobs []compress.Job
	for _, w := range list {
		jobs = append(jobs, compress.Job{Layer: w.layer.source, Level: w.level})
	}
	return jobs
}

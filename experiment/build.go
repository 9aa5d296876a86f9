package experiment

import (
	"context"
	"math"
	"slices"

	"github.com/finch-llm/finch/compress"
	"github.com/finch-llm/finch/internal/atomicfile"
	"github.com/finch-llm/finch/kernels"
)

// Build has the levels built that the task needs and lays out its search space with their exact costs. If that takes statistics, the
// levels of all prepared tasks that have the same are built with them.
func (s *Session) Build(ctx context.Context, t *Task) (*Problem, error) {
	limited, cancel := s.limited(ctx)
	defer cancel()
	if err := s.build(limited, t, t.wanted()); err != nil {
		if context.Cause(limited) == ErrTimeLimit {
			return nil, ErrTimeLimit
		}
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

// sharing adds to what a task wants what the other prepared tasks do whose levels are fitted to the same.
func (s *Session) sharing(t *Task, want []wanted) []wanted {
	all, seen := slices.Clone(want), map[compress.Key]bool{}
	for _, w := range want {
		seen[w.key()] = true
	}
	for _, o := range s.tasks {
		if !t.fitting.same(o.fitting) {
			continue
		}
		for _, w := range o.wanted() {
			if key := w.key(); !seen[key] {
				seen[key] = true
				all = append(all, w)
			}
		}
	}
	return all
}

// build makes the levels that a task wants and the level database lacks. If the model has to be run for them, it is run once for all
// tasks.
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
	missing, err := t.missing(s.Levels, want)
	if err != nil {
		return err
	}
	run := len(missing) > 0 && t.fitting.runs()
	if run {
		want = s.sharing(t, want)
		if missing, err = t.missing(s.Levels, want); err != nil {
			return err
		}
		through := t.before(s.Levels, missing, want)
		missing, want = append(missing, through...), append(want, through...)
	}
	b := &builder{Session: s, Task: t, done: len(want) - len(missing), total: len(want)}
	if run {
		return b.fit(ctx, missing)
	}
	s.Progress.Levels(b.done, b.total)
	return b.build(ctx, jobs(missing))
}

// missing lists what the level database in a folder lacks of some levels: their files or, where the model can be run on a text, the
// errors of their outputs.
func (t *Task) missing(dir string, want []wanted) ([]wanted, error) {
	known, err := compress.ReadMeasures(dir)
	if err != nil {
		return nil, err
	}
	var missing []wanted
	for _, w := range want {
		measured := !t.fitting.runs() || !math.IsNaN(known.OutputError(w.key(), t.fitting.id))
		if !measured || !compress.Built(dir, w.key()) {
			missing = append(missing, w)
		}
	}
	return missing, nil
}

// builder makes levels and says how many are there.
type builder struct {
	*Session
	*Task
	done, total int
}

func (b *builder) build(ctx context.Context, jobs []compress.Job) error {
	before := b.done
	return compress.Build(ctx, b.Levels, jobs, b.Workers, b.Clock, func(done, _ int, _ int64) {
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

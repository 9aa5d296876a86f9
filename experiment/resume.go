package experiment

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/finch-llm/finch/configs"
	"github.com/finch-llm/finch/evaluator"
	"github.com/finch-llm/finch/search"
	"github.com/finch-llm/finch/store"
)

// Finished says that the experiment's run with this seed has ended, with these settings.
func (s *Session) Finished(ctx context.Context, config *configs.Experiment, seed uint64) (bool, error) {
	r, err := s.DB.FindRun(ctx, config.Name, int64(seed))
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	fewer, err := mayGoOn(config, &r)
	return r.Status == store.Finished && fewer == 0, err
}

// SetAside supersedes the runs of experiments, all their seeds, in one step: Run then begins new ones.
func (s *Session) SetAside(ctx context.Context, experiments ...*configs.Experiment) error {
	var runs []int64
	for _, e := range experiments {
		for _, seed := range e.Seeds {
			r, err := s.DB.FindRun(ctx, e.Name, int64(seed))
			if errors.Is(err, store.ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			runs = append(runs, r.ID)
		}
	}
	if len(runs) == 0 {
		return nil
	}
	return s.DB.SupersedeRuns(ctx, runs...)
}

// fixed are the settings that a run keeps to its end, each with the reason: whatever has been scored would be something
// else. A table stands for its keys. docs/experiments.md has the table of what may change.
var fixed = []struct{ key, reason string }{
	{"model", "all candidates are compressed forms of it"},
	{"calibration", "all candidates were scored on this text"},
	{"evaluation", "results are comparable on the same text only"},
	{"statistics", "the levels that were scored are fitted to it"},
	{"target", "the bytes of all candidates are those in this kind of file"},
	{"levels", "genomes are numbers in this list"},
	{"levels_for", "genomes are numbers in these lists"},
	{"same", "it decided which layers are chosen together"},
	{"protect", "it decided which layers are chosen at all"},
	{"budget", "all candidates were made to meet it"},
	{"search", "it decided which candidates there are"},
}

// mayGoOn refuses to go on with a run under other settings, but for more generations: then it gives the number asked for so far, else 0.
func mayGoOn(config *configs.Experiment, r *store.Run) (fewer int, err error) {
	if r.ConfigHash == hash(config.Canonical()) {
		return 0, nil
	}
	changes, err := config.Changes([]byte(r.Config))
	if err != nil {
		return 0, fmt.Errorf("run %d: %w: finch check says what is wrong with the database", r.ID, err)
	}
	for _, c := range changes {
		if reason := refusal(config, c); reason != "" {
			return 0, refuse(config, r, c, reason)
		}
		fewer, _ = strconv.Atoi(c.Was) // generations, which refusal has read
	}
	return fewer, nil
}

// refuse says that a run does not go on with a changed setting, and why.
func refuse(config *configs.Experiment, r *store.Run, c configs.Change, reason string) error {
	return config.Errorf(c.Key, "%s is %s, but run %d of %q with seed %d was begun with %s: %s: write %s again, give the experiment another name, or start anew with --fresh, which keeps the old run",
		c.Key, written(c.Is), r.ID, config.Name, r.Seed, written(c.Was), reason, written(c.Was))
}

// refusal is why a run does not go on with a changed setting; "" if it does.
func refusal(config *configs.Experiment, c configs.Change) string {
	if c.Key == "search.generations" {
		at := slices.IndexFunc(search.Methods(), func(m search.Method) bool { return m.Name == config.Search.Method })
		if at < 0 || !search.Methods()[at].Extends {
			return fmt.Sprintf("method %q spends all generations at once", config.Search.Method)
		}
		if was, err := strconv.Atoi(c.Was); err != nil || config.Search.Generations < was {
			return "it may rise while a run goes on, and not fall"
		}
		return ""
	}
	table, _, _ := strings.Cut(c.Key, ".")
	for _, f := range fixed {
		if f.key == table {
			return f.reason
		}
	}
	return "this finch does not know what it changes"
}

// written is a value of a setting, or that it has none.
func written(value string) string {
	if value == "" {
		return "none"
	}
	return value
}

// begin finds the run to go on with or records a new one.
func (r *run) begin(ctx context.Context) error {
	config := r.Config
	settings := config.Canonical()
	old, err := r.DB.FindRun(ctx, config.Name, int64(r.seed))
	switch {
	case err == nil:
		var extends bool
		if extends, err = r.mayResume(&old); err != nil {
			return err
		}
		r.id = old.ID
		if extends {
			err = r.DB.ExtendRun(ctx, old.ID, string(settings), hash(settings))
		} else {
			err = r.DB.ResumeRun(ctx, old.ID)
		}
	case errors.Is(err, store.ErrNotFound):
		r.id, err = r.DB.BeginRun(ctx, store.Run{
			Experiment: config.Name, Method: config.Search.Method, Seed: int64(r.seed),
			Config: string(settings), ConfigHash: hash(settings),
			Model: config.Model, ModelHash: r.Model.Hash, CalibrationHash: r.Calibration.Hash, EvaluationHash: r.Evaluation.Hash,
			Target: config.Target, Budget: describeBudget(&config.Budget), LimitBytes: config.Budget.Bytes,
			KernelPath: r.engine.Path(), Engine: evaluator.Version, Architecture: runtime.GOARCH, Version: r.Version,
		})
	}
	if err != nil {
		return err
	}
	// Also of a run that goes on: its process may have ended between the two.
	sites, levels := r.records()
	return r.DB.PutSpace(ctx, r.id, sites, levels)
}

// mayResume refuses to go on when the same question would get another answer.
func (r *run) mayResume(old *store.Run) (extends bool, err error) {
	fewer, err := mayGoOn(r.Config, old)
	if err != nil {
		return false, err
	}
	if method := r.Config.Search.Method; fewer > 0 && !search.Extends(method, r.Space, r.searchSettings(), fewer) {
		c := configs.Change{Key: "search.generations", Was: strconv.Itoa(fewer), Is: strconv.Itoa(r.Config.Search.Generations)}
		return false, refuse(r.Config, old, c, fmt.Sprintf("with so many generations method %q begins otherwise", method))
	}
	other := r.Origins(r.Task, old)
	if len(other) == 0 {
		return fewer > 0, nil
	}
	o := other[0]
	if o.Input {
		return false, r.Config.Errorf("", "the %s has changed since run %d was begun (SHA-256 %.12s, now %.12s): %s, or start anew with --fresh", o.What, old.ID, o.Was, o.Is, o.Again)
	}
	return false, fmt.Errorf("run %d was begun with the %s %s, which scores a little differently from %s: %s, or start anew with --fresh", old.ID, o.What, o.Was, o.Is, o.Again)
}

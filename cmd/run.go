package cmd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/finch-llm/finch/compress"
	"github.com/finch-llm/finch/configs"
	"github.com/finch-llm/finch/experiment"
	"github.com/finch-llm/finch/internal/filelock"
	"github.com/finch-llm/finch/search"
	"github.com/finch-llm/finch/store"
)

func newRun() *cobra.Command {
	var only string
	var o runOptions
	c := &cobra.Command{
		Use:   "run [experiments.toml]",
		Short: "run, or resume, every experiment of a file",
		Long: `run executes every experiment of a file, each with each of its seeds, and prints what came out. Everything is kept in the
database (--db) as it happens: interrupt the command and give it again, and it goes on where it was.

No network is scored twice on the same text: a score that any run in the database has is taken from it, bit for bit the one that would
be computed. That holds for --fresh too; with --no-memo everything is computed.

Ctrl-C stops at once, with exit code 130. With --time-limit the command stops by itself, at the first commit after that time, with
exit code 124.`,
		Example: `  finch run experiments.toml
  finch run --only bits-3.5 --fresh
  finch run --time-limit 6h
  finch run preset:long-bits-3.5`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			file, err := loadExperiments(args, only)
			if err != nil {
				return err
			}
			return run(c, file, o, func(db *store.DB) error { return printSummary(c, db) })
		},
	}
	c.Flags().StringVar(&only, "only", "", "run only the experiment with this name")
	c.Flags().BoolVar(&o.fresh, "fresh", false, "set earlier runs of these experiments aside and start anew")
	c.Flags().BoolVar(&o.noMemo, "no-memo", false, "compute also those scores that the database has from other runs")
	c.Flags().DurationVar(&o.limit, "time-limit", 0, `stop after this time, like "6h" or "90m", to be gone on with`)
	c.PreRunE = func(c *cobra.Command, _ []string) error {
		if c.Flags().Changed("time-limit") && o.limit <= 0 {
			return usagef("--time-limit %v: write a time to run for, such as 6h", o.limit)
		}
		return nil
	}
	return c
}

// runOptions are those of one call of run.
type runOptions struct {
	fresh, noMemo bool
	limit         time.Duration // 0: none
}

// loadExperiments reads the file that the arguments name, experiments.toml by default, or one experiment of it.
func loadExperiments(args []string, only string) (*configs.File, error) {
	path := "experiments.toml"
	if len(args) > 0 {
		path = args[0]
	}
	file, err := loadFile(path)
	if err != nil {
		return nil, usageError{err}
	}
	if only != "" {
		e, err := file.Find(only)
		if err != nil {
			return nil, usageError{err}
		}
		file.Experiments = []configs.Experiment{*e}
	}
	return file, nil
}

// loadFile reads an experiment file, or a preset by its name.
func loadFile(path string) (*configs.File, error) {
	if name, ok := strings.CutPrefix(path, "preset:"); ok {
		return configs.Preset(name)
	}
	decoder := configs.Decoder{Level: levelTrait}
	for _, m := range search.Methods() {
		decoder.Methods = append(decoder.Methods, m.Name)
	}
	return decoder.Load(path)
}

// levelTrait asks the compressors, which know best, whether a level exists, and the configuration what it means.
func levelTrait(name string) (configs.Trait, error) {
	if _, err := compress.ParseLevel(name); err != nil {
		return configs.Trait{}, err
	}
	return configs.ParseLevel(name)
}

// run runs what is not done of a file, and then reports on it.
func run(c *cobra.Command, file *configs.File, o runOptions, report func(*store.DB) error) error {
	ctx, path := c.Context(), database(c)
	session, err := newSession(c)
	if err != nil {
		return err
	}
	defer session.Close()
	session.NoMemo = o.noMemo
	if o.limit > 0 {
		session.Until = session.Clock().Add(o.limit)
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		// A mistake in the file must not leave an empty database behind. The session keeps what is prepared.
		if _, _, err := prepare(ctx, session, file, true); err != nil {
			return err
		}
	}
	release, err := openForWriting(ctx, session, path)
	if err != nil {
		return err
	}
	defer release()

	jobs, done, err := prepare(ctx, session, file, o.fresh)
	if err != nil {
		return err
	}
	if len(jobs) > 0 {
		if err := printPlans(c, session, tasksOf(jobs)); err != nil {
			return err
		}
	}
	again := "the same command"
	if o.fresh {
		again = "the same command without --fresh"
		// All before the first begins: what is left of the work is then what a command without --fresh finds unfinished.
		if err := session.SetAside(ctx, configsOf(jobs)...); err != nil {
			return err
		}
	}
	err = runJobs(ctx, session, jobs)
	if errors.Is(err, experiment.ErrTimeLimit) {
		return fmt.Errorf("%w (%v): what was scored is in %s; %s goes on from there", err, o.limit, path, again)
	}
	if err := interruption(ctx, err, path, again); err != nil {
		return err
	}
	if len(jobs) == 0 {
		fmt.Fprintf(c.ErrOrStderr(), "all %d runs are done already; --fresh starts anew\n", done)
	}
	return report(session.DB)
}

// interruption is the error that ended runs; if that was a signal, it says how to go on.
func interruption(ctx context.Context, err error, path, again string) error {
	if ctx.Err() != nil && (err == nil || errors.Is(err, context.Canceled)) {
		return fmt.Errorf("%w: what was scored is in %s; %s goes on from there", errInterrupted, path, again)
	}
	return err
}

// runJobs runs experiments and seeds in their order.
func runJobs(ctx context.Context, s *experiment.Session, jobs []job) error {
	for i, j := range jobs {
		problem, err := s.Build(ctx, j.task)
		if err != nil {
			return err
		}
		for k, seed := range j.seeds {
			if _, err := s.Run(ctx, problem, seed); err != nil {
				return err
			}
			if err := s.Expired(); err != nil && (i+1 < len(jobs) || k+1 < len(j.seeds)) {
				return err
			}
		}
	}
	return nil
}

// openForWriting locks a database and gives it to a session, until release.
func openForWriting(ctx context.Context, s *experiment.Session, path string) (release func(), err error) {
	lock, err := lockDatabase(path)
	if err != nil {
		return nil, err
	}
	if s.DB, err = store.Open(ctx, path, store.Options{}); err != nil {
		lock.Release()
		return nil, err
	}
	return func() {
		s.DB.Close()
		lock.Release()
	}, nil
}

// lockFile is held by the process that writes to a database.
func lockFile(db string) string { return db + ".lock" }

// lockDatabase makes this process the one that writes to a database.
func lockDatabase(path string) (*filelock.Lock, error) {
	lock, err := filelock.Acquire(lockFile(path))
	var held *filelock.HeldError
	switch {
	case errors.As(err, &held):
		return nil, fmt.Errorf("another finch is running on %s: %w: wait for it, or use another --db", path, err)
	case err != nil:
		return nil, fmt.Errorf("--db %s: %w", path, err)
	}
	return lock, nil
}

// job is an experiment with the seeds that are not finished.
type job struct {
	task  *experiment.Task
	seeds []uint64
}

func configsOf(jobs []job) []*configs.Experiment {
	list := make([]*configs.Experiment, len(jobs))
	for i, j := range jobs {
		list[i] = j.task.Config
	}
	return list
}

func tasksOf(jobs []job) []*experiment.Task {
	list := make([]*experiment.Task, len(jobs))
	for i, j := range jobs {
		list[i] = j.task
	}
	return list
}

// prepare checks every experiment of the file before the first begins, and leaves out what is done.
func prepare(ctx context.Context, s *experiment.Session, file *configs.File, fresh bool) (jobs []job, done int, err error) {
	for i := range file.Experiments {
		e := &file.Experiments[i]
		var seeds []uint64
		for _, seed := range e.Seeds {
			finished := false
			if !fresh {
				if finished, err = s.Finished(ctx, e, seed); err != nil {
					return nil, 0, configError(err)
				}
			}
			if finished {
				done++
			} else {
				seeds = append(seeds, seed)
			}
		}
		if len(seeds) == 0 {
			continue
		}
		task, err := s.Prepare(e)
		if err != nil {
			return nil, 0, configError(err)
		}
		jobs = append(jobs, job{task, seeds})
	}
	return jobs, done, nil
}

// configError marks an error that has a place in an experiment file as a mistake of the user's.
func configError(err error) error {
	var c *configs.Error
	if errors.As(err, &c) {
		return usageError{err}
	}
	return err
}

// defaultCache is what residual streams may take if nobody says how much memory to use.
const defaultCache = 512 << 20

// newSession is a session without a database, by the flags of the command line.
func newSession(c *cobra.Command) (*experiment.Session, error) {
	path, err := kernelPath(c)
	if err != nil {
		return nil, err
	}
	workers, err := threads(c)
	if err != nil {
		return nil, err
	}
	bytes, asked, err := memory(c)
	if err != nil {
		return nil, err
	}
	cache := bytes
	if !asked { // what is free is not for us alone
		cache = defaultCache
	}
	return &experiment.Session{
		Path: path, Workers: workers, Memory: bytes, Cache: cache, Levels: levelsFolder(database(c)), Progress: newProgress(c.ErrOrStderr()),
		Clock: time.Now, Version: version(), Resolver: resolver{c},
	}, nil
}

// levelsFolder is the level database beside a result database.
func levelsFolder(db string) string {
	return strings.TrimSuffix(db, filepath.Ext(db)) + ".levels"
}

// version is the module's version, or the commit it was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return "devel"
}

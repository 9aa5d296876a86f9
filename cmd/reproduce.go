package cmd

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/finch-llm/finch/configs"
	"github.com/finch-llm/finch/experiment"
	"github.com/finch-llm/finch/store"
)

func newReproduce() *cobra.Command {
	var o reproduceOptions
	c := &cobra.Command{
		Use:   "reproduce BUNDLE",
		Short: "repeat a run from its bundle, and say whether it is the same bit for bit",
		Long: `reproduce repeats the run of a bundle that finch db export wrote, and compares every candidate, score and result with it: it prints that
all are equal, or fails with the first that is not. Nothing is taken from earlier scores. The run goes into a database beside the
bundle, or into --db. Interrupt the command and give it again, and it goes on where it was.

Before it begins, another model, text, engine version, processor architecture or kernel path is named and refused. Kernels are those
of the bundle unless --kernels says otherwise. With --tolerance, other kernels or another processor are let pass, and scores are
compared within it: that says how close the repetition is. It never is equality, and the exit code is 1.`,
		Example: `  finch reproduce bits-3.5.json
  finch reproduce bits-3.5.json --model ~/models/model.gguf
  finch reproduce bits-3.5.json --kernels avx2 --tolerance 0.01`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if c.Flags().Changed("tolerance") && !(o.tolerance > 0 && o.tolerance < 1) || math.IsNaN(o.tolerance) {
				return usagef("--tolerance %v: write a relative difference between 0 and 1, such as 0.01", o.tolerance)
			}
			return reproduce(c, args[0], o)
		},
	}
	c.Flags().StringVar(&o.model, "model", "", "where the model is, if not where the run had it")
	c.Flags().Float64Var(&o.tolerance, "tolerance", 0, "let other kernels pass, and compare scores within this relative difference")
	c.Flags().BoolVar(&o.fresh, "fresh", false, "set an earlier run of this experiment and seed aside and start anew")
	return c
}

// reproduceOptions are those of one call of reproduce.
type reproduceOptions struct {
	model     string
	tolerance float64 // 0: bit for bit
	fresh     bool
}

func reproduce(c *cobra.Command, path string, o reproduceOptions) error {
	bundle, err := store.OpenBundle(path)
	if err != nil {
		return usageError{err}
	}
	config, err := configs.Restore(bundle.Run.Experiment, []uint64{uint64(bundle.Run.Seed)}, []byte(bundle.Run.Config))
	if err != nil {
		return usagef("%s: %w", path, err)
	}
	if err := asInBundle(c, bundle); err != nil {
		return err
	}
	session, err := newSession(c)
	if err != nil {
		return err
	}
	defer session.Close()
	session.NoMemo = true
	if o.model != "" {
		session.Resolver = moved{session.Resolver, config.Model, o.model}
	}
	task, err := session.Prepare(config)
	if err != nil {
		return configError(err)
	}
	if err := refuseOrigins(session.Origins(task, &bundle.Run), path, o.tolerance); err != nil {
		return err
	}
	release, err := openForWriting(c.Context(), session, database(c))
	if err != nil {
		return err
	}
	defer release()
	run, err := repeat(c, session, task, o.fresh)
	if err != nil {
		return err
	}
	return compareRun(c, session.DB, bundle, run, o.tolerance)
}

// asInBundle sets the flags that the bundle decides unless the command does: kernels, and a database beside it.
func asInBundle(c *cobra.Command, b *store.Bundle) error {
	if !c.Flags().Changed("db") {
		if err := c.Flags().Set("db", strings.TrimSuffix(b.Path, filepath.Ext(b.Path))+".db"); err != nil {
			return err
		}
	}
	if c.Flags().Changed("kernels") {
		return nil
	}
	if err := c.Flags().Set("kernels", b.Run.KernelPath); err != nil {
		return err
	}
	if _, err := kernelPath(c); err != nil {
		return usagef("%s was computed on the kernel path %s: %w; with --kernels and --tolerance it can be compared with another", b.Path, b.Run.KernelPath, err)
	}
	return nil
}

// moved finds one model in another place.
type moved struct {
	experiment.Resolver
	name, place string
}

func (m moved) Model(name string) (string, error) {
	if name == m.name {
		name = m.place
	}
	return m.Resolver.Model(name)
}

// refuseOrigins names what a bit for bit repetition would need and is not here. A tolerance lets pass what only rounds otherwise.
func refuseOrigins(other []experiment.Origin, path string, tolerance float64) error {
	var refused []string
	for _, o := range other {
		if !o.Rounds || tolerance == 0 {
			refused = append(refused, o.String())
		}
	}
	if len(refused) == 0 {
		return nil
	}
	return usagef("%s cannot be repeated here: %s", path, strings.Join(refused, "; "))
}

// repeat executes the run, or goes on with it.
func repeat(c *cobra.Command, s *experiment.Session, task *experiment.Task, fresh bool) (int64, error) {
	ctx, config := c.Context(), task.Config
	old, err := s.DB.FindRun(ctx, config.Name, int64(config.Seeds[0]))
	again := "the same command"
	switch {
	case errors.Is(err, store.ErrNotFound):
	case err != nil:
		return 0, err
	case fresh:
		if err := s.SetAside(ctx, config); err != nil {
			return 0, err
		}
		again = "the same command without --fresh"
	case old.Status == store.Finished:
		return 0, usagef("%s has %s already: add --fresh to set that aside and repeat it, or choose another --db", database(c), describeRun(&old))
	}
	if err := printPlans(c, s, []*experiment.Task{task}); err != nil {
		return 0, err
	}
	err = runJobs(ctx, s, []job{{task, config.Seeds}})
	if err := interruption(ctx, err, database(c), again); err != nil {
		return 0, err
	}
	run, err := s.DB.FindRun(ctx, config.Name, int64(config.Seeds[0]))
	return run.ID, err
}

// compareRun prints that a run equals that of the bundle, or fails with the first difference.
func compareRun(c *cobra.Command, db *store.DB, b *store.Bundle, run int64, tolerance float64) error {
	fingerprint, err := db.FingerprintRun(c.Context(), run)
	if err != nil {
		return err
	}
	if fingerprint == b.Fingerprint {
		_, err := fmt.Fprintf(c.OutOrStdout(), "equal: run %d in %s is that of %s bit for bit, fingerprint %s\n", run, database(c), b.Path, fingerprint)
		return err
	}
	found, err := b.Compare(c.Context(), db, run, tolerance)
	switch {
	case err != nil:
		return err
	case found.First != nil:
		return fmt.Errorf("not equal: run %d in %s first differs from that of %s in %v", run, database(c), b.Path, found.First)
	default:
		return fmt.Errorf("not equal, but within %g: the numbers of run %d in %s differ from those of %s by up to %.2g of them", tolerance, run, database(c), b.Path, found.Largest)
	}
}

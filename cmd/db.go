package cmd

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/finch-llm/finch/internal/atomicfile"
	"github.com/finch-llm/finch/internal/filelock"
	"github.com/finch-llm/finch/store"
)

func newDB() *cobra.Command {
	c := &cobra.Command{
		Use:   "db",
		Short: "join databases, or take a run out of one to be repeated elsewhere",
		Args:  knownCommand,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newMerge(), newBundle())
	return c
}

func newMerge() *cobra.Command {
	return &cobra.Command{
		Use:   "merge A B",
		Short: "copy the runs of database B into database A",
		Long: `merge copies every run of database B into database A, under new numbers and in one transaction each. Runs that A has already are
recognised and not copied again. A run with the experiment and seed of another run of A is not copied: the first difference of the two
is printed, and the exit code is 1. Runs that another finch is working on in B are left for later. B is only read.

Level files are not copied: finch export builds those that it needs.`,
		Example: `  finch db merge finch.db laptop.db`,
		Args:    cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			for _, path := range args {
				if err := databaseExists(path); err != nil {
					return usageError{err}
				}
			}
			if sameFile(args[0], args[1]) {
				return usagef("%s and %s are one file: name two databases", args[0], args[1])
			}
			return merge(c, args[0], args[1])
		},
	}
}

func merge(c *cobra.Command, into, path string) error {
	ctx := c.Context()
	lock, err := lockDatabase(into)
	if err != nil {
		return err
	}
	defer lock.Release()
	from, err := store.OpenReadOnly(ctx, path) // before the other is opened, and perhaps migrated
	if err != nil {
		return err
	}
	defer from.Close()
	db, err := store.Open(ctx, into, store.Options{})
	if err != nil {
		return err
	}
	defer db.Close()
	held, err := filelock.Held(lockFile(path))
	if err != nil {
		return err
	}
	runs, err := from.AllRuns(ctx)
	if err != nil {
		return err
	}
	var refused []error
	for _, r := range runs {
		if held && r.Status == store.Running {
			fmt.Fprintf(c.OutOrStdout(), "%s is running there: merge again when it has ended\n", describeRun(&r))
			continue
		}
		id, new, err := db.Merge(ctx, from, r.ID)
		switch {
		case errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrDamaged):
			refused = append(refused, err)
			fmt.Fprintf(c.OutOrStdout(), "%s is left out: %v\n", describeRun(&r), err)
		case err != nil:
			return err
		case new:
			fmt.Fprintf(c.OutOrStdout(), "%s is run %d here\n", describeRun(&r), id)
		default:
			fmt.Fprintf(c.OutOrStdout(), "%s is here already, as run %d\n", describeRun(&r), id)
		}
	}
	if len(refused) > 0 {
		return fmt.Errorf("%d of %d runs were not merged, see above: where two runs conflict, set one aside with finch run --fresh, or keep the databases apart", len(refused), len(runs))
	}
	return nil
}

func describeRun(r *store.Run) string {
	return fmt.Sprintf("run %d (%s, seed %d)", r.ID, r.Experiment, r.Seed)
}

func newBundle() *cobra.Command {
	var run, output string
	c := &cobra.Command{
		Use:   "export --run RUN",
		Short: "write a finished run as a bundle, which finch reproduce repeats",
		Long: `export writes a finished run as JSON: its configuration, the hashes of model and texts, engine version, kernel path and processor
architecture, the lineage of its winner, and every candidate, score and result that a repetition has to equal. RUN is a run's id
or the name of its experiment. Whoever has the bundle and the model can repeat the run with finch reproduce.

finch export RUN writes the winner as a model.`,
		Example: `  finch db export --run bits-3.5 -o bits-3.5.json`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if run == "" {
				return usagef("there is no --run: write the id of a run, or the name of its experiment")
			}
			return withDatabase(c, func(db *store.DB) error {
				found, err := findRun(c.Context(), db, run)
				if err != nil {
					return err
				}
				write := func(out io.Writer) error { return db.WriteBundle(c.Context(), found.ID, out) }
				if output == "" {
					return write(c.OutOrStdout())
				}
				if ownFile(database(c), output) {
					return usagef("--output %s is the database, or belongs to it: choose another path", output)
				}
				return atomicfile.Write(output, write)
			})
		},
	}
	c.Flags().StringVar(&run, "run", "", "the run: its id, or the name of its experiment")
	c.Flags().StringVarP(&output, "output", "o", "", "the file to write (default: print it)")
	return c
}

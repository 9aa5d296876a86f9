package cmd

import (
	"fmt"
	"math"
	"time"

	"github.com/spf13/cobra"

	"github.com/finch-llm/finch/experiment"
	"github.com/finch-llm/finch/store"
)

func newPlan() *cobra.Command {
	var only string
	var asJSON bool
	c := &cobra.Command{
		Use:   "plan [experiments.toml]",
		Short: "say what a file's experiments will take: tokens, time, memory, disk",
		Long: `plan checks every experiment of a file, measures for a moment how fast this machine scores the model, and says what running
them all will take. It writes nothing, but brings models and texts that are on the Hugging Face hub into the cache.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			file, err := loadExperiments(args, only)
			if err != nil {
				return err
			}
			session, err := newSession(c)
			if err != nil {
				return err
			}
			defer session.Close()
			list, err := prepareAll(session, file)
			if err != nil {
				return err
			}
			plans, err := session.Plans(c.Context(), list)
			if err != nil {
				return configError(err)
			}
			if asJSON {
				return printJSON(c, plans)
			}
			if err := store.Render(c.OutOrStdout(), planTable(plans), "table"); err != nil {
				return err
			}
			if err := session.Fits(plans); err != nil {
				fmt.Fprintf(c.ErrOrStderr(), "finch run will refuse this: %v\n", err)
			}
			return nil
		},
	}
	c.Flags().StringVar(&only, "only", "", "plan only the experiment with this name")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// printPlans shows what is about to run, and refuses it if the machine lacks the room.
func printPlans(c *cobra.Command, s *experiment.Session, list []*experiment.Task) error {
	plans, err := s.Plans(c.Context(), list)
	if err != nil {
		return configError(err)
	}
	if err := store.Render(c.ErrOrStderr(), planTable(plans), "table"); err != nil {
		return err
	}
	return s.Fits(plans)
}

func planTable(plans []experiment.Plan) *store.Table {
	t := &store.Table{Columns: []string{"experiment", "method", "budget", "seeds", "tokens", "time", "memory", "disk"}}
	for _, p := range plans {
		t.Rows = append(t.Rows, []any{
			p.Experiment, p.Method, p.Budget, int64(p.Seeds), p.Tokens,
			(time.Duration(math.Ceil(p.Seconds)) * time.Second).String(), memoryOf(p), mebibytes(p.DiskBytes),
		})
	}
	return t
}

// memoryOf says what a plan likes to have, and that it does with less.
func memoryOf(p experiment.Plan) string {
	if p.Streams {
		return mebibytes(p.MemoryBytes) + ", weights streamed"
	}
	return mebibytes(p.MemoryBytes)
}

func mebibytes(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

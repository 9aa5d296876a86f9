package cmd

import (
	"github.com/spf13/cobra"

	"github.com/finch-llm/finch/store"
)

func newBest() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "best [RUN]",
		Short: "the winner of each run beside its baseline, on held-out text",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return withDatabase(c, func(db *store.DB) error {
				query, format := "summary", "table"
				if asJSON {
					query, format = "best", "json"
				}
				t, err := db.Query(c.Context(), query, runParam(args))
				if err != nil {
					return queryError(err)
				}
				return store.Render(c.OutOrStdout(), t, format)
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON with every column")
	return c
}

// runParam is the parameter of a named query for the run that the arguments name, if they do.
func runParam(args []string) map[string]any {
	if len(args) == 0 {
		return nil
	}
	return map[string]any{"run": args[0]}
}

// printSummary is what best prints of all runs: a line for each winner, a line for its baseline.
func printSummary(c *cobra.Command, db *store.DB) error {
	t, err := db.Query(c.Context(), "summary", nil)
	if err != nil {
		return err
	}
	return store.Render(c.OutOrStdout(), t, "table")
}

package cmd

import (
	"fmt"

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
				params := map[string]any{}
				if len(args) > 0 {
					params["run"] = args[0]
				}
				t, err := db.Query(c.Context(), query, params)
				if err != nil {
					return err
				}
				if len(args) > 0 && len(t.Rows) == 0 {
					return fmt.Errorf("no run is named or numbered %q: finch status lists the runs", args[0])
				}
				return store.Render(c.OutOrStdout(), t, format)
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON with every column")
	return c
}

// printSummary is what best prints of all runs: a line for each winner, a line for its baseline.
func printSummary(c *cobra.Command, db *store.DB) error {
	t, err := db.Query(c.Context(), "summary", nil)
	if err != nil {
		return err
	}
	return store.Render(c.OutOrStdout(), t, "table")
}

package cmd

import (
	"context"
	"io"

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
				params := map[string]any{}
				if len(args) > 0 {
					params["run"] = args[0]
				}
				if asJSON {
					t, err := db.Query(c.Context(), "best", params)
					if err != nil {
						return err
					}
					return store.Render(c.OutOrStdout(), t, "json")
				}
				return printSummary(c.Context(), c.OutOrStdout(), db, params)
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON with every column")
	return c
}

func printBest(c *cobra.Command, db *store.DB) error {
	return printSummary(c.Context(), c.OutOrStdout(), db, nil)
}

// printSummary is the narrow form of the query best: a line for each winner, a line for its baseline.
func printSummary(ctx context.Context, w io.Writer, db *store.DB, params map[string]any) error {
	t, err := db.Query(ctx, "summary", params)
	if err != nil {
		return err
	}
	return store.Render(w, t, "table")
}

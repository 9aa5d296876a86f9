package cmd

import (
	"github.com/spf13/cobra"

	"github.com/finch-llm/finch/store"
)

func newStatus() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "status",
		Short: "what runs there are, and how they stand",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return withDatabase(c, func(db *store.DB) error {
				t, err := db.Query(c.Context(), "status", nil)
				if err != nil {
					return err
				}
				format := "table"
				if asJSON {
					format = "json"
				}
				return store.Render(c.OutOrStdout(), t, format)
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

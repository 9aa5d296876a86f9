package cmd

import (
	"slices"

	"github.com/spf13/cobra"

	"github.com/finch-llm/finch/internal/filelock"
	"github.com/finch-llm/finch/store"
)

func newStatus() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "status [RUN]",
		Short: "what runs there are, and how they stand",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return withDatabase(c, func(db *store.DB) error {
				t, err := standing(c, db, runParam(first(args)))
				if err != nil {
					return queryError(err)
				}
				return store.Render(c.OutOrStdout(), t, tableOrJSON(asJSON))
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// standing is how each run stands, or those of params. Those that the database has as running although no process holds it are shown as
// interrupted: a killed process could not write that down, and whoever only reads must not.
func standing(c *cobra.Command, db *store.DB, params map[string]any) (*store.Table, error) {
	before, unknown := filelock.Held(lockFile(database(c)))
	t, err := db.Query(c.Context(), "status", params)
	if err != nil {
		return nil, err
	}
	after, err := filelock.Held(lockFile(database(c)))
	if unknown != nil || err != nil || before || after { // a run may begin or end meanwhile
		return t, nil // as recorded
	}
	status := slices.Index(t.Columns, "status")
	for _, row := range t.Rows {
		if row[status] == string(store.Running) {
			row[status] = string(store.Interrupted)
		}
	}
	return t, nil
}

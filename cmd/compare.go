package cmd

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/finch-llm/finch/store"
)

func newCompare() *cobra.Command {
	var format string
	var asJSON bool
	c := &cobra.Command{
		Use:   "compare EXPERIMENT…",
		Short: "experiments side by side: means and spreads over their seeds, on held-out text",
		Long: `compare has one line for each experiment: means over its finished seeds of the winners' size, KL divergence and perplexity on
held-out text, ± their standard deviations, and of the tokens and seconds that the searches took.

Each is held against the first: the mean difference in KL between runs of the same seed, and ± the half-width of its 95 % interval
over these seeds, by Student's t. Where there is one such seed, or the differences do not vary because neither method draws at random,
the interval is that of the text: both winners' intervals added up, paired with their baseline where that is the same, else each by itself.
It is a win or a loss where the difference exceeds the interval.`,
		Example: `  finch compare bits-evopress bits-dp bits-greedy
  finch compare bits-evopress bits-dp --format csv`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return withDatabase(c, func(db *store.DB) error {
				runs, err := db.Query(c.Context(), "compare", map[string]any{"runs": strings.Join(args, ",")})
				if err != nil {
					return queryError(err)
				}
				sides, err := sideBySide(runs, args)
				if err != nil {
					return err
				}
				if asJSON {
					format = "json"
				}
				t := figures(sides)
				if format == "table" || format == "markdown" {
					t = forPeople(sides)
				}
				return store.Render(c.OutOrStdout(), t, format)
			})
		},
	}
	c.Flags().StringVar(&format, "format", "table", strings.Join(store.Formats(), ", "))
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON: the same as --format json")
	c.PreRunE = func(*cobra.Command, []string) error { return checkFormat(format) }
	return c
}

package cmd

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/finch-llm/finch/configs"
	"github.com/finch-llm/finch/experiment"
	"github.com/finch-llm/finch/store"
)

func newBest() *cobra.Command {
	var asJSON, front bool
	var size string
	c := &cobra.Command{
		Use:   "best [RUN]",
		Short: "the winner of each run beside its baseline, on held-out text; or the best of a run within another size",
		Long: `best prints the winner of each run beside the baseline, on held-out text. RUN is a run's id or the name of its experiment.

With --bytes it picks from all candidates that a run has scored the best one of at most so many bytes: the few that look best by their
recorded scores are scored together on calibration text, of which the search saw none if there is more than it used, and the choice is named with
its error and that of the difference to the next best. finch export --bytes writes it.

With --front it measures on held-out text the candidates that no other beats in both size and recorded scores, and prints those that none beats
there either. A run of method "pareto" has looked for all of them.`,
		Example: `  finch best --front front-4
  finch best --bytes 90MB front-4
  finch export front-4 --bytes 90MB -o 90MB.gguf`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			run := first(args)
			switch {
			case front && size != "":
				return usagef("--front and --bytes: write one of them")
			case front:
				return printFront(c, run, asJSON)
			case size != "":
				bytes, err := configs.ParseBytes(size)
				if err != nil {
					return usagef("--bytes: %w", err)
				}
				return printChoice(c, run, bytes, asJSON)
			}
			return printBest(c, run, asJSON)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON with every column")
	c.Flags().BoolVar(&front, "front", false, "measure the best candidates of a run at every size")
	c.Flags().StringVar(&size, "bytes", "", `pick the best candidate of a run of at most so many bytes, like "90MB"`)
	return c
}

// printBest prints the winners that runs recorded; those of all runs if none is named.
func printBest(c *cobra.Command, run string, asJSON bool) error {
	return withDatabase(c, func(db *store.DB) error {
		query, format := "summary", "table"
		if asJSON {
			query, format = "best", "json"
		}
		t, err := db.Query(c.Context(), query, runParam(run))
		if err != nil {
			return queryError(err)
		}
		return store.Render(c.OutOrStdout(), t, format)
	})
}

// first is the argument of commands that may have one, or "".
func first(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}

// runParam is the parameter of a named query for a run, if one is named.
func runParam(run string) map[string]any {
	if run == "" {
		return nil
	}
	return map[string]any{"run": run}
}

// printSummary is what best prints of all runs: a line for each winner, a line for its baseline.
func printSummary(c *cobra.Command, db *store.DB) error {
	t, err := db.Query(c.Context(), "summary", nil)
	if err != nil {
		return err
	}
	return store.Render(c.OutOrStdout(), t, "table")
}

// printFront prints the candidates that no other of their run beats.
func printFront(c *cobra.Command, name string, asJSON bool) error {
	return withRun(c, name, func(session *experiment.Session, run *store.Run) error {
		front, err := session.Front(c.Context(), run)
		if err != nil {
			return err
		}
		t := &store.Table{Columns: []string{"candidate", "file_bytes", "bits_per_weight", "kl", "kl_error", "ppl", "ppl_error"}}
		if !asJSON {
			t.Columns = []string{"candidate", "file_bytes", "bits_per_weight", "kl", "ppl"}
		}
		for i := range front {
			p := &front[i]
			row := []any{p.Candidate, p.FileBytes, p.BitsPerWeight, p.KL, p.KLError, p.PPL, p.PPLError}
			if !asJSON {
				row = append(row[:2], fmt.Sprintf("%.4f", p.BitsPerWeight), interval(p.KL, p.KLError), interval(p.PPL, p.PPLError))
			}
			t.Rows = append(t.Rows, row)
		}
		if asJSON {
			return store.Render(c.OutOrStdout(), t, "json")
		}
		return store.Render(c.OutOrStdout(), t, "table")
	})
}

// interval writes a figure with the half-width of its interval.
func interval(x, half float64) string { return fmt.Sprintf("%.5f ± %.5f", x, half) }

// choice is what best --bytes prints as JSON.
type choice struct {
	Run             int64    `json:"run"`
	Candidate       int64    `json:"candidate"`
	FileBytes       int64    `json:"file_bytes"`
	BitsPerWeight   float64  `json:"bits_per_weight"`
	KL              float64  `json:"kl"` // held out
	KLError         float64  `json:"kl_error"`
	PPL             float64  `json:"ppl"`
	PPLError        float64  `json:"ppl_error"`
	Among           int      `json:"among"`
	Tokens          int      `json:"tokens"`
	Fresh           bool     `json:"fresh"`
	RunnerUp        *int64   `json:"runner_up"`
	Difference      *float64 `json:"paired_difference"` // in KL on the text of the choice, to the runner-up
	DifferenceError *float64 `json:"paired_error"`
}

// printChoice picks the best candidate of a run within so many bytes, and says how sure that is.
func printChoice(c *cobra.Command, name string, bytes int64, asJSON bool) error {
	return withRun(c, name, func(session *experiment.Session, run *store.Run) error {
		best, err := session.Choose(c.Context(), run, bytes)
		if err != nil {
			return err
		}
		r := &best.Result
		if asJSON {
			j := choice{run.ID, r.Candidate, r.FileBytes, r.BitsPerWeight, r.KL, r.KLError, r.PPL, r.PPLError, best.Among, best.Tokens, best.Fresh, nil, nil, nil}
			if best.RunnerUp > 0 {
				j.RunnerUp, j.Difference, j.DifferenceError = &best.RunnerUp, &best.Difference.Mean, &best.Difference.Half
			}
			return printJSON(c, j)
		}
		out := c.OutOrStdout()
		fmt.Fprintf(out, "candidate %d of run %d (%s, seed %d): %d bytes, %.4f bits per weight\n", r.Candidate, run.ID, run.Experiment, run.Seed, r.FileBytes, r.BitsPerWeight)
		fmt.Fprintf(out, "on held-out text: KL %s, perplexity %s\n", interval(r.KL, r.KLError), interval(r.PPL, r.PPLError))
		fmt.Fprintf(out, "the best of %d on %s: KL %s\n", best.Among, describeText(best), interval(best.KL.Mean, best.KL.Half))
		if best.RunnerUp > 0 {
			fmt.Fprintf(out, "against the next, candidate %d: %+.5f ± %.5f%s\n", best.RunnerUp, best.Difference.Mean, best.Difference.Half, tie(best))
		}
		fmt.Fprintf(out, "finch export %d --candidate %d -o FILE writes it\n", run.ID, r.Candidate)
		return nil
	})
}

func describeText(best *experiment.Choice) string {
	if best.Fresh {
		return fmt.Sprintf("%d tokens of calibration text that the search did not see", best.Tokens)
	}
	return fmt.Sprintf("all %d tokens of the calibration text", best.Tokens)
}

// tie says so where the error of the difference leaves open which is better.
func tie(best *experiment.Choice) string {
	if best.Difference.Mean+best.Difference.Half < 0 {
		return ""
	}
	return ", a tie"
}

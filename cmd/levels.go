package cmd

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/finch-llm/finch/compress"
	"github.com/finch-llm/finch/configs"
	"github.com/finch-llm/finch/experiment"
	"github.com/finch-llm/finch/store"
)

func newLevels() *cobra.Command {
	c := &cobra.Command{
		Use:   "levels",
		Short: "the level database by itself: build, list or verify it; importance matrices",
		Long: `levels looks after the level database beside --db: every layer at every level, in a file whose name depends on the weights, the
compressor, and what the level was fitted to. It also makes importance matrices, which levels can be fitted to.`,
		Args: knownCommand,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newLevelsBuild(), newLevelsList(), newLevelsVerify(), newLevelsImatrix())
	return c
}

func newLevelsBuild() *cobra.Command {
	var only string
	var asJSON bool
	c := &cobra.Command{
		Use:   "build [experiments.toml]",
		Short: "build the levels of a file's experiments, without running them",
		Long: `build makes what the level database lacks of the levels that a file's experiments choose from. Interrupt the command and give it
again, and it goes on where it was. Experiments whose levels are fitted to the same text share one pass of the model over it, in which
the errors of all their layers' outputs are measured too. Seconds are those of one thread, and were spent when a level was made.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			file, err := loadExperiments(args, only)
			if err != nil {
				return err
			}
			return buildLevels(c, file, asJSON)
		},
	}
	c.Flags().StringVar(&only, "only", "", "build only the levels of the experiment with this name")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func buildLevels(c *cobra.Command, file *configs.File, asJSON bool) error {
	session, err := newSession(c)
	if err != nil {
		return err
	}
	defer session.Close()
	tasks, err := prepareAll(session, file)
	if err != nil {
		return err
	}
	if err := session.FitsLevels(tasks); err != nil {
		return err
	}
	lock, err := lockDatabase(database(c))
	if err != nil {
		return err
	}
	defer lock.Release()
	for _, t := range tasks {
		if _, err := session.Build(c.Context(), t); err != nil {
			if c.Context().Err() != nil {
				return fmt.Errorf("%w: the same command goes on from here", errInterrupted)
			}
			return configError(err)
		}
	}
	levels, _, err := compress.List(session.Levels)
	if err != nil {
		return err
	}
	known, err := compress.ReadMeasures(session.Levels)
	if err != nil {
		return err
	}
	table := &store.Table{Columns: []string{"experiment", "levels", "bytes", "seconds", "folder"}}
	for _, t := range tasks {
		var files, bytes int64
		seconds := 0.0
		keys := t.Keys()
		for _, l := range levels {
			if keys[l.Key] {
				files, bytes, seconds = files+1, bytes+l.Bytes, seconds+known.Seconds(l.Key)
			}
		}
		table.Rows = append(table.Rows, []any{t.Config.Name, files, bytes, number(seconds), session.Levels})
	}
	return store.Render(c.OutOrStdout(), table, tableOrJSON(asJSON))
}

// prepareAll checks every experiment of a file.
func prepareAll(s *experiment.Session, file *configs.File) ([]*experiment.Task, error) {
	var list []*experiment.Task
	for i := range file.Experiments {
		task, err := s.Prepare(&file.Experiments[i])
		if err != nil {
			return nil, configError(err)
		}
		list = append(list, task)
	}
	return list, nil
}

func newLevelsList() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "list [experiments.toml]",
		Short: "every level that is built: what it takes, and how far it is off",
		Long: `list shows the levels in the level database, or those of one file's experiments: for each layer a ladder, from the smallest to the
largest. A level is dominated by another of its ladder that takes no more bytes and errs less: a search can do without it. What is
compared is the error of the layer's outputs on the text of the statistics, if it is known of the whole ladder; else the error of the weights,
and of levels that learn nothing only. judged_by says which. A layer whose levels were fitted to several texts has a ladder for each.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			folder, err := requireLevels(c)
			if err != nil {
				return err
			}
			levels, damaged, err := compress.List(folder)
			if err != nil {
				return err
			}
			if len(args) > 0 {
				keys, err := keysOf(c, args)
				if err != nil {
					return err
				}
				levels = slices.DeleteFunc(levels, func(l compress.Stored) bool { return !keys[l.Key] })
				if missing := len(keys) - len(levels); missing > 0 {
					fmt.Fprintf(c.ErrOrStderr(), "%d of %d levels are not built: 'finch levels build' makes them\n", missing, len(keys))
				}
			}
			for _, d := range damaged {
				fmt.Fprintf(c.ErrOrStderr(), "%v: 'finch levels verify --repair' deletes it\n", d)
			}
			known, err := compress.ReadMeasures(folder)
			if err != nil {
				return err
			}
			return store.Render(c.OutOrStdout(), ladderTable(compress.Ladders(levels, known), asJSON), tableOrJSON(asJSON))
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON with every column")
	return c
}

// requireLevels is the folder of the level database, if there is one.
func requireLevels(c *cobra.Command) (string, error) {
	folder := levelsFolder(database(c))
	if _, err := os.Stat(folder); errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("there is no level database %s here: finch levels build makes one, --db names another", folder)
	}
	return folder, nil
}

// tableOrJSON is the format that --json asks for.
func tableOrJSON(asJSON bool) string {
	if asJSON {
		return "json"
	}
	return "table"
}

// keysOf are the levels of a file's experiments.
func keysOf(c *cobra.Command, args []string) (map[compress.Key]bool, error) {
	file, err := loadExperiments(args, "")
	if err != nil {
		return nil, err
	}
	session, err := newSession(c)
	if err != nil {
		return nil, err
	}
	defer session.Close()
	tasks, err := prepareAll(session, file)
	if err != nil {
		return nil, err
	}
	keys := map[compress.Key]bool{}
	for _, t := range tasks {
		for key := range t.Keys() {
			keys[key] = true
		}
	}
	return keys, nil
}

// ladderTable lists levels with what matters or, if every column is asked for, with what their files depend on.
func ladderTable(ladders []*compress.Rung, every bool) *store.Table {
	t := &store.Table{Columns: []string{"layer", "level", "format", "bytes", "bits_per_weight", "relative_error", "output_error", "seconds", "dominated_by", "judged_by", "statistics"}}
	if every {
		t.Columns = append(t.Columns, "nonzeros", "weights", "calibration", "key")
	}
	for _, r := range ladders {
		row := []any{r.Layer, r.Level, r.Format.String(), r.Bytes, r.BitsPerWeight(), r.RelativeError, number(r.OutputError), number(r.Seconds), nil, nil, r.Statistics}
		if r.DominatedBy != nil {
			row[8] = r.DominatedBy.Level
		}
		if r.JudgedBy != compress.Unjudged {
			row[9] = string(r.JudgedBy)
		}
		if every {
			row = append(row, r.NonZeros, r.Weights, r.Calibration, string(r.Key))
		} else {
			row[10] = fmt.Sprintf("%.8s", r.Statistics) // enough to tell ladders apart
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// number is v for a table, where nothing stands for what is not known.
func number(v float64) any {
	if math.IsNaN(v) {
		return nil
	}
	return v
}

func newLevelsVerify() *cobra.Command {
	var repair, asJSON bool
	c := &cobra.Command{
		Use:   "verify",
		Short: "compare every level file with its checksum",
		Long: `verify reads every file of the level database and names those that are damaged. With --repair it deletes them, and whatever needs
them builds them again.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			folder, err := requireLevels(c)
			if err != nil {
				return err
			}
			return verifyLevels(c, folder, repair, asJSON)
		},
	}
	c.Flags().BoolVar(&repair, "repair", false, "delete damaged files")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// verification is what verify found.
type verification struct {
	Files   int           `json:"files"`
	Damaged []damagedFile `json:"damaged"`
	Deleted bool          `json:"deleted"`
}

type damagedFile struct {
	File   string `json:"file"`
	Reason string `json:"reason"`
}

func verifyLevels(c *cobra.Command, folder string, repair, asJSON bool) error {
	if repair {
		lock, err := lockDatabase(database(c))
		if err != nil {
			return err
		}
		defer lock.Release()
	}
	files, damaged, err := compress.Verify(folder)
	if err != nil {
		return err
	}
	if repair {
		if err := compress.Remove(damaged); err != nil {
			return fmt.Errorf("repair the level database: %w", err)
		}
	}
	v := verification{Files: files, Damaged: []damagedFile{}, Deleted: repair}
	for _, d := range damaged {
		v.Damaged = append(v.Damaged, damagedFile{d.Path, d.Err.Error()})
	}
	if err := v.print(c, asJSON); err != nil || repair || len(damaged) == 0 {
		return err
	}
	return fmt.Errorf("%d of %d level files are damaged: --repair deletes them, and 'finch levels build' makes them again", len(damaged), files)
}

func (v *verification) print(c *cobra.Command, asJSON bool) error {
	out := c.OutOrStdout()
	if asJSON {
		return printJSON(c, v)
	}
	for _, d := range v.Damaged {
		deleted := ""
		if v.Deleted {
			deleted = ": deleted"
		}
		fmt.Fprintf(out, "%s: %s%s\n", d.File, d.Reason, deleted)
	}
	_, err := fmt.Fprintf(out, "%d level files verified, %d damaged\n", v.Files, len(v.Damaged))
	return err
}

package cmd

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/finch-llm/finch/configs"
	"github.com/finch-llm/finch/experiment"
	"github.com/finch-llm/finch/internal/atomicfile"
	"github.com/finch-llm/finch/store"
)

func newCompress() *cobra.Command {
	var w experiment.Wish
	var bytes, output string
	var fresh bool
	c := &cobra.Command{
		Use:   "compress MODEL --bytes SIZE -o FILE.gguf",
		Short: "the best GGUF file of a model in so many bytes",
		Long: `compress searches how strongly each layer of a model can be compressed so that the whole file has no more than --bytes, or its
layers no more than --bits-per-weight, and writes the file. It makes an experiment file beside the output first, with the levels
that the model allows and as long a search as --time-limit allows on this machine, prints its plan, and runs it in the database
(--db). Interrupt it and give the command again, or finch run with the experiment file, and it goes on where it was. An experiment
file that is there is taken as it is: how long it searches was settled when it was written, and --fresh writes it anew.

At the end it says what the file is like on held-out text, and what the naive mix of the same size would have been.`,
		Example: `  finch compress model.gguf --bytes 3.2GB -o small.gguf
  finch compress builtin:finchling --bits-per-weight 3.5 --time-limit 10m -o finchling.gguf`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			w.Model = args[0]
			switch {
			case output == "":
				return usagef("there is no --output: write -o and the path of the file")
			case filepath.Ext(output) != ".gguf":
				return usagef("--output %s: write a name that ends in .gguf", output)
			case c.Flags().Changed("bytes") == c.Flags().Changed("bits-per-weight"):
				return usagef("write how large the file may be: --bytes or --bits-per-weight, one of them")
			case bytes == "" && !(w.BitsPerWeight > 0) || math.IsNaN(w.BitsPerWeight) || math.IsInf(w.BitsPerWeight, 0):
				return usagef("--bits-per-weight %v: write a number above 0", w.BitsPerWeight)
			case w.TimeLimit < time.Second:
				return usagef("--time-limit %v: write a second or more, like 90m", w.TimeLimit)
			}
			if bytes != "" {
				var err error
				if w.Bytes, err = configs.ParseBytes(bytes); err != nil {
					return usagef("--bytes: %w", err)
				}
			}
			if folder, err := os.Stat(filepath.Dir(output)); err != nil || !folder.IsDir() {
				return usagef("--output %s: there is no folder %s: make it first", output, filepath.Dir(output))
			}
			if sameFile(output, w.Model) || sameFile(filepath.Dir(output), w.Model) {
				return usagef("--output %s is the model, or in its folder: choose another path", output)
			}
			return compressModel(c, w, output, fresh)
		},
	}
	c.Flags().StringVar(&bytes, "bytes", "", `how large the file may be, like "3.2GB"`)
	c.Flags().Float64Var(&w.BitsPerWeight, "bits-per-weight", 0, "how many bits the layers may take for a weight")
	c.Flags().StringVarP(&output, "output", "o", "", "the file to write")
	c.Flags().StringVar(&w.Data, "data", "builtin:calibration", "the text to search on: of what the model is for, if you have it")
	c.Flags().StringVar(&w.HeldOut, "held-out", "builtin:evaluation", "another text, to measure the result on")
	c.Flags().DurationVar(&w.TimeLimit, "time-limit", time.Hour, "about how long it may take, like 90m, when the experiment file is written")
	c.Flags().BoolVar(&fresh, "fresh", false, "write a new experiment file and set an earlier run aside")
	return c
}

func compressModel(c *cobra.Command, w experiment.Wish, output string, fresh bool) error {
	path := strings.TrimSuffix(output, filepath.Ext(output)) + ".toml"
	w.Name = experimentName(output)
	_, err := os.Stat(path)
	anew := fresh || errors.Is(err, fs.ErrNotExist)
	if anew {
		if err := compose(c, w, path); err != nil {
			return err
		}
	}
	file, err := loadFile(path)
	if err != nil {
		return usageError{err}
	}
	config, err := file.Find(w.Name)
	if err != nil {
		return usageError{err}
	}
	for _, other := range []struct {
		what string
		is   bool
	}{
		{"model", config.Model != w.Model},
		{"size", config.Budget != configs.Budget{Bytes: w.Bytes, BitsPerWeight: w.BitsPerWeight}},
		{"--data", config.Calibration.Data != w.Data},
		{"--held-out", config.Evaluation.Data != w.HeldOut},
	} {
		if other.is {
			return usagef("%s is for another %s: add --fresh to write it anew, or choose another --output", path, other.what)
		}
	}
	if !anew && c.Flags().Changed("time-limit") {
		fmt.Fprintf(c.ErrOrStderr(), "%s is there, and searches for as long as when it was written: for another --time-limit add --fresh\n", path)
	}
	file.Experiments = []configs.Experiment{*config}
	var results [3]store.Result
	err = run(c, file, runOptions{fresh: fresh}, func(db *store.DB) error {
		r, err := db.FindRun(c.Context(), w.Name, int64(config.Seeds[0]))
		if err != nil {
			return err
		}
		for i, role := range []store.Role{store.Winner, store.Baseline, store.Dense} {
			if results[i], err = db.Result(c.Context(), r.ID, role); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := exportRun(c, w.Name, (*experiment.Session).Winner, configs.GGUF, output); err != nil {
		return err
	}
	printGain(c.OutOrStdout(), config, &results)
	return nil
}

// compose writes the experiment file.
func compose(c *cobra.Command, w experiment.Wish, path string) error {
	session, err := newSession(c)
	if err != nil {
		return err
	}
	defer session.Close()
	text, err := session.Compose(c.Context(), w)
	var unreachable *experiment.UnreachableError
	if errors.As(err, &unreachable) {
		return usageError{err}
	}
	if err != nil {
		return err
	}
	err = atomicfile.Write(path, func(out io.Writer) error {
		_, err := out.Write(text)
		return err
	})
	if err == nil {
		fmt.Fprintf(c.ErrOrStderr(), "the experiment is in %s\n", path)
	}
	return err
}

var notInNames = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

// experimentName is the output's, as far as names of experiments may be like that: up to 64 ASCII letters, digits, ".", "_" and
// "-", the first one a letter or digit.
func experimentName(output string) string {
	name := notInNames.ReplaceAllString(strings.TrimSuffix(filepath.Base(output), filepath.Ext(output)), "-")
	name = strings.Trim(name[:min(len(name), 64)], ".-_")
	return cmp.Or(name, "compressed")
}

// printGain says what the search was good for. results are those of the winner, the baseline and the dense model.
func printGain(out io.Writer, config *configs.Experiment, results *[3]store.Result) {
	winner := &results[0]
	fmt.Fprintf(out, "on %s, %d tokens (95 %% intervals):\n", config.Evaluation.Data, winner.Tokens)
	for i, name := range []string{"this file", "the naive mix", "uncompressed"} {
		r := &results[i]
		fmt.Fprintf(out, "  %-14s %12d bytes  %6.3f bits per weight  KL %.5f ± %.5f  perplexity %.4f ± %.4f\n",
			name, r.FileBytes, r.BitsPerWeight, r.KL, r.KLError, r.PPL, r.PPLError)
	}
	verdict := "which is no sure difference: search longer"
	switch difference, half := winner.PairedDifference, winner.PairedError; {
	case difference+half < 0:
		verdict = "which is a win"
	case difference-half > 0:
		verdict = "which is a loss: search longer"
	}
	fmt.Fprintf(out, "KL differs from the naive mix's by %+.5f ± %.5f, %s\n", winner.PairedDifference, winner.PairedError, verdict)
}

package cmd

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/finch-llm/finch/configs"
	"github.com/finch-llm/finch/internal/atomicfile"
)

func newBenchLatency() *cobra.Command {
	var only, output, cache string
	var tokens, rounds int
	c := &cobra.Command{
		Use:   "latency [experiments.toml]",
		Short: "how long a pass takes, layer by layer and level by level: tables for budgets of latency_ms",
		Long: `latency measures what each layer of an experiment's model takes at each of its levels on one core, --tokens at once, and writes a table for
budget = { latency_ms = …, latency_table = "…" }. The output matrix is what is fixed of a pass. Levels that are missing are built. Layers of one shape are
measured once; a time is the median of --rounds. Decoding waits for memory: so every multiply reads another copy of its matrix, as many as make up
--cache, which should be more than the processor's caches hold. Close other programs.

Tables made with other engines are read too, if they have the same form: docs/formats.md has it.`,
		Example: "  finch bench latency --only fast -o latency.json",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if output == "" {
				return usagef("there is no --output: write -o and the path of the table")
			}
			if tokens < 1 || rounds < 1 {
				return usagef("--tokens %d, --rounds %d: write 1 or more", tokens, rounds)
			}
			bytes, err := configs.ParseBytes(cache)
			if err != nil {
				return usagef("--cache: %w", err)
			}
			file, err := loadExperiments(args, only)
			if err != nil {
				return err
			}
			if len(file.Experiments) != 1 {
				return usagef("%s has %d experiments: name one with --only", file.Path, len(file.Experiments))
			}
			return benchLatency(c, &file.Experiments[0], tokens, rounds, bytes, output)
		},
	}
	c.Flags().StringVar(&only, "only", "", "the experiment with this name")
	c.Flags().StringVarP(&output, "output", "o", "", "the file to write")
	c.Flags().IntVar(&tokens, "tokens", 1, "tokens at once: 1 is decoding")
	c.Flags().IntVar(&rounds, "rounds", 9, "measure every case so many times and take the median")
	c.Flags().StringVar(&cache, "cache", "256MiB", "multiply with copies of each matrix that make up so much memory")
	return c
}

func benchLatency(c *cobra.Command, config *configs.Experiment, tokens, rounds int, cache int64, output string) error {
	session, err := newSession(c)
	if err != nil {
		return err
	}
	defer session.Close()
	lock, err := lockDatabase(database(c))
	if err != nil {
		return err
	}
	defer lock.Release()
	table, err := session.MeasureLatency(c.Context(), config, tokens, rounds, cache)
	if err != nil {
		return configError(err)
	}
	table.Machine = machine()
	data, err := json.MarshalIndent(table, "", "  ")
	if err != nil {
		return err
	}
	err = atomicfile.Write(output, func(w io.Writer) error {
		_, err := w.Write(append(data, '\n'))
		return err
	})
	if err != nil {
		return err
	}
	least, most := table.Range()
	fmt.Fprintf(c.OutOrStdout(), "%s: a pass over %d tokens takes from %.3f to %.3f ms, %.3f ms of it fixed\n",
		output, tokens, milliseconds(least), milliseconds(most), milliseconds(table.Fixed))
	return nil
}

func milliseconds(ns int64) float64 { return float64(ns) / 1e6 }

// machine names the processor, where the system does, and the system.
func machine() string {
	system := runtime.GOOS + "/" + runtime.GOARCH
	file, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return system
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if key, value, _ := strings.Cut(lines.Text(), ":"); strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value) + ", " + system
		}
	}
	return system
}

// Package cmd is the command line of finch: one file per command, and all wiring of the rooms. It is a package of its
// own, so that a program with further search methods can be finch plus these.
package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/finch-llm/finch/configs"
	"github.com/finch-llm/finch/experiment"
	"github.com/finch-llm/finch/internal/resources"
	"github.com/finch-llm/finch/kernels"
)

// Exit codes.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitTimeLimit   = 124 // as timeout(1) has it
	exitInterrupted = 130 // as shells have it for SIGINT
)

// usageError is a mistake in flags, arguments or an experiment file: nothing was started.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// errInterrupted ends a command that was asked to stop and has committed what it had.
var errInterrupted = errors.New("interrupted")

// Main runs the command line and returns the exit code. Results go to stdout, progress and errors to stderr.
func Main(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	go func() { // a second signal ends the process at once: what is committed is safe
		<-ctx.Done()
		stop()
	}()
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	var usage usageError
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, experiment.ErrTimeLimit):
		fmt.Fprintln(stderr, "finch:", oneLine(err))
		return exitTimeLimit
	case errors.Is(err, errInterrupted):
		fmt.Fprintln(stderr, "finch:", oneLine(err))
		return exitInterrupted
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		fmt.Fprintln(stderr, "finch:", errInterrupted)
		return exitInterrupted
	case errors.As(err, &usage):
		fmt.Fprintln(stderr, "finch:", oneLine(err))
		return exitUsage
	default:
		fmt.Fprintln(stderr, "finch:", oneLine(err)+remedy(err))
		return exitFailed
	}
}

// oneLine writes an error on one line, for joined errors and texts of others that have several.
func oneLine(err error) string {
	return strings.Join(strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "finch",
		Short: "evolutionary search for the best per-layer compression of a language model",
		Long: `finch searches, by evolution, how strongly each part of a language model can be compressed: a sparsity, a
bitwidth or a dropped sublayer for every layer, under one budget. It scores each candidate by running the compressed
model, and keeps every generation in an SQLite database, from which an interrupted search goes on.

  finch run experiments.toml      run, or resume, every experiment of a file
  finch query best                what came out`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          knownCommand,
		Version:       version(),

		PersistentPreRunE: checkFlags,
		RunE:              func(c *cobra.Command, _ []string) error { return c.Help() },

		SuggestionsMinimumDistance: 2,
	}
	root.PersistentFlags().String("db", "finch.db", "the database of runs")
	root.PersistentFlags().Int("threads", runtime.GOMAXPROCS(0), "worker threads; results do not depend on their number")
	root.PersistentFlags().String("memory", "", `memory to make do with, like "8GiB", as far as that is possible (default: what is free); results do not depend on it`)
	root.PersistentFlags().String("kernels", os.Getenv("FINCH_KERNELS"), "instruction set to use: avx512bf16, avx512, avx2, neon or portable (default: the fastest here; also FINCH_KERNELS)")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usagef("%w: see %s --help", err, c.CommandPath())
	})
	root.AddCommand(
		newCompress(), newCompareModels(), newRun(), newPlan(), newStatus(), newBest(), newCompare(), newQuery(), newEval(), newGenerate(), newInspect(),
		newCheck(), newDB(), newReproduce(), newExport(), newImport(), newPull(), newLevels(), newBench(),
	)
	argumentsAreUsage(root)
	return root
}

// argumentsAreUsage makes wrong arguments of the commands below c errors of usage.
func argumentsAreUsage(c *cobra.Command) {
	for _, c := range c.Commands() {
		args := c.Args
		c.Args = func(c *cobra.Command, a []string) error {
			var usage usageError
			err := args(c, a)
			if err == nil || errors.As(err, &usage) {
				return err
			}
			return usagef("%w: see %s --help", err, c.CommandPath())
		}
		argumentsAreUsage(c)
	}
}

// checkFlags refuses what the flags of all commands cannot mean, also where a command does not use them.
func checkFlags(c *cobra.Command, _ []string) error {
	if _, err := kernelPath(c); err != nil {
		return err
	}
	if _, err := threads(c); err != nil {
		return err
	}
	_, _, err := memory(c)
	return err
}

// knownCommand refuses what is left of the arguments when no command was found.
func knownCommand(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if near := c.SuggestionsFor(args[0]); len(near) > 0 {
		return usagef("unknown command %q: did you mean %q? see finch --help", args[0], near[0])
	}
	return usagef("unknown command %q: see finch --help", args[0])
}

// kernelPath is the path that --kernels asks for.
func kernelPath(c *cobra.Command) (*kernels.Path, error) {
	name, _ := c.Flags().GetString("kernels")
	p, err := kernels.Select(name)
	if err != nil {
		return nil, usageError{err}
	}
	return p, nil
}

func threads(c *cobra.Command) (int, error) {
	n, _ := c.Flags().GetInt("threads")
	if n < 1 || n > 4096 {
		return 0, usagef("--threads %d: write a number from 1 to 4096", n)
	}
	return n, nil
}

// memory is the number of bytes that --memory allows, or else that are free, 0 if that is not known.
func memory(c *cobra.Command) (bytes int64, asked bool, err error) {
	const least = 64 << 20
	text, _ := c.Flags().GetString("memory")
	if text == "" {
		free, _ := resources.AvailableMemory()
		return free, false, nil
	}
	n, err := configs.ParseBytes(text)
	if err != nil {
		return 0, true, usagef("--memory: %w", err)
	}
	if n < least {
		return 0, true, usagef("--memory %s: write 64MiB or more", text)
	}
	return n, true, nil
}

func database(c *cobra.Command) string {
	path, _ := c.Flags().GetString("db")
	return path
}

// printJSON is what --json prints.
func printJSON(c *cobra.Command, v any) error {
	e := json.NewEncoder(c.OutOrStdout())
	e.SetIndent("", "  ")
	return e.Encode(v)
}

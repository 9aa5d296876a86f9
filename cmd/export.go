package cmd

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/finch-llm/finch/configs"
	"github.com/finch-llm/finch/experiment"
	"github.com/finch-llm/finch/export"
	"github.com/finch-llm/finch/internal/atomicfile"
	"github.com/finch-llm/finch/store"
)

func newExport() *cobra.Command {
	var format, output string
	c := &cobra.Command{
		Use:   "export RUN",
		Short: "write the winner of a run as a model file",
		Long: `export writes the network that a run chose: the very bytes that were scored. RUN is a run's id or the name of its
experiment. A gguf is loaded by llama.cpp and what is built on it; a packed file, finch's own, holds what a gguf cannot,
sparse layers and dropped sublayers, and is measured with finch eval. The model that the run searched over must still be
where it was; levels that are missing from the level database are built again.`,
		Example: `  finch export bits-3.5 -o bits-3.5.gguf
  finch export 4 -o joint.packed && finch eval joint.packed --base builtin:finchling`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if format != "" && format != configs.GGUF && format != configs.Packed {
				return usagef("--format %q: write gguf or packed", format)
			}
			if output == "" {
				return usagef("there is no --output: write -o and the path of the file")
			}
			return exportRun(c, args[0], format, output)
		},
	}
	c.Flags().StringVar(&format, "format", "", "gguf or packed (default: the run's target)")
	c.Flags().StringVarP(&output, "output", "o", "", "the file to write")
	return c
}

func exportRun(c *cobra.Command, name, format, output string) error {
	ctx, path := c.Context(), database(c)
	if err := requireDatabase(c); err != nil {
		return err
	}
	session, err := newSession(c)
	if err != nil {
		return err
	}
	defer session.Close()
	release, err := openForWriting(ctx, session, path) // the file is noted in the database, and levels may be built
	if err != nil {
		return err
	}
	defer release()
	run, err := findRun(ctx, session.DB, name)
	if err != nil {
		return err
	}
	if format == "" {
		format = run.Target
	}
	if format == configs.Safetensors {
		return usagef("run %d counted a safetensors file, which finch does not write: add --format packed or --format gguf", run.ID)
	}
	if sameFile(output, run.Model) || sameFile(filepath.Dir(output), run.Model) {
		return usagef("--output %s is the model that the run searched over, or in its folder: choose another path", output)
	}
	for _, own := range []string{path, path + "-wal", path + "-shm", path + ".lock"} {
		if sameFile(output, own) {
			return usagef("--output %s is the database, or belongs to it: choose another path", output)
		}
	}
	winner, err := session.Winner(ctx, &run)
	if err != nil {
		return err
	}
	artifact, err := writeWinner(ctx, winner, &run, format, output)
	if err != nil {
		return err
	}
	if err := session.DB.PutArtifact(ctx, run.ID, artifact); err != nil {
		return err
	}
	fmt.Fprintf(c.OutOrStdout(), "%s: %d bytes, %s\n", output, artifact.Bytes, compareSize(&run, winner.Result.FileBytes, format))
	return nil
}

// compareSize says how a file's size relates to the one that the run counted with.
func compareSize(run *store.Run, recorded int64, format string) string {
	if format == run.Target {
		return fmt.Sprintf("the size that run %d (%s, seed %d) recorded", run.ID, run.Experiment, run.Seed)
	}
	return fmt.Sprintf("from run %d (%s, seed %d), which counted %d bytes of a %s file", run.ID, run.Experiment, run.Seed, recorded, run.Target)
}

// writeWinner writes the file and makes sure of its size.
func writeWinner(ctx context.Context, w *experiment.Winner, run *store.Run, format, output string) (store.Artifact, error) {
	target, err := export.For(format, w.Model)
	if err != nil {
		return store.Artifact{}, err
	}
	size, err := target.Size(w.Network)
	if err != nil {
		return store.Artifact{}, fmt.Errorf("%s as %s: %w", run.Experiment, format, err)
	}
	if format == run.Target && size != w.Result.FileBytes {
		return store.Artifact{}, fmt.Errorf("the file would have %d bytes, run %d recorded %d: another version of finch counted them", size, run.ID, w.Result.FileBytes)
	}
	absolute, err := filepath.Abs(output)
	if err != nil {
		return store.Artifact{}, err
	}
	sum := sha256.New()
	written := &stoppable{ctx: ctx}
	err = atomicfile.Write(output, func(file io.Writer) error {
		written.w = io.MultiWriter(file, sum)
		if err := target.Write(written, w.Network); err != nil {
			return err
		}
		if written.n != size {
			return fmt.Errorf("%d bytes were written instead of %d", written.n, size)
		}
		return nil
	})
	return store.Artifact{Path: absolute, Kind: format, SHA256: hex.EncodeToString(sum.Sum(nil)), Bytes: written.n}, err
}

// stoppable counts what it writes until its context ends.
type stoppable struct {
	ctx context.Context
	w   io.Writer
	n   int64
}

func (s *stoppable) Write(b []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := s.w.Write(b)
	s.n += int64(n)
	return n, err
}

// findRun finds a run by the name of its experiment, if that has one run only, or by its id.
func findRun(ctx context.Context, db *store.DB, name string) (store.Run, error) {
	runs, err := db.Runs(ctx)
	if err != nil {
		return store.Run{}, err
	}
	var found []store.Run
	var ids []string
	for _, r := range runs {
		if r.Experiment == name {
			found = append(found, r)
			ids = append(ids, fmt.Sprintf("%d (seed %d)", r.ID, r.Seed))
		}
	}
	if len(found) > 1 {
		return store.Run{}, usagef("experiment %q has several runs: name one by its id: %s", name, strings.Join(ids, ", "))
	}
	if len(found) == 1 {
		return found[0], nil
	}
	if id, err := strconv.ParseInt(name, 10, 64); err == nil {
		run, err := db.Run(ctx, id)
		if errors.Is(err, store.ErrNotFound) {
			return run, usageError{err}
		}
		return run, err
	}
	return store.Run{}, usagef("no run is of an experiment named %q: finch status lists them", name)
}

// sameFile says whether two paths are one file that exists.
func sameFile(a, b string) bool {
	first, err := os.Stat(a)
	if err != nil {
		return false
	}
	second, err := os.Stat(b)
	return err == nil && os.SameFile(first, second)
}

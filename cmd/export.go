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
	"slices"
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
	var format, output, size string
	var candidate int64
	c := &cobra.Command{
		Use:   "export RUN",
		Short: "write the winner of a run as a model",
		Long: `export writes the network that a run chose. RUN is a run's id or the name of its experiment. The formats:

  gguf                the very bytes that were scored, for llama.cpp and what is built on it
  packed              the same in finch's own file, which also holds sparse layers and integer groups, for finch eval
  safetensors         a Hugging Face folder for transformers: all weights decoded and rounded to bf16
  compressed-tensors  the same for vLLM, with integer groups of 4 and 8 bits as codes
  recipe              the types of the layers, for llama-quantize --tensor-type-file
  evopress            the text files of EvoPress, which finch import reads

The model that the run searched over must still be where it was; levels that are missing from the level database are
built again. With --bytes or --candidate it writes another candidate that the run scored: see finch best --help.`,
		Example: `  finch export bits-3.5 -o bits-3.5.gguf
  finch export 4 -o joint.packed && finch eval joint.packed --base builtin:finchling
  finch export 4 --format safetensors -o joint-hf
  finch export front-4 --bytes 90MB -o 90MB.gguf`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if format != "" && !slices.Contains(export.Names(), format) {
				return usagef("--format %q: write one of %s", format, strings.Join(export.Names(), ", "))
			}
			if output == "" {
				return usagef("there is no --output: write -o and the path of the file or folder")
			}
			pick, err := pickerOf(size, candidate, c.Flags().Changed("candidate"))
			if err != nil {
				return err
			}
			return exportRun(c, args[0], pick, format, output)
		},
	}
	c.Flags().StringVar(&format, "format", "", strings.Join(export.Names(), ", ")+" (default: the run's target)")
	c.Flags().StringVarP(&output, "output", "o", "", "the file or folder to write")
	c.Flags().StringVar(&size, "bytes", "", `write the best candidate of at most so many bytes, like "90MB"`)
	c.Flags().Int64Var(&candidate, "candidate", 0, "write the candidate with this id")
	return c
}

// pickerOf takes the winner of a run, or what --bytes or --candidate ask for.
func pickerOf(size string, candidate int64, given bool) (picker, error) {
	switch {
	case given && size != "":
		return nil, usagef("--bytes and --candidate: write one of them")
	case given && candidate < 1:
		return nil, usagef("--candidate %d: candidates count from 1", candidate)
	case given:
		return func(s *experiment.Session, ctx context.Context, run *store.Run) (*experiment.Winner, error) {
			return s.Candidate(ctx, run, candidate)
		}, nil
	case size != "":
		bytes, err := configs.ParseBytes(size)
		if err != nil {
			return nil, usagef("--bytes: %w", err)
		}
		return func(s *experiment.Session, ctx context.Context, run *store.Run) (*experiment.Winner, error) {
			best, err := s.Choose(ctx, run, bytes)
			if err != nil {
				return nil, err
			}
			return best.Winner, nil
		}, nil
	}
	return (*experiment.Session).Winner, nil
}

// withRun opens a session and finds a run, by id or the name of its experiment; "" is the only one there is. Levels may be built, and what
// is written is noted in the database.
func withRun(c *cobra.Command, name string, f func(*experiment.Session, *store.Run) error) error {
	if err := requireDatabase(c); err != nil {
		return err
	}
	session, err := newSession(c)
	if err != nil {
		return err
	}
	defer session.Close()
	release, err := openForWriting(c.Context(), session, database(c))
	if err != nil {
		return err
	}
	defer release()
	run, err := findRun(c.Context(), session.DB, name)
	if err != nil {
		return err
	}
	return f(session, &run)
}

// picker takes a network from a run.
type picker func(*experiment.Session, context.Context, *store.Run) (*experiment.Winner, error)

// exportRun writes what pick takes from the run that is named.
func exportRun(c *cobra.Command, name string, pick picker, format, output string) error {
	return withRun(c, name, func(session *experiment.Session, run *store.Run) error {
		if format == "" {
			format = run.Target
		}
		if err := spares(c, run, output); err != nil {
			return err
		}
		winner, err := pick(session, c.Context(), run)
		if err != nil {
			return err
		}
		artifact, err := writeWinner(c.Context(), winner, run, format, output)
		if err != nil {
			return err
		}
		if err := session.DB.PutArtifact(c.Context(), artifact); err != nil {
			return err
		}
		fmt.Fprintf(c.OutOrStdout(), "%s: %d bytes, %s\n", output, artifact.Bytes, compareSize(run, winner.Result.FileBytes, format))
		return nil
	})
}

// spares refuses an output over the model or the database.
func spares(c *cobra.Command, run *store.Run, output string) error {
	if sameFile(output, run.Model) || sameFile(filepath.Dir(output), run.Model) {
		return usagef("--output %s is the model that the run searched over, or in its folder: choose another path", output)
	}
	if ownFile(database(c), output) {
		return usagef("--output %s is the database, or belongs to it: choose another path", output)
	}
	return nil
}

// compareSize says how a file's size relates to the one that the run counted with.
func compareSize(run *store.Run, recorded int64, format string) string {
	if format == run.Target {
		return fmt.Sprintf("the size that run %d (%s, seed %d) recorded", run.ID, run.Experiment, run.Seed)
	}
	return fmt.Sprintf("from run %d (%s, seed %d), which counted %d bytes of a %s file", run.ID, run.Experiment, run.Seed, recorded, run.Target)
}

// writeWinner writes the files and makes sure of their size.
func writeWinner(ctx context.Context, w *experiment.Winner, run *store.Run, format, output string) (store.Artifact, error) {
	p := export.Provenance{
		Version: version(), Experiment: run.Experiment, Run: run.ID, Seed: uint64(run.Seed), Method: run.Method, Budget: run.Budget,
		Model: run.ModelHash, Levels: w.Levels, KL: w.Result.KL,
	}
	if l := w.Config.Levels.Sparse; l != nil {
		p.Center, p.StepWeights = l.Center, l.StepWeights
	}
	writer, err := export.Open(format, w.Model, p)
	if err != nil {
		return store.Artifact{}, err
	}
	files, err := writer.Files(w.Network)
	if err != nil {
		return store.Artifact{}, fmt.Errorf("%s as %s: %w", run.Experiment, format, err)
	}
	a := store.Artifact{Run: run.ID, Kind: format}
	for _, f := range files {
		a.Bytes += f.Bytes
	}
	if format == run.Target && a.Bytes != w.Result.FileBytes {
		return a, fmt.Errorf("the %s would have %d bytes, run %d recorded %d: another version of finch counted them", format, a.Bytes, run.ID, w.Result.FileBytes)
	}
	if a.Path, err = filepath.Abs(output); err != nil {
		return a, err
	}
	a.SHA256, err = writeFiles(ctx, files, output)
	return a, err
}

// writeFiles writes a file, or a folder, and returns its SHA-256: of a folder that of what sha256sum prints of its files.
func writeFiles(ctx context.Context, files []export.File, output string) (string, error) {
	if len(files) == 1 && files[0].Name == "" {
		return writeFile(ctx, output, files[0])
	}
	sums := sha256.New()
	err := atomicfile.WriteFolder(output, func(dir string) error {
		for _, f := range files {
			sum, err := writeFile(ctx, filepath.Join(dir, f.Name), f)
			if err != nil {
				return err
			}
			fmt.Fprintf(sums, "%s  %s\n", sum, f.Name)
		}
		return nil
	})
	return hex.EncodeToString(sums.Sum(nil)), err
}

// writeFile writes one file and returns its SHA-256.
func writeFile(ctx context.Context, path string, f export.File) (string, error) {
	sum := sha256.New()
	err := atomicfile.Write(path, func(file io.Writer) error {
		written := &stoppable{ctx: ctx, w: io.MultiWriter(file, sum)}
		if err := f.Write(written); err != nil {
			return err
		}
		if written.n != f.Bytes {
			return fmt.Errorf("%d bytes were written instead of %d", written.n, f.Bytes)
		}
		return nil
	})
	return hex.EncodeToString(sum.Sum(nil)), err
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

// findRun finds a run by the name of its experiment, if that has one run only, or by its id; "" is the only run there is.
func findRun(ctx context.Context, db *store.DB, name string) (store.Run, error) {
	runs, err := db.Runs(ctx)
	if err != nil {
		return store.Run{}, err
	}
	if name == "" {
		if len(runs) != 1 {
			return store.Run{}, usagef("the database has %d runs: name one: finch status lists them", len(runs))
		}
		return runs[0], nil
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

// ownFile says whether a path is a database, or a file that belongs to it.
func ownFile(db, path string) bool {
	for _, own := range []string{db, db + "-wal", db + "-shm", lockFile(db)} {
		if sameFile(path, own) {
			return true
		}
	}
	return false
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

package cmd

import (
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/finch-llm/finch/compress"
	"github.com/finch-llm/finch/configs"
	"github.com/finch-llm/finch/evaluator"
	"github.com/finch-llm/finch/internal/atomicfile"
	"github.com/finch-llm/finch/model"
	"github.com/finch-llm/finch/model/imatrix"
)

func newLevelsImatrix() *cobra.Command {
	var output, data string
	var context, chunks int
	c := &cobra.Command{
		Use:   "imatrix MODEL",
		Short: "write llama.cpp's importance matrix of a model",
		Long: `imatrix runs a model on a text, in chunks of --context tokens as llama.cpp's own program does, and writes the mean square of each
input of each layer: an importance matrix that llama-quantize and statistics.imatrix of an experiment file take. It is a GGUF file, or one
of the older form if its name ends in .dat. Do not take a text that the quantized model is to be judged by.

With --data self the model writes its text itself, --chunks chunks by sampling at temperature 1: as a rule better than a text unlike
those that it was trained on.`,
		Example: `  finch levels imatrix model.gguf --data book.txt -o imatrix.gguf
  finch levels imatrix model.gguf --data self -o imatrix.gguf`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case output == "":
				return usagef("where to? Write -o imatrix.gguf, or -o imatrix.dat for the older form")
			case context < 2:
				return usagef("--context %d: write 2 or more", context)
			case chunks < 0:
				return usagef("--chunks %d: write a number of chunks, or 0 for the whole text", chunks)
			case data == configs.Self && chunks == 0:
				return usagef("--chunks 0: a model could write its own text without end: write how many chunks")
			case sameFile(output, args[0]) || sameFile(output, data):
				return usagef("-o %s would overwrite what it is made from: choose another name", output)
			}
			f, err := importance(c, args[0], data, context, chunks)
			if err != nil {
				return err
			}
			write := f.Write
			if filepath.Ext(output) == ".dat" {
				write = f.WriteLegacy
			}
			if err := atomicfile.Write(output, func(w io.Writer) error { return write(w) }); err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "%s: %d matrices, from %d chunks of %d tokens of %s\n", output, len(f.Matrices), f.Chunks, f.ChunkSize, data)
			return nil
		},
	}
	c.Flags().StringVarP(&output, "output", "o", "", "the file to write (required)")
	c.Flags().StringVar(&data, "data", "builtin:calibration", "the text: a file, hf://datasets/ORG/NAME/FILE, builtin:calibration, builtin:evaluation, or self, which the model writes itself")
	c.Flags().IntVar(&context, "context", 512, "tokens per chunk")
	c.Flags().IntVar(&chunks, "chunks", 64, "use only so many chunks; 0: all of the text")
	return c
}

// importance runs a model on a text and keeps the mean squares of its layers' inputs.
func importance(c *cobra.Command, ref, data string, context, chunks int) (*imatrix.File, error) {
	options, err := engineOptions(c)
	if err != nil {
		return nil, err
	}
	m, err := openModel(c, ref)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	if context > m.Context {
		return nil, usagef("--context %d: the context of %s is %d: write that or less", context, m.Ref, m.Context)
	}
	if m.Experts > 0 {
		return nil, fmt.Errorf("%s is a mixture of experts: an importance matrix has importances of its own for each expert, and finch measures those of all experts together", m.Ref)
	}
	options.Path, options.Context, options.NoTeacher = options.Path.Exact(), context, true
	engine, err := evaluator.New(m, options)
	if err != nil {
		return nil, err
	}
	defer engine.Rest()
	corpus, err := readChunks(c, engine, m, data, context, chunks)
	if err != nil {
		return nil, err
	}
	f := &imatrix.File{Datasets: []string{data}, Chunks: corpus.Len(), ChunkSize: context}
	return f, engine.Statistics(c.Context(), &evaluator.Calibration{
		Corpus: corpus,
		Needs:  func(int, model.Kind) compress.Needs { return compress.NeedsSquares },
		Take: func(block int, of *[model.NumKinds]*compress.Statistics) error {
			for _, k := range m.Kinds() {
				s := of[k]
				f.Matrices = append(f.Matrices, imatrix.Matrix{Name: model.LayerName(block, k) + ".weight", Count: s.Tokens, Squares: s.Squares})
			}
			return nil
		},
	})
}

// readChunks reads the text of an importance matrix, or has the model write it.
func readChunks(c *cobra.Command, engine *evaluator.Engine, m *model.Model, data string, context, chunks int) (*evaluator.Corpus, error) {
	if data == configs.Self {
		return engine.Sample(c.Context(), evaluator.Sampling{
			Sequences: chunks, Length: context, Seed: evaluator.SampleSeed, Written: newProgress(c.ErrOrStderr()).Text,
		})
	}
	ids, err := readTokens(c, data, m)
	if err != nil {
		return nil, err
	}
	corpus, err := evaluator.NewChunks(ids, context, chunks, m.Tokenizer.Prefix())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", data, err)
	}
	return corpus, nil
}

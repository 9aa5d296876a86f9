package cmd

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/finch-llm/finch/compress"
	"github.com/finch-llm/finch/configs"
	"github.com/finch-llm/finch/experiment"
	"github.com/finch-llm/finch/export"
	"github.com/finch-llm/finch/model"
)

// imported is what import is told.
type imported struct {
	model, output, format string
	level, prune          string
	sparsity              float64
	step                  int64
	data                  string
}

func newImport() *cobra.Command {
	var set imported
	c := &cobra.Command{
		Use:   "import FILE [FILE]",
		Short: "write the model that a configuration of EvoPress stands for",
		Long: `import reads the text files of EvoPress, compresses the model as they say and writes it, for finch eval to score or other
engines to load. A file has a number for each layer, which is its bits,

  model.layers.0.self_attn.q_proj: 4

or, with --sparsity and --step-weights, its step on a ladder of sparsities; or a word for each block, which is what the
block drops: none, attn, mlp or attn+mlp. Two files, one of either kind, are taken together.`,
		Example: `  finch import layer_drop_config.txt --model llama-3-8b -o dropped.packed
  finch import 3bit.txt --model llama-3-8b --level gptq-int%d-g128 --data book.txt -o 3bit.packed
  finch import 70.txt --model llama-3-8b --sparsity 0.7 --step-weights 314572 -o 70.packed
  finch eval 70.packed --base llama-3-8b`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case set.model == "":
				return usagef("there is no --model: write the model that the file is for")
			case set.output == "":
				return usagef("there is no --output: write -o and the path of the file")
			case !slices.Contains(export.Names(), set.format):
				return usagef("--format %q: write one of %s", set.format, strings.Join(export.Names(), ", "))
			case (set.sparsity > 0) != (set.step > 0):
				return usagef("--sparsity and --step-weights go together: the middle of the ladder, and the weights that a step prunes")
			case set.sparsity < 0 || set.sparsity >= 1 || set.step < 0:
				return usagef("--sparsity %v, --step-weights %d: write a share between 0 and 1, and a number of weights", set.sparsity, set.step)
			}
			return importFiles(c, args, &set)
		},
	}
	c.Flags().StringVar(&set.model, "model", "", "the model that the file is for")
	c.Flags().StringVarP(&set.output, "output", "o", "", "the file or folder to write")
	c.Flags().StringVar(&set.format, "format", configs.Packed, strings.Join(export.Names(), ", "))
	c.Flags().StringVar(&set.level, "level", "gptq-int%d-g128", "the level that %d bits stand for")
	c.Flags().Float64Var(&set.sparsity, "sparsity", 0, "numbers are steps on a ladder of sparsities with this middle")
	c.Flags().Int64Var(&set.step, "step-weights", 0, "how many weights more a step prunes")
	c.Flags().StringVar(&set.prune, "prune", "sparsegpt", "how the steps of a ladder are pruned: sparse (by magnitude), wanda or sparsegpt")
	c.Flags().StringVar(&set.data, "data", "builtin:calibration", "the text that levels are fitted to: a file, hf://datasets/ORG/NAME/FILE or builtin:calibration")
	return c
}

func importFiles(c *cobra.Command, paths []string, set *imported) error {
	session, err := newSession(c)
	if err != nil {
		return err
	}
	defer session.Close()
	m, err := session.Original(set.model)
	if err != nil {
		return err
	}
	if sameFile(set.output, m.Path) {
		return usagef("--output %s is the model: choose another path", set.output)
	}
	a, err := set.allocation(m, paths)
	if err != nil {
		return usageError{err}
	}
	writer, err := export.Open(set.format, m, export.Provenance{Version: version(), Method: "import", Model: m.Hash})
	if err != nil {
		return err
	}
	lock, err := lockDatabase(database(c)) // levels may be built
	if err != nil {
		return err
	}
	defer lock.Release()
	const tokens, sequence = 32768, 512
	text := configs.Text{Data: set.data, Tokens: tokens, Sequence: min(sequence, m.Context)}
	n, err := session.Allocate(c.Context(), m, a, text)
	if err != nil {
		return err
	}
	files, err := writer.Files(n)
	if err != nil {
		return fmt.Errorf("%s as %s: %w", strings.Join(paths, " and "), set.format, err)
	}
	if _, err := writeFiles(c.Context(), files, set.output); err != nil {
		return err
	}
	size := int64(0)
	for _, f := range files {
		size += f.Bytes
	}
	fmt.Fprintf(c.OutOrStdout(), "%s: %d bytes, %s as in %s\n", set.output, size, set.model, strings.Join(paths, " and "))
	return nil
}

// allocation reads the files.
func (set *imported) allocation(m *model.Model, paths []string) (experiment.Allocation, error) {
	var a experiment.Allocation
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return a, err
		}
		e, err := export.ParseEvoPress(text, m)
		if err != nil {
			return a, fmt.Errorf("%s: %w", path, err)
		}
		if a.Levels != nil && e.Numbers != nil || a.DropAttn != nil && e.DropAttn != nil {
			return a, errors.New("the two files are of one kind: give one with numbers of layers and one with words for blocks")
		}
		if e.Numbers == nil {
			a.DropAttn, a.DropMLP = e.DropAttn, e.DropMLP
		} else if a.Levels, err = set.levels(m, e.Numbers); err != nil {
			return a, fmt.Errorf("%s: %w", path, err)
		}
	}
	return a, nil
}

// levels are what the numbers of layers stand for.
func (set *imported) levels(m *model.Model, numbers map[string]int) (map[string]compress.Level, error) {
	levels := map[string]compress.Level{}
	for b := range m.Network.Blocks {
		for _, k := range m.Kinds() {
			w, layer := m.Network.Blocks[b].Layers[k], model.LayerName(b, k)
			number := numbers[layer]
			name := strings.ReplaceAll(set.level, "%d", fmt.Sprint(number))
			if set.step > 0 {
				weights := int64(w.Rows) * int64(w.Cols)
				zeros := export.LadderZeros(set.sparsity, number, set.step, weights)
				if zeros < 0 || zeros > weights {
					return nil, fmt.Errorf("step %d of %s would prune %d of %d weights: the ladder was another", number, layer, zeros, weights)
				}
				name = fmt.Sprintf("%s@%d", set.prune, zeros)
			}
			level, err := compress.ParseLevel(name)
			if err == nil && level.Gate() {
				err = fmt.Errorf("level %q keeps or drops a sublayer: write one for layers", name)
			}
			if err != nil {
				return nil, fmt.Errorf("%s: %w", layer, err)
			}
			levels[layer] = level
		}
	}
	return levels, nil
}

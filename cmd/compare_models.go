package cmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/finch-llm/finch/compress"
	"github.com/finch-llm/finch/evaluator"
	"github.com/finch-llm/finch/kernels"
	"github.com/finch-llm/finch/model"
	"github.com/finch-llm/finch/store"
	"github.com/finch-llm/finch/tasks"
)

func newCompareModels() *cobra.Command {
	var text evalText
	var base string
	var files []string
	var asJSON bool
	c := &cobra.Command{
		Use:   "compare-models MODEL MODEL…",
		Short: "models side by side: size, perplexity, KL divergence, tasks, speed",
		Long: `compare-models measures models on a text, and on tasks if there are any, as finch eval does: KL divergence from --base, or from
the first. It also runs each for a moment, to read a prompt of 256 tokens and to generate 32 more on one thread.`,
		Example: `  finch compare-models f16.gguf q4_k_m.gguf small.gguf --data wiki.test.raw --tasks arc_easy.jsonl`,
		Args:    cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := text.check(); err != nil {
				return err
			}
			if base == "" && len(args) < 2 {
				return usagef("give two models or more, or one and a --base")
			}
			if err := text.only(c, base); err != nil {
				return err
			}
			list, err := compareModels(c, args, base, &text, files)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(c, list)
			}
			return store.Render(c.OutOrStdout(), comparisonTable(list), "table")
		},
	}
	text.flags(c)
	c.Flags().StringVar(&base, "base", "", "the model to compare with, or a file that finch eval --save-base wrote (default: the first)")
	c.Flags().StringSliceVar(&files, "tasks", nil, "files of questions, .jsonl")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// compared is a model as compare-models sees it.
type compared struct {
	evaluation
	Bytes             int64   `json:"bytes"`           // of its file; of the weights where there are several files or none
	BitsPerWeight     float64 `json:"bits_per_weight"` // of the layers
	PromptPerSecond   float64 `json:"prompt_tokens_per_second"`
	GeneratePerSecond float64 `json:"generated_tokens_per_second"`
}

// compareModels evaluates the models one after the other. What the base makes of the text is kept in a file meanwhile, so that it is
// run once.
func compareModels(c *cobra.Command, refs []string, base string, text *evalText, files []string) ([]compared, error) {
	questions, err := readTasks(files)
	if err != nil {
		return nil, err
	}
	path, err := kernelPath(c)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "finch-base-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	kept := filepath.Join(dir, "base")
	if base != "" && evaluator.IsBase(base) {
		kept = base
	} else if base != "" {
		m, err := openModel(c, base)
		if err != nil {
			return nil, err
		}
		err = (&evaluation{}).evaluate(c, m, text, "", kept, nil)
		if err = errors.Join(err, m.Close()); err != nil {
			return nil, err
		}
	}
	var list []compared
	for i, ref := range refs {
		r := compared{evaluation: evaluation{Model: ref}}
		with, save := kept, ""
		if base == "" && i == 0 {
			with, save = "", kept
		}
		if err := r.compare(c, path, text, with, save, questions); err != nil {
			return nil, err
		}
		r.Base = base
		if base == "" && i > 0 {
			r.Base = refs[0]
		}
		list = append(list, r)
	}
	return list, nil
}

// compare opens the model once for all that is to be found out about it.
func (r *compared) compare(c *cobra.Command, path *kernels.Path, text *evalText, base, saveBase string, questions []*tasks.Task) error {
	m, err := openModel(c, r.Model)
	if err != nil {
		return err
	}
	defer m.Close()
	if err := r.evaluate(c, m, text, base, saveBase, questions); err != nil {
		return err
	}
	return r.measure(c.Context(), m, path)
}

// Tokens of the texts that speed is measured on, unless the model's context is shorter.
const (
	speedPrompt   = 256
	speedGenerate = 32
)

// measure finds out how large and how fast the model is.
func (r *compared) measure(ctx context.Context, m *model.Model, path *kernels.Path) error {
	var stored int64
	for b := range m.Network.Blocks {
		block := &m.Network.Blocks[b]
		for _, k := range m.Kinds() {
			if !block.Drops(k) {
				stored += block.Layers[k].Bytes()
			}
		}
	}
	r.Bytes, r.BitsPerWeight = m.Bytes, compress.BitsPerWeight(stored, m.LayerWeights())
	if file, err := os.Stat(m.Path); err == nil && file.Mode().IsRegular() {
		r.Bytes = max(r.Bytes, file.Size())
	}
	generate := min(speedGenerate, m.Context/2)
	prompt := make([]int32, min(speedPrompt, m.Context-generate))
	runner := model.NewRunner(m, path, len(prompt)+generate)
	hidden, logits := make([]float32, len(prompt)*m.Hidden), make([]float32, m.Vocab)
	var cache *model.Cache
	extend := func(ids []int32) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := runner.Extend(hidden, &m.Network, ids, cache); err != nil {
			return err
		}
		runner.Logits(logits, hidden[(len(ids)-1)*m.Hidden:len(ids)*m.Hidden])
		return nil
	}
	for range 2 { // the first reads the weights from disk
		cache = runner.NewCache()
		start := time.Now()
		if err := extend(prompt); err != nil {
			return err
		}
		r.PromptPerSecond = float64(len(prompt)) / time.Since(start).Seconds()
	}
	start := time.Now()
	for range generate {
		if err := extend(prompt[:1]); err != nil {
			return err
		}
	}
	r.GeneratePerSecond = float64(generate) / time.Since(start).Seconds()
	return nil
}

func comparisonTable(list []compared) *store.Table {
	t := &store.Table{Columns: []string{"model", "bytes", "bits_per_weight", "ppl", "kld", "same_top_%"}}
	for _, s := range list[0].Tasks {
		t.Columns = append(t.Columns, s.Task)
	}
	t.Columns = append(t.Columns, "prompt_tokens/s", "generated_tokens/s")
	for i := range list {
		r := &list[i]
		row := []any{r.Model, r.Bytes, r.BitsPerWeight, estimate(&r.Text.PPL), nil, nil}
		if k := r.Text.Comparison; k != nil {
			row[4], row[5] = fmt.Sprintf("%.5f ± %.5f", k.KLD.Value, k.KLD.Error), fmt.Sprintf("%.2f ± %.2f", 100*k.SameTop.Value, 100*k.SameTop.Error)
		}
		for _, s := range r.Tasks {
			row = append(row, accuracy(&s))
		}
		t.Rows = append(t.Rows, append(row, r.PromptPerSecond, r.GeneratePerSecond))
	}
	return t
}

// accuracy is the one that is usually told of a task: by the answers' length where they have one.
func accuracy(s *tasks.Score) any {
	if s.AccNorm != nil {
		return estimate(s.AccNorm)
	}
	return estimate(&s.Acc)
}

package cmd

import (
	"context"
	"fmt"
	"io"
	"math"
	"os"

	"github.com/spf13/cobra"

	"github.com/finch-llm/finch/evaluator"
	"github.com/finch-llm/finch/internal/atomicfile"
	"github.com/finch-llm/finch/kernels"
	"github.com/finch-llm/finch/model"
	"github.com/finch-llm/finch/tasks"
)

func newEval() *cobra.Command {
	var text evalText
	var base, saveBase string
	var files []string
	var asJSON bool
	c := &cobra.Command{
		Use:   "eval MODEL",
		Short: "perplexity, KL divergence from a base model, and tasks",
		Long: `eval measures a model on a text as llama.cpp's perplexity program does: the text's tokens in chunks of --context,
each token of a chunk's second half predicted from what comes before it in the chunk; with --stride, overlapping windows of
which the last so many tokens are predicted.

With --base it compares the model with another, and prints the table that llama-perplexity --kl-divergence prints. A base is
a model, or a file that --save-base wrote: that has the text and what the base model makes of it, so neither is needed again.

With --tasks it answers the questions of JSONL files, scored as lm-evaluation-harness does: lambada, arc, piqa, winogrande,
hellaswag, boolq, openbookqa, in the shape of their data sets or of llm-foundry. The text is then left out, unless --data, --base
or --save-base asks for it.`,
		Example: `  finch eval builtin:finchling
  finch eval q4.gguf --base f16.gguf --data wiki.test.raw
  finch eval f16.gguf --data wiki.test.raw --save-base f16.base && finch eval q4.gguf --base f16.base
  finch eval q4.gguf --tasks arc_easy.jsonl,lambada_openai.jsonl`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := text.check(); err != nil {
				return err
			}
			if base != "" && saveBase != "" {
				return usagef("--save-base keeps what MODEL makes of the text, --base compares it with another: give one of them")
			}
			if err := text.only(c, base); err != nil {
				return err
			}
			questions, err := readTasks(files)
			if err != nil {
				return err
			}
			m, err := openModel(c, args[0])
			if err != nil {
				return err
			}
			defer m.Close()
			r := &evaluation{Model: args[0]}
			if err := r.evaluate(c, m, &text, base, saveBase, questions); err != nil {
				return err
			}
			if asJSON {
				return printJSON(c, r)
			}
			return r.print(c)
		},
	}
	text.flags(c)
	c.Flags().StringVar(&base, "base", "", "the model to compare with, or a file that --save-base wrote")
	c.Flags().StringVar(&saveBase, "save-base", "", "a file to keep what MODEL makes of the text in, for --base")
	c.Flags().StringSliceVar(&files, "tasks", nil, "files of questions, .jsonl")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// evalText is a text and how it is cut.
type evalText struct {
	data                    string
	context, stride, chunks int
}

func (t *evalText) flags(c *cobra.Command) {
	c.Flags().StringVar(&t.data, "data", "builtin:evaluation",
		"the text: a .txt, .jsonl, .jsonl.gz or .parquet file, hf://datasets/ORG/NAME/FILE, builtin:evaluation or builtin:calibration; "+
			"#FIELD after a file of documents names the field that has the text")
	c.Flags().IntVar(&t.context, "context", 512, "tokens per chunk")
	c.Flags().IntVar(&t.stride, "stride", 0, "use overlapping windows, so many tokens apart; 0: chunks")
	c.Flags().IntVar(&t.chunks, "chunks", 0, "use only so many chunks; 0: all")
}

// asked says whether a flag asks for this text in particular.
func (t *evalText) asked(c *cobra.Command) bool {
	for _, name := range []string{"data", "context", "stride", "chunks"} {
		if c.Flags().Changed(name) {
			return true
		}
	}
	return false
}

// only refuses another text than that of a base file.
func (t *evalText) only(c *cobra.Command, base string) error {
	if base != "" && t.asked(c) && evaluator.IsBase(base) {
		return usagef("%s has its text: leave out --data, --context, --stride and --chunks", base)
	}
	return nil
}

func (t *evalText) check() error {
	switch {
	case t.context < 6: // two predictions, for which there is a standard error
		return usagef("--context %d: write 6 or more", t.context)
	case t.stride < 0 || t.stride > t.context:
		return usagef("--stride %d: write up to the %d tokens of --context, or 0 for chunks", t.stride, t.context)
	case t.stride == 1 && t.chunks == 1:
		return usagef("--stride 1 --chunks 1 predicts one token, which has no standard error: write more")
	case t.chunks < 0:
		return usagef("--chunks %d: write a number of chunks, or 0 for the whole text", t.chunks)
	}
	return nil
}

// window is how many tokens the model sees at a time.
func (t *evalText) window() int {
	if t.stride > 0 {
		return evaluator.Window(t.context, t.stride)
	}
	return t.context
}

// corpus is the text in a model's tokens.
func (t *evalText) corpus(c *cobra.Command, m *model.Model) (*evaluator.Corpus, error) {
	if t.window() > m.Context {
		return nil, usagef("--context %d makes windows of %d tokens, the context of %s is %d: write less", t.context, t.window(), m.Ref, m.Context)
	}
	ids, err := readTokens(c, t.data, m)
	if err != nil {
		return nil, err
	}
	var corpus *evaluator.Corpus
	if t.stride > 0 {
		corpus, err = evaluator.NewWindows(ids, t.context, t.stride, t.chunks, m.Tokenizer.Prefix())
	} else {
		corpus, err = evaluator.NewChunks(ids, t.context, t.chunks, m.Tokenizer.Prefix())
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.data, err)
	}
	return corpus, nil
}

// evaluation is what eval prints.
type evaluation struct {
	Model string        `json:"model"`
	Base  string        `json:"base,omitempty"`
	Text  *textResult   `json:"text,omitempty"`
	Tasks []tasks.Score `json:"tasks,omitempty"`
}

// textResult is what a model makes of a text.
type textResult struct {
	Data       string                `json:"data"`
	Context    int                   `json:"context"`
	Stride     int                   `json:"stride,omitempty"`
	Chunks     int                   `json:"chunks"`
	Positions  int                   `json:"positions"`
	Kernels    string                `json:"kernels"`
	PPL        evaluator.Estimate    `json:"ppl"`
	Comparison *evaluator.Comparison `json:"comparison,omitempty"` // nil without a base
}

// evaluate measures what is asked for.
func (r *evaluation) evaluate(c *cobra.Command, m *model.Model, text *evalText, base, saveBase string, questions []*tasks.Task) error {
	options, err := engineOptions(c)
	if err != nil {
		return err
	}
	if len(questions) == 0 || base != "" || saveBase != "" || text.asked(c) {
		r.Base = base
		switch {
		case saveBase != "":
			r.Text, err = keep(c, m, options, text, saveBase)
		case base != "" && evaluator.IsBase(base):
			r.Text, err = besideBase(c.Context(), m, options, base)
		default:
			r.Text, err = beside(c, m, options, text, base)
		}
		if err != nil {
			return err
		}
	}
	r.Tasks, err = answer(c.Context(), m, options, questions)
	return err
}

// engineOptions are those of an engine that is asked once, by the flags of the command line.
func engineOptions(c *cobra.Command) (o evaluator.Options, err error) {
	if o.Path, err = kernelPath(c); err != nil {
		return o, err
	}
	if o.Workers, err = threads(c); err != nil {
		return o, err
	}
	bytes, _, err := memory(c)
	if err != nil {
		return o, err
	}
	o.Share(bytes)
	o.Cache, o.Scratch = 0, os.TempDir() // there is one network, and one call
	return o, nil
}

// beside measures a model on a text, beside another model if base is not empty.
func beside(c *cobra.Command, m *model.Model, o evaluator.Options, text *evalText, base string) (*textResult, error) {
	corpus, err := text.corpus(c, m)
	if err != nil {
		return nil, err
	}
	o.Context, o.NoTeacher = corpus.Sequence, base == ""
	if base != "" {
		if o.Teacher, err = openModel(c, base); err != nil {
			return nil, err
		}
		defer o.Teacher.Close()
		other, err := text.corpus(c, o.Teacher)
		if err != nil {
			return nil, err
		}
		if other.Hash != corpus.Hash {
			return nil, fmt.Errorf("%s and %s cut the text into different tokens: they cannot be compared", m.Ref, base)
		}
	}
	return measure(c.Context(), m, o, corpus, text)
}

// besideBase measures a model on the text of a base file, beside the model that it was kept of.
func besideBase(ctx context.Context, m *model.Model, o evaluator.Options, path string) (*textResult, error) {
	b, err := evaluator.OpenBase(path)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	if b.Corpus.Sequence > m.Context {
		return nil, fmt.Errorf("%s has windows of %d tokens, the context of %s is %d", path, b.Corpus.Sequence, m.Ref, m.Context)
	}
	if b.TextHash != b.Corpus.HashText(m.Tokenizer.Decode) {
		return nil, fmt.Errorf("%s cuts the text of %s into other tokens than %s: they cannot be compared", m.Ref, path, b.Model)
	}
	o.Context, o.Base = b.Corpus.Sequence, b
	return measure(ctx, m, o, b.Corpus, &evalText{data: b.Data, context: b.Context, stride: b.Stride})
}

// keep measures a model and keeps what others can be compared with.
func keep(c *cobra.Command, m *model.Model, o evaluator.Options, text *evalText, path string) (*textResult, error) {
	corpus, err := text.corpus(c, m)
	if err != nil {
		return nil, err
	}
	if sameFile(path, m.Path) {
		return nil, usagef("--save-base %s is the model: choose another path", path)
	}
	o.Context, o.NoTeacher = corpus.Sequence, true
	engine, err := evaluator.New(m, o)
	if err != nil {
		return nil, err
	}
	defer engine.Rest()
	var scores []kernels.TokenScore
	err = atomicfile.Write(path, func(w io.Writer) error {
		scores, err = engine.WriteBase(c.Context(), w, corpus, evaluator.BaseInfo{
			Model: m.Ref, ModelHash: m.Hash, Data: text.data, Context: text.context, Stride: text.stride, Kernels: o.Path.Name(),
			TextHash: corpus.HashText(m.Tokenizer.Decode),
		})
		if err != nil {
			return err
		}
		return finite(m, text.data, evaluator.Perplexity(scores))
	})
	if err != nil {
		return nil, err
	}
	return result(scores, corpus, text, engine), nil
}

// measure runs a model over a corpus.
func measure(ctx context.Context, m *model.Model, o evaluator.Options, corpus *evaluator.Corpus, text *evalText) (*textResult, error) {
	engine, err := evaluator.New(m, o)
	if err != nil {
		return nil, err
	}
	defer engine.Rest()
	scores, err := engine.Positions(ctx, &m.Network, corpus)
	if err != nil {
		return nil, err
	}
	r := result(scores, corpus, text, engine)
	if err := finite(m, text.data, r.PPL); err != nil {
		return nil, err
	}
	if o.Base != nil || o.Teacher != nil {
		r.Comparison = evaluator.Compare(scores)
		return r, finite(m, text.data, r.Comparison.KLD)
	}
	return r, nil
}

func result(scores []kernels.TokenScore, corpus *evaluator.Corpus, text *evalText, engine *evaluator.Engine) *textResult {
	return &textResult{
		Data: text.data, Context: text.context, Stride: text.stride, Chunks: corpus.Len(), Positions: len(scores),
		Kernels: engine.Path(), PPL: evaluator.Perplexity(scores),
	}
}

// finite refuses what damaged weights predict.
func finite(m *model.Model, data string, e evaluator.Estimate) error {
	if math.IsNaN(e.Value) || math.IsInf(e.Value, 0) {
		return fmt.Errorf("%s predicts nothing on %s (%v): are its weights damaged?", m.Ref, data, e.Value)
	}
	return nil
}

func (r *evaluation) print(c *cobra.Command) error {
	out := c.OutOrStdout()
	if t := r.Text; t != nil {
		stride := ""
		if t.Stride > 0 {
			stride = fmt.Sprintf(", %d apart", t.Stride)
		}
		fmt.Fprintf(out, "%s on %s: %d chunks of %d tokens%s, %d predictions, kernels %s\n", r.Model, t.Data, t.Chunks, t.Context, stride, t.Positions, t.Kernels)
		if t.Comparison == nil {
			fmt.Fprintf(out, "Mean PPL(Q)                   : %10.6f ± %10.6f\n", t.PPL.Value, t.PPL.Error)
		} else {
			printComparison(out, t.Comparison)
		}
	}
	if len(r.Tasks) == 0 {
		return nil
	}
	return printTasks(out, r.Tasks)
}

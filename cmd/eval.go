package cmd

import (
	"fmt"
	"math"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/finch-llm/finch/evaluator"
	"github.com/finch-llm/finch/model"
)

func newEval() *cobra.Command {
	var base, data string
	var context, chunks int
	var asJSON bool
	c := &cobra.Command{
		Use:   "eval MODEL",
		Short: "perplexity, and KL divergence from a base model, on a text",
		Long: `eval measures a model on a text as llama.cpp's perplexity program does: the text's tokens in chunks of --context,
each token of a chunk's second half predicted from what comes before it in the chunk. With --base it also gives the KL
divergence from that model and how often both find the same token most likely.`,
		Example: `  finch eval builtin:finchling
  finch eval q4.gguf --base f16.gguf --data wiki.test.raw`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if context < 6 { // two predictions, for which there is a standard error
				return usagef("--context %d: write 6 or more", context)
			}
			if chunks < 0 {
				return usagef("--chunks %d: write a number of chunks, or 0 for the whole text", chunks)
			}
			r, err := evaluate(c, args[0], base, data, context, chunks)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(c, r)
			}
			r.print(c)
			return nil
		},
	}
	c.Flags().StringVar(&base, "base", "", "the model to compare with")
	c.Flags().StringVar(&data, "data", "builtin:evaluation", "the text: a .txt, .jsonl, .jsonl.gz or .parquet file, hf://datasets/ORG/NAME/FILE, builtin:evaluation or builtin:calibration; #FIELD after a file of documents names the field that has the text")
	c.Flags().IntVar(&context, "context", 512, "tokens per chunk")
	c.Flags().IntVar(&chunks, "chunks", 0, "use only so many chunks; 0: all")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// evaluation is what eval prints. Errors are standard errors over positions, as llama.cpp's ±.
type evaluation struct {
	Model     string   `json:"model"`
	Base      string   `json:"base,omitempty"`
	Data      string   `json:"data"`
	Context   int      `json:"context"`
	Chunks    int      `json:"chunks"`
	Positions int      `json:"positions"`
	PPL       float64  `json:"ppl"`
	PPLError  float64  `json:"ppl_error"`
	KL        *float64 `json:"kl,omitempty"`
	KLError   *float64 `json:"kl_error,omitempty"`
	SameTop   *float64 `json:"same_top,omitempty"`
	Kernels   string   `json:"kernels"`
}

func evaluate(c *cobra.Command, ref, base, data string, context, chunks int) (*evaluation, error) {
	path, err := kernelPath(c)
	if err != nil {
		return nil, err
	}
	workers, err := threads(c)
	if err != nil {
		return nil, err
	}
	bytes, _, err := memory(c)
	if err != nil {
		return nil, err
	}
	m, err := openModel(c, ref)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	options := evaluator.Options{Path: path, Workers: workers, Context: context, NoTeacher: base == "", Scratch: os.TempDir()}
	options.Share(bytes)
	options.Cache = 0 // there is one network, and one call
	if base != "" {
		if options.Teacher, err = openModel(c, base); err != nil {
			return nil, err
		}
		defer options.Teacher.Close()
	}
	for _, of := range []*model.Model{m, options.Teacher} {
		if of != nil && context > of.Context {
			return nil, usagef("--context %d: the context of %s is %d: write that or less", context, of.Ref, of.Context)
		}
	}
	ids, err := readTokens(c, data, m)
	if err != nil {
		return nil, err
	}
	if t := options.Teacher; t != nil {
		other, err := readTokens(c, data, t)
		if err != nil {
			return nil, err
		}
		if !slices.Equal(ids, other) {
			return nil, fmt.Errorf("%s and %s cut the text into different tokens: they cannot be compared", m.Ref, t.Ref)
		}
	}
	corpus, err := evaluator.NewChunks(ids, context, chunks, m.Tokenizer.Prefix())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", data, err)
	}
	engine, err := evaluator.New(m, options)
	if err != nil {
		return nil, err
	}
	defer engine.Rest()
	scores, err := engine.Score(c.Context(), []*model.Network{&m.Network}, corpus.Whole())
	if err != nil {
		return nil, err
	}
	s := &scores[0]
	if ppl := s.Perplexity(); math.IsNaN(ppl) || math.IsInf(ppl, 0) {
		return nil, fmt.Errorf("%s predicts nothing on %s (perplexity %v): are its weights damaged?", ref, data, ppl)
	}
	n := float64(s.Positions)
	r := &evaluation{
		Model: ref, Base: base, Data: data, Context: context, Chunks: corpus.Len(), Positions: s.Positions,
		PPL: s.Perplexity(), PPLError: s.Perplexity() * standardError(s.NLL, s.NLL2, n), Kernels: path.Name(),
	}
	if base != "" {
		kl, klError, same := s.MeanKL(), standardError(s.KL, s.KL2, n), float64(s.Same)/n
		r.KL, r.KLError, r.SameTop = &kl, &klError, &same
	}
	return r, nil
}

// standardError of the mean of n values with the given sum and sum of squares.
func standardError(sum, squares, n float64) float64 {
	mean := sum / n
	return math.Sqrt(max(0, squares/n-mean*mean) / (n - 1))
}

func (r *evaluation) print(c *cobra.Command) {
	out := c.OutOrStdout()
	fmt.Fprintf(out, "%s on %s: %d chunks of %d tokens, %d predictions, kernels %s\n", r.Model, r.Data, r.Chunks, r.Context, r.Positions, r.Kernels)
	fmt.Fprintf(out, "Mean PPL(Q)  : %10.4f ± %.4f\n", r.PPL, r.PPLError)
	if r.KL != nil {
		fmt.Fprintf(out, "Mean KLD     : %10.6f ± %.6f\n", *r.KL, *r.KLError)
		fmt.Fprintf(out, "Same top p   : %9.3f %%\n", *r.SameTop*100)
	}
}

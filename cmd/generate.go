package cmd

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/spf13/cobra"

	"github.com/finch-llm/finch/kernels"
	"github.com/finch-llm/finch/model"
)

func newGenerate() *cobra.Command {
	var s sampler
	var prompt string
	var tokens int
	c := &cobra.Command{
		Use:   "generate MODEL --prompt TEXT",
		Short: "continue a text: hear what compression did to a model",
		Example: `  finch generate builtin:finchling --prompt "Call me"
  finch generate model.gguf --prompt "The capital of France is" --temperature 0`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case tokens < 1:
				return usagef("--tokens %d: write 1 or more", tokens)
			case !(s.temperature >= 0) || math.IsInf(s.temperature, 0):
				return usagef("--temperature %v: write 0 (always the most likely token) or more", s.temperature)
			case !(s.topP > 0 && s.topP <= 1):
				return usagef("--top-p %v: write a number above 0 and up to 1", s.topP)
			case s.topK < 0:
				return usagef("--top-k %d: write a number of tokens, or 0 for all", s.topK)
			}
			path, err := kernelPath(c)
			if err != nil {
				return err
			}
			m, err := openModel(c, args[0])
			if err != nil {
				return err
			}
			defer m.Close()
			return generate(c, m, path, s, prompt, tokens)
		},
	}
	c.Flags().StringVarP(&prompt, "prompt", "p", "", "the text to continue; empty: begin a text")
	c.Flags().IntVarP(&tokens, "tokens", "n", 128, "how many tokens to add at most")
	c.Flags().Float64Var(&s.temperature, "temperature", 0.8, "randomness; 0 takes the most likely token")
	c.Flags().Float64Var(&s.topP, "top-p", 0.95, "sample from the smallest set of tokens with this probability")
	c.Flags().IntVar(&s.topK, "top-k", 0, "and from no more than so many of the likeliest; 0: no limit")
	c.Flags().Uint64Var(&s.seed, "seed", 1, "seed of the random draws")
	return c
}

func generate(c *cobra.Command, m *model.Model, path *kernels.Path, s sampler, prompt string, tokens int) error {
	ids := m.Tokenizer.Encode(prompt)
	text := m.Tokenizer.Stream(ids)
	bos, add := m.Tokenizer.BOS()
	if bos >= 0 && (add || len(ids) == 0) {
		ids = append([]int32{bos}, ids...)
	}
	if len(ids) == 0 {
		return usagef("the model has no token to begin a text with: give a --prompt")
	}
	if len(ids) >= m.Context {
		return usagef("the prompt has %d tokens, the model's context is %d: shorten it", len(ids), m.Context)
	}
	context := min(m.Context, len(ids)+tokens)
	runner := model.NewRunner(m, path, context)
	cache := runner.NewCache()
	hidden := make([]float32, len(ids)*m.Hidden)
	logits := make([]float32, m.Vocab)
	out, drawn := c.OutOrStdout(), 0
	fmt.Fprint(out, prompt)
	for next := ids; ; next = ids[len(ids)-1:] {
		if err := c.Context().Err(); err != nil {
			return err
		}
		if err := runner.Extend(hidden, &m.Network, next, cache); err != nil {
			return err
		}
		runner.Logits(logits, hidden[(len(next)-1)*m.Hidden:len(next)*m.Hidden])
		id := s.sample(logits, drawn)
		if m.Tokenizer.Ends(id) || len(ids) == context {
			break
		}
		ids, drawn = append(ids, id), drawn+1
		fmt.Fprint(out, text.Next(id))
	}
	fmt.Fprintln(out, text.Rest())
	return nil
}

// sampler draws tokens by nucleus sampling (Holtzman et al., arXiv 1904.09751), of the topK likeliest ones if that is not 0 (Fan et
// al., arXiv 1805.04833).
type sampler struct {
	temperature, topP float64
	topK              int
	seed              uint64
}

// sample picks the token at the given position from its logits [vocab].
func (s sampler) sample(logits []float32, position int) int32 {
	best := int32(0)
	for i, l := range logits {
		if l > logits[best] {
			best = int32(i)
		}
	}
	if s.temperature == 0 {
		return best
	}
	type choice struct {
		id int32
		p  float64
	}
	choices := make([]choice, len(logits))
	for i, l := range logits {
		choices[i] = choice{int32(i), math.Exp(float64(l-logits[best]) / s.temperature)}
	}
	slices.SortStableFunc(choices, func(a, b choice) int { return cmp.Compare(b.p, a.p) })
	if s.topK > 0 {
		choices = choices[:min(s.topK, len(choices))]
	}
	sum := 0.0
	for _, c := range choices {
		sum += c.p
	}
	nucleus, n := 0.0, 0
	for n < len(choices) && nucleus < s.topP*sum {
		nucleus += choices[n].p
		n++
	}
	at := rand.New(rand.NewPCG(s.seed, uint64(position))).Float64() * nucleus
	for _, c := range choices[:n] {
		if at -= c.p; at < 0 {
			return c.id
		}
	}
	return choices[0].id
}

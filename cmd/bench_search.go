package cmd

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/finch-llm/finch/configs"
	"github.com/finch-llm/finch/search"
	"github.com/finch-llm/finch/store"
)

// benchDatabase keeps what bench search has done so far, if --db names no other.
const benchDatabase = "finch-bench.db"

func newBenchSearch() *cobra.Command {
	var full, asJSON bool
	var smol, match string
	var generations int
	c := &cobra.Command{
		Use:   "search",
		Short: "what method finch takes to get where EvoPress ends",
		Long: `search runs method "evopress" with its preset evopress-fast and method "finch" on the same experiments and seeds, and tells with
how many of evopress's tokens finch reaches the KL on held-out text that evopress ends with, and with how much of its time. Every token that
a candidate or a measurement is scored on counts, and no score is taken from another run. tokens_ratio and seconds_ratio are medians over the
seeds, median_tokens_ratio that over all seeds of all cases; null if finch does not get there.

Without --full evopress has 40 generations of its 400 and one seed, on finchling alone, which takes about eight minutes. With it there are five
seeds, and with --smollm2 FILE a search over a model of 135 million weights, of 100 generations and two seeds: many hours.
Everything is kept in --db (default ` + benchDatabase + `): the same command goes on where it was, and one with fewer generations needs another.`,
		Example: `  finch bench search --json
  finch bench search --match joint --generations 10 --db joint.db
  finch bench search --full --smollm2 SmolLM2-135M-Instruct.Q4_1.gguf`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if !c.Flags().Changed("db") {
				if err := c.Flags().Set("db", benchDatabase); err != nil {
					return err
				}
			}
			if smol != "" && !full {
				return usagef("--smollm2 is for --full: add that, or leave it out")
			}
			if generations < 1 || generations > 400 {
				return usagef("--generations is %d: write 1 to 400", generations)
			}
			if full && !c.Flags().Changed("generations") {
				generations = 400
			}
			cases := searchCases(full, generations, smol)
			cases = slices.DeleteFunc(cases, func(s searchCase) bool { return !strings.Contains(s.name, match) })
			if len(cases) == 0 {
				return usagef("--match %q is in no case's name: write a part of %s", match, searchNames(smol))
			}
			file, err := configs.Decoder{Level: levelTrait}.Parse([]byte(benchFile(cases)), "bench search")
			if err != nil {
				return err
			}
			return run(c, file, runOptions{noMemo: true}, func(db *store.DB) error {
				b, err := measureSearch(c, db, cases)
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(c, b)
				}
				b.print(c)
				return nil
			})
		},
	}
	c.Flags().BoolVar(&full, "full", false, "all generations and seeds")
	c.Flags().IntVar(&generations, "generations", 40, "of evopress, with --full 400; finch spends as many tokens")
	c.Flags().StringVar(&match, "match", "", "only the cases with this in their names")
	c.Flags().StringVar(&smol, "smollm2", "", "with --full: a GGUF of SmolLM2-135M, to search over too")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// searchCase is one comparison.
type searchCase struct {
	name, model, axis string
	levels            string // in TOML
	target            string
	budget            string
	calibration       int // tokens
	seeds             []int
	generations       int // of evopress
}

func (s *searchCase) experiment(method string) string { return s.name + "-" + method }

// methods are the two searches, in TOML. finch has so many generations that it spends no more than evopress.
func (s *searchCase) methods() map[string]string {
	evopress := search.Settings{
		Generations: s.generations, Offspring: 16, Survivors: []int{1, 1}, Tokens: []int{512, 8192}, Start: search.Start{Candidates: 64, Tokens: 2048},
	}
	finch := search.Settings{Offspring: 16, Survivors: []int{2, 1}, Tokens: []int{512, 4096}, Start: search.Start{Candidates: 1, Tokens: 512}}
	start := finch.TotalTokens()
	finch.Generations = 1
	finch.Generations = int((evopress.TotalTokens() - start) / (finch.TotalTokens() - start))
	return map[string]string{
		"evopress": fmt.Sprintf(`{ preset = "evopress-fast", generations = %d }`, s.generations),
		"finch":    fmt.Sprintf(`{ method = "finch", generations = %d, offspring = 16, survivors = [2, 1], tokens = [512, 4096] }`, finch.Generations),
	}
}

// searchCases are the four axes on finchling, and bits on SmolLM2 if there is a file of it.
func searchCases(full bool, generations int, smol string) []searchCase {
	seeds := []int{1}
	if full {
		seeds = []int{1, 2, 3, 4, 5}
	}
	cases := []searchCase{
		{axis: "bits", levels: `["q2_k", "q3_k", "q4_k", "q5_k", "q6_k"]`, target: "gguf", budget: "bits_per_weight = 3.5"},
		{axis: "sparsity", levels: "{ sparse = { center = 0.60, step_weights = 4096, count = 8 } }", target: "packed", budget: "sparsity = 0.60"},
		{axis: "depth", levels: `["drop"]`, target: "packed", budget: "drop = 0.25"},
		{axis: "joint", levels: `["q2_k", "q3_k", "q4_k", "q5_k", "q6_k", "sparse-0.50+q4_0", "sparse-0.70+q4_0", "drop"]`, target: "packed", budget: `bytes = "5.8MB"`},
	}
	for i := range cases {
		s := &cases[i]
		s.name, s.model, s.calibration, s.seeds, s.generations = "finchling-"+s.axis, "builtin:finchling", 98304, seeds, generations
	}
	if smol != "" {
		cases = append(cases, searchCase{
			name: "smollm2-bits", model: smol, axis: "bits", levels: `["int2-g64", "int3-g64", "int4-g64", "int5-g64", "int6-g64"]`, target: "packed",
			budget: "bits_per_weight = 3.0", calibration: 81920, seeds: []int{1, 2}, generations: min(generations, 100),
		})
	}
	return cases
}

// searchNames lists the cases.
func searchNames(smol string) string {
	var names []string
	for _, s := range searchCases(true, 1, smol) {
		names = append(names, s.name)
	}
	return strings.Join(names, ", ")
}

// benchFile is the experiment file of all cases, each with both methods.
func benchFile(cases []searchCase) string {
	var b strings.Builder
	for i := range cases {
		s := &cases[i]
		methods := s.methods()
		for _, m := range []string{"evopress", "finch"} {
			fmt.Fprintf(&b, `[[experiment]]
name        = %q
model       = %q
calibration = { data = "builtin:calibration", tokens = %d, sequence = 512 }
evaluation  = { data = "builtin:evaluation", tokens = 32768 }
levels      = %s
target      = %q
budget      = { %s }
seeds       = %s
search      = %s
`, s.experiment(m), s.model, s.calibration, s.levels, s.target, s.budget, strings.Join(strings.Fields(fmt.Sprint(s.seeds)), ", "), methods[m])
		}
	}
	return b.String()
}

// searchBench is what bench search prints.
type searchBench struct {
	Cases  []searchResult `json:"cases"`
	Median *float64       `json:"median_tokens_ratio"` // over all seeds of all cases; nil: with half of them finch does not get there
}

type searchResult struct {
	Name     string   `json:"name"`
	Model    string   `json:"model"`
	Axis     string   `json:"axis"`
	Budget   string   `json:"budget"`
	EvoPress float64  `json:"evopress_kl"` // held out, mean over seeds
	Finch    float64  `json:"finch_kl"`
	Tokens   *float64 `json:"tokens_ratio"`
	Seconds  *float64 `json:"seconds_ratio"`
	Seeds    []int    `json:"seeds"`
}

func measureSearch(c *cobra.Command, db *store.DB, cases []searchCase) (*searchBench, error) {
	session, err := newSession(c)
	if err != nil {
		return nil, err
	}
	defer session.Close()
	session.DB = db
	b := &searchBench{}
	var medians []float64
	for i := range cases {
		s := &cases[i]
		r := searchResult{Name: s.name, Model: s.model, Axis: s.axis, Budget: s.budget, Seeds: s.seeds}
		var tokens, seconds []float64
		for _, seed := range s.seeds {
			reference, err := db.FindRun(c.Context(), s.experiment("evopress"), int64(seed))
			if err != nil {
				return nil, err
			}
			ours, err := db.FindRun(c.Context(), s.experiment("finch"), int64(seed))
			if err != nil {
				return nil, err
			}
			theirs, err := db.Result(c.Context(), reference.ID, store.Winner)
			if err != nil {
				return nil, err
			}
			winner, err := db.Result(c.Context(), ours.ID, store.Winner)
			if err != nil {
				return nil, err
			}
			r.EvoPress += theirs.KL / float64(len(s.seeds))
			r.Finch += winner.KL / float64(len(s.seeds))
			allTokens, allSeconds, err := spent(c.Context(), db, reference.ID, math.MaxInt64)
			if err != nil {
				return nil, err
			}
			someTokens, someSeconds := math.Inf(1), math.Inf(1)
			if generation, ok, err := session.Reach(c.Context(), &ours, theirs.KL); err != nil {
				return nil, err
			} else if ok {
				if someTokens, someSeconds, err = spent(c.Context(), db, ours.ID, generation); err != nil {
					return nil, err
				}
			}
			tokens, seconds = append(tokens, someTokens/allTokens), append(seconds, someSeconds/allSeconds)
		}
		medians = append(medians, tokens...)
		r.Tokens, r.Seconds = median(tokens), median(seconds)
		b.Cases = append(b.Cases, r)
	}
	b.Median = median(medians)
	return b, nil
}

// spent is the tokens and seconds of a run up to the end of a generation.
func spent(ctx context.Context, db *store.DB, run, generation int64) (tokens, seconds float64, err error) {
	t, err := db.Query(ctx, "SELECT CAST(sum(tokens) AS REAL), sum(seconds) FROM generations WHERE run_id = :run AND generation <= :generation",
		map[string]any{"run": run, "generation": generation})
	if err != nil {
		return 0, 0, err
	}
	return t.Rows[0][0].(float64), t.Rows[0][1].(float64), nil
}

// median of some numbers, nil if it is not finite.
func median(list []float64) *float64 {
	sorted := slices.SortedFunc(slices.Values(list), cmp.Compare[float64])
	n := len(sorted)
	m := (sorted[(n-1)/2] + sorted[n/2]) / 2
	if math.IsInf(m, 0) {
		return nil
	}
	return &m
}

func (b *searchBench) print(c *cobra.Command) {
	out := c.OutOrStdout()
	ratio := func(r *float64) string {
		if r == nil {
			return "not reached"
		}
		return fmt.Sprintf("%.3f", *r)
	}
	fmt.Fprintf(out, "%-20s %-24s %6s %12s %10s %13s %13s\n", "case", "budget", "seeds", "evopress KL", "finch KL", "tokens ratio", "seconds ratio")
	for i := range b.Cases {
		r := &b.Cases[i]
		fmt.Fprintf(out, "%-20s %-24s %6d %12.5f %10.5f %13s %13s\n", r.Name, r.Budget, len(r.Seeds), r.EvoPress, r.Finch, ratio(r.Tokens), ratio(r.Seconds))
	}
	fmt.Fprintf(out, "median tokens ratio: %s\n", ratio(b.Median))
}

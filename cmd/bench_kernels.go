package cmd

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/finch-llm/finch/compress"
	"github.com/finch-llm/finch/kernels"
	"github.com/finch-llm/finch/store"
)

// benchTokens is how many tokens the multiplies are measured with: those of one sequence.
const benchTokens = 512

func newBenchKernels() *cobra.Command {
	var asJSON bool
	var rounds int
	var match string
	c := &cobra.Command{
		Use:   "kernels",
		Short: "the matrix multiply of one core, for layers of known models in every kind of storage",
		Long: `kernels multiplies 512 tokens with layers of finchling, SmolLM2-135M and Llama-3-8B on one core, unpacking the weights from
each kind of storage, and compares with the peak of that core. m is tokens, n outputs, k inputs.`,
		Example: "  finch bench kernels --kernels avx512 --json",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			path, err := kernelPath(c)
			if err != nil {
				return err
			}
			if rounds < 1 {
				return usagef("--rounds %d: write 1 or more", rounds)
			}
			r, err := benchKernels(c, path, match, rounds)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(c, r)
			}
			return r.print(c)
		},
	}
	c.Flags().StringVar(&match, "match", "", "only layers with this in their name")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().IntVar(&rounds, "rounds", 5, "measure every case so many times and take the best")
	return c
}

// kernelBench is what bench kernels prints.
type kernelBench struct {
	Path      string       `json:"path"`
	Peak      float64      `json:"peak_gflops"`
	Cases     []kernelCase `json:"cases"`
	MinOfPeak float64      `json:"min_of_peak"`
}

type kernelCase struct {
	Name   string  `json:"name"`
	M      int     `json:"m"`
	N      int     `json:"n"`
	K      int     `json:"k"`
	Format string  `json:"format"`
	GFLOPS float64 `json:"gflops"`
	OfPeak float64 `json:"of_peak"`

	weights *kernels.Matrix
}

// benchLayers are the shapes of some models' layers, outputs and inputs.
var benchLayers = []struct {
	name       string
	rows, cols int // of an output matrix as many rows as are needed at a time
}{
	{"finchling attn_q", 256, 256}, {"finchling ffn_up", 768, 256}, {"finchling ffn_down", 256, 768}, {"finchling output", 4096, 256},
	{"smollm2 attn_k", 192, 576}, {"smollm2 attn_q", 576, 576}, {"smollm2 ffn_up", 1536, 576}, {"smollm2 ffn_down", 576, 1536},
	{"smollm2 output", 4096, 576},
	{"llama-3-8b attn_k", 1024, 4096}, {"llama-3-8b attn_q", 4096, 4096}, {"llama-3-8b ffn_up", 14336, 4096}, {"llama-3-8b ffn_down", 4096, 14336}, {"llama-3-8b output", 4096, 4096},
}

func benchKernels(c *cobra.Command, path *kernels.Path, match string, rounds int) (*kernelBench, error) {
	r := &kernelBench{Path: path.Name()}
	var names []string
	for _, l := range benchLayers {
		names = append(names, l.name)
		if !strings.Contains(l.name, match) {
			continue
		}
		for _, f := range benchFormats() {
			if l.cols%f.BlockWeights() == 0 {
				r.Cases = append(r.Cases, kernelCase{Name: l.name, M: benchTokens, N: l.rows, K: l.cols, Format: f.String(), weights: repeated(f, l.rows, l.cols)})
			}
		}
	}
	if len(r.Cases) == 0 {
		return nil, usagef("--match %q: no layer is named so; there are %s", match, strings.Join(names, ", "))
	}
	worker := path.NewWorker()
	for range rounds {
		for i := range r.Cases {
			if err := c.Context().Err(); err != nil {
				return nil, err
			}
			k := &r.Cases[i]
			r.Peak = max(r.Peak, measurePeak(path, 1)/1e9)
			k.GFLOPS = max(k.GFLOPS, k.measure(worker)/1e9)
		}
	}
	r.MinOfPeak = r.Cases[0].GFLOPS / r.Peak
	for i := range r.Cases {
		r.Cases[i].OfPeak = r.Cases[i].GFLOPS / r.Peak
		r.MinOfPeak = min(r.MinOfPeak, r.Cases[i].OfPeak)
	}
	return r, nil
}

// benchFormats are a dense one, which only has to be packed, and one each of blocks of 32, of 256, and of integer groups.
func benchFormats() []kernels.Format {
	return []kernels.Format{kernels.BF16, kernels.Q8_0, kernels.Q4_K, kernels.IntGroup{Bits: 3, Group: 64}.Format()}
}

// measure is the floating-point operations per second of some multiplies, after one that pages in the memory.
func (k *kernelCase) measure(w *kernels.Worker) float64 {
	x, dst := make([]float32, k.M*k.K), make([]float32, k.M*k.N)
	for i := range x {
		x[i] = float32(i%7) - 3
	}
	w.MatMul(dst, x, k.M, k.weights)
	n := 0
	start := time.Now()
	for n == 0 || time.Since(start) < 20*time.Millisecond {
		w.MatMul(dst, x, k.M, k.weights)
		n++
	}
	return 2 * float64(n) * float64(k.M) * float64(k.N) * float64(k.K) / time.Since(start).Seconds()
}

// repeated is a matrix of normally distributed weights, a few rows of them over and over.
func repeated(f kernels.Format, rows, cols int) *kernels.Matrix {
	rng := rand.New(rand.NewPCG(1, 1))
	some := make([]float32, 8*cols)
	for i := range some {
		some[i] = float32(rng.NormFloat64())
	}
	blocks := make([]byte, 8*f.RowBytes(cols))
	compress.EncodeBlocks(blocks, f, some, nil)
	m := &kernels.Matrix{Format: f, Rows: rows, Cols: cols, Data: make([]byte, rows*f.RowBytes(cols))}
	for at := 0; at < len(m.Data); {
		at += copy(m.Data[at:], blocks)
	}
	return m
}

func (r *kernelBench) print(c *cobra.Command) error {
	t := &store.Table{Columns: []string{"layer", "m × n × k", "stored as", "GFLOP/s", "% of peak"}}
	for _, k := range r.Cases {
		t.Rows = append(t.Rows, []any{k.Name, fmt.Sprintf("%d × %d × %d", k.M, k.N, k.K), k.Format, int64(math.Round(k.GFLOPS)), int64(math.Round(100 * k.OfPeak))})
	}
	if err := store.Render(c.OutOrStdout(), t, "table"); err != nil {
		return err
	}
	_, err := fmt.Fprintf(c.OutOrStdout(), "%s, peak %.0f GFLOP/s of one core, at least %.0f %% of it\n", r.Path, r.Peak, 100*r.MinOfPeak)
	return err
}

package compress

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/finch-llm/finch/kernels"
)

// singular makes the second moments of inputs of which some are always zero and some the same as their neighbours.
func singular(s *Statistics) *Statistics {
	n := len(s.Squares)
	h := append([]float64(nil), s.Hessian...)
	for i := 0; i < n; i += 40 {
		for j := range n {
			h[i*n+j], h[j*n+i] = 0, 0
		}
		for j := range n {
			h[(i+2)*n+j] = h[(i+1)*n+j]
			h[j*n+i+2] = h[j*n+i+1]
		}
		h[(i+2)*n+i+2] = h[(i+1)*n+i+1]
	}
	squares := make([]float64, n)
	for i := range squares {
		squares[i] = h[i*n+i]
	}
	return &Statistics{Tokens: s.Tokens, Squares: squares, Hessian: h}
}

func outputErrorAt(t *testing.T, layer Layer, name string) float64 {
	t.Helper()
	level := mustLevel(t, name)
	m, err := Compress(layer, level)
	if err != nil {
		t.Fatal(err)
	}
	return Describe(layer, level, m).OutputError
}

type goldenErrors struct {
	Rows, Cols int
	Errors     map[string]map[string]float64 // by inputs, then by level
}

func readGoldenErrors(t *testing.T) (golden goldenErrors, layers map[string]Layer) {
	t.Helper()
	data, err := os.ReadFile("testdata/gptq.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &golden); err != nil {
		t.Fatal(err)
	}
	correlated := testStatistics(golden.Cols)
	layers = map[string]Layer{}
	for inputs, s := range map[string]*Statistics{"correlated": correlated, "singular": singular(correlated)} {
		layers[inputs] = Layer{Name: "blk.0.ffn_up", Rows: golden.Rows, Cols: golden.Cols,
			Weights: testWeights("heavy", golden.Rows, golden.Cols), Statistics: s}
	}
	return golden, layers
}

// Output errors are those of a plain float64 implementation of the papers (tools/golden/gptq.py).
func TestOutputErrorsMatchReference(t *testing.T) {
	golden, layers := readGoldenErrors(t)
	for inputs, errs := range golden.Errors {
		for name, want := range errs {
			if strings.HasPrefix(name, "minmax ") {
				continue // what others reach; see below
			}
			t.Run(inputs+"/"+name, func(t *testing.T) {
				if got := outputErrorAt(t, layers[inputs], name); math.Abs(got-want) > 0.01*want {
					t.Errorf("relative error of the outputs %.6g, want %.6g", got, want)
				}
			})
		}
	}
}

// On correlated inputs each of a list loses at least a tenth less than the next.
func TestOutputErrorsAreOrdered(t *testing.T) {
	golden, layers := readGoldenErrors(t)
	for inputs, layer := range layers {
		for _, names := range [][]string{
			{"gptq-int3-g64", "int3-g64"}, {"gptq-int4-g64-sym", "int4-g64-sym"}, {"gptq-q4_0", "q4_0"}, {"gptq-iq4_nl", "iq4_nl"},
			{"sparsegpt-0.60", "wanda-0.60", "sparse-0.60"}, {"sparsegpt-2:4", "wanda-2:4", "sparse-2:4"},
			{"sparsegpt-0.50+q4_0", "wanda-0.50+q4_0", "sparse-0.50+q4_0"},
		} {
			last := 0.0
			for _, name := range names {
				e := outputErrorAt(t, layer, name)
				if !(e > 1.1*last) {
					t.Errorf("%s inputs: %s loses %.4g, the one before it of %v %.4g", inputs, name, e, names, last)
				}
				last = e
			}
		}
		for _, level := range []string{"int2-g32", "int3-g64", "int4-g64-sym"} {
			if ours, minmax := outputErrorAt(t, layer, "gptq-"+level), golden.Errors[inputs]["minmax "+level]; ours > minmax {
				t.Errorf("%s inputs, %s: searched scales lose %.4g, those from smallest to largest weight %.4g", inputs, level, ours, minmax)
			}
		}
	}
}

// K-quants need rows of 256.
func TestGPTQOntoKQuants(t *testing.T) {
	layer := Layer{Name: "blk.0.ffn_up", Rows: 24, Cols: 768, Weights: testWeights("heavy", 24, 768), Statistics: testStatistics(768)}
	for _, name := range []string{"q2_k", "q3_k", "q4_k", "q5_k", "q6_k"} {
		plain := outputErrorAt(t, layer, name)
		for _, level := range []string{"gptq-" + name, "gptq-" + name + "-act"} {
			got := outputErrorAt(t, layer, level)
			t.Logf("%s: %.4g, rounded %.4g", level, got, plain)
			if got > 0.85*plain {
				t.Errorf("%s loses %.4g, rounding %.4g", level, got, plain)
			}
		}
	}
}

// Where inputs have nothing to do with each other there is nothing to make up for: every weight goes to the nearest point of
// the grid that plain rounding chooses.
func TestGPTQOfUnrelatedInputsRounds(t *testing.T) {
	const rows, cols = 5, 512
	s := &Statistics{Squares: make([]float64, cols), Hessian: make([]float64, cols*cols)}
	for i := range cols {
		s.Squares[i], s.Hessian[i*cols+i] = 2, 2
	}
	layer := Layer{Name: "l", Rows: rows, Cols: cols, Weights: testWeights("heavy", rows, cols), Statistics: s}
	for _, level := range sampleLevels(t, gptq{}) {
		t.Run(level.Name(), func(t *testing.T) {
			got, err := Compress(layer, level)
			if err != nil {
				t.Fatal(err)
			}
			layout, _ := codeLayoutOf(got.Format)
			low, step := make([]float32, rows*cols), make([]float32, rows*cols)
			blocks := make([]byte, len(got.Data))
			EncodeBlocks(blocks, got.Format, layer.Weights, s.Squares) // all alike
			layout.grid(low, step, blocks)
			row := make([]float32, cols)
			for i, w := range layer.Weights {
				if i%cols == 0 {
					kernels.Unpack(row, got, i/cols)
				}
				least, of := math.Inf(1), 0.0
				for q := 0.0; q <= layout.top; q++ {
					v := float64(low[i]) + q*float64(step[i])
					if layout.nonlinear {
						v = float64(step[i]) / 16 * grid4[int(q)]
					}
					if e := math.Abs(float64(w) - v); e < least {
						least, of = e, v
					}
				}
				if e := math.Abs(float64(w) - float64(row[i%cols])); e > least+1e-5*math.Abs(float64(step[i])) {
					t.Fatalf("weight %d, %g, became %g; %g is nearer", i, w, row[i%cols], of)
				}
			}
		})
	}
}

// Levels of one layer and of layers with the same inputs may be made at the same time.
func TestSharedStatistics(t *testing.T) {
	const rows, cols = 40, 256
	names := []string{"gptq-q3_k", "gptq-int3-g64", "gptq-int3-g64-act", "sparsegpt-0.50", "sparsegpt-2:4+q4_0", "wanda-0.50"}
	make1 := func(s *Statistics, name string) *kernels.Matrix {
		m, err := Compress(Layer{Name: "l", Rows: rows, Cols: cols, Weights: testWeights("heavy", rows, cols), Statistics: s}, mustLevel(t, name))
		if err != nil {
			t.Error(err)
			return &kernels.Matrix{}
		}
		return m
	}
	shared := testStatistics(cols)
	var group sync.WaitGroup
	for _, name := range names {
		alone := make1(testStatistics(cols), name)
		for range 2 {
			group.Go(func() {
				if m := make1(shared, name); !bytes.Equal(m.Data, alone.Data) || !bytes.Equal(m.Mask, alone.Mask) {
					t.Errorf("%s differs in company", name)
				}
			})
		}
	}
	group.Wait()
}

func TestParseGPTQ(t *testing.T) {
	for name, message := range map[string]string{
		"gptq-": "unknown weight format", "gptq-f16": "cannot choose the codes of f16", "gptq-iq2_xs": "cannot choose the codes of iq2_xs",
		"gptq-int9-g64": "int3-g64",
	} {
		if l, err := ParseLevel(name); err == nil || !strings.Contains(err.Error(), message) {
			t.Errorf("%s gives %v, %v", name, l, err)
		}
	}
	l := mustLevel(t, "gptq-q4_k")
	if f := l.Format(256); f != kernels.Q4_K || l.Needs() != NeedsHessian || l.Sparse() {
		t.Errorf("gptq-q4_k stores %v", f)
	}
	if f := l.Format(288); f != kernels.Q5_0 {
		t.Errorf("gptq-q4_k stores rows of 288 as %v", f)
	}
}

func BenchmarkGPTQ(b *testing.B) {
	const rows, cols = 576, 1536
	layer := Layer{Name: "l", Rows: rows, Cols: cols, Weights: testWeights("heavy", rows, cols), Statistics: testStatistics(cols)}
	for _, name := range []string{"gptq-int3-g64", "gptq-q4_0", "gptq-q3_k", "sparsegpt-0.60", "sparsegpt-0.50+q4_0"} {
		level := mustLevel(b, name)
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := Compress(layer, level); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*rows*cols), "ns/weight")
		})
	}
}

package evaluator

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/finch-llm/finch/compress"
	"github.com/finch-llm/finch/internal/testmodel"
	"github.com/finch-llm/finch/kernels"
	"github.com/finch-llm/finch/model"
)

// blockStatistics are those of each block's layers.
type blockStatistics [][model.NumKinds]*compress.Statistics

// collect keeps all statistics that a calibration hands out.
func collect(t *testing.T, e *Engine, c Calibration) blockStatistics {
	t.Helper()
	all := make(blockStatistics, e.model.Blocks)
	take := c.Take
	c.Take = func(block int, of *[model.NumKinds]*compress.Statistics) error {
		all[block] = *of
		if take == nil {
			return nil
		}
		return take(block, of)
	}
	if err := e.Statistics(context.Background(), &c); err != nil {
		t.Fatal(err)
	}
	return all
}

func everything(int, model.Kind) compress.Needs { return compress.NeedsHessian }

// moments64 are the mean products of the columns of x [tokens, cols], by the definition.
func moments64(x []float32, cols int) []float64 {
	h := make([]float64, cols*cols)
	tokens := len(x) / cols
	for t := range tokens {
		row := x[t*cols : (t+1)*cols]
		for i, a := range row {
			for j, b := range row {
				h[i*cols+j] += float64(a) * float64(b)
			}
		}
	}
	for i := range h {
		h[i] /= float64(tokens)
	}
	return h
}

// Every layer's statistics are the means that its inputs have, on every path, however many tokens a unit holds.
func TestStatisticsAreMeansOfTheInputs(t *testing.T) {
	m := testmodel.Llama(1, 2, 64, stripColumns+8, vocab)
	for name, c := range map[string]*Corpus{"short": corpus(t, 40, 32), "long": corpus(t, 1, unitTokens+100)} {
		for _, p := range kernels.Paths() {
			if p.Exact() != p {
				continue
			}
			statisticsAreMeans(t, name, m, c, p)
		}
	}
}

// So are those of all architectures: of experts, the means over all tokens that each got.
func TestStatisticsOfArchitectures(t *testing.T) {
	for name, m := range goldenModels(t) {
		statisticsAreMeans(t, name, m, goldenCorpus(t, m, 3), kernels.Paths()[0].Exact())
	}
}

func statisticsAreMeans(t *testing.T, name string, m *model.Model, c *Corpus, p *kernels.Path) {
	t.Helper()
	e := newEngine(t, m, Options{Path: p, Workers: 2, Context: c.Sequence, NoTeacher: true})
	got := collect(t, e, Calibration{Corpus: c, Needs: everything})

	r := model.NewRunner(m, p, c.Sequence)
	x := make([]float32, len(c.Tokens)*m.Hidden)
	if err := r.Embed(x, c.Tokens, c.Sequence); err != nil {
		t.Fatal(err)
	}
	for b := range m.Network.Blocks {
		inputs := map[model.Kind][]float32{}
		r.BlockInputs(x, &m.Network.Blocks[b], c.Sequence, func(k model.Kind, in []float32) {
			inputs[k] = append([]float32(nil), in...)
		})
		of := map[model.Kind]*compress.Statistics{} // by input
		for _, k := range m.Kinds() {
			s, what := got[b][k], fmt.Sprintf("%s %s %s", name, p.Name(), model.LayerName(b, k))
			in := k.Input()
			if of[in] != nil {
				if s != of[in] {
					t.Errorf("%s has statistics of its own", what)
				}
				continue
			}
			of[in] = s
			_, cols := m.Shape(k)
			if s.Tokens != len(inputs[in])/cols || s.Tokens < len(c.Tokens) {
				t.Errorf("%s: %d tokens, want %d", what, s.Tokens, len(inputs[in])/cols)
			}
			close64(t, what, s, moments64(inputs[in], cols))
		}
	}
}

// close64 wants statistics that are those of a Hessian, to the rounding of float32 sums; symmetric, and the squares on the diagonal.
func close64(t *testing.T, what string, s *compress.Statistics, want []float64) {
	t.Helper()
	n := len(s.Squares)
	if len(s.Hessian) != n*n || len(want) != n*n {
		t.Fatalf("%s: %d squares, %d second moments, want %d", what, n, len(s.Hessian), len(want))
	}
	for i := range n {
		if d := s.Hessian[i*n+i]; d != s.Squares[i] || math.Abs(d-want[i*n+i]) > 1e-12*want[i*n+i] {
			t.Fatalf("%s: the mean square of input %d is %g, on the diagonal %g, want %g", what, i, s.Squares[i], d, want[i*n+i])
		}
		for j := range i {
			got, scale := s.Hessian[i*n+j], math.Sqrt(want[i*n+i]*want[j*n+j])
			if math.Abs(got-want[i*n+j]) > 2e-6*scale {
				t.Fatalf("%s: inputs %d and %d have the mean product %g, want %g", what, i, j, got, want[i*n+j])
			}
			if got != s.Hessian[j*n+i] {
				t.Fatalf("%s: not symmetric at %d, %d", what, i, j)
			}
		}
	}
}

// Squares alone have the same bits as beside a Hessian, and nothing is computed for layers that want nothing.
func TestStatisticsOfWhatIsNeeded(t *testing.T) {
	m := testmodel.Llama(1, 4, 64, 96, vocab)
	e := newEngine(t, m, Options{Path: kernels.Paths()[0].Exact(), Workers: 2, Context: 32, NoTeacher: true})
	c := corpus(t, 40, 32)
	all := collect(t, e, Calibration{Corpus: c, Needs: everything})
	some := collect(t, e, Calibration{Corpus: c, Needs: func(block int, k model.Kind) compress.Needs {
		switch {
		case block == 1 && k == model.AttnV:
			return compress.NeedsSquares
		case block == 2 && k == model.FFNUp:
			return compress.NeedsHessian
		case block == 2 && k == model.FFNGate:
			return compress.NeedsSquares
		}
		return compress.NeedsNothing
	}})
	want := make(blockStatistics, 4)
	want[1][model.AttnV] = &compress.Statistics{Tokens: len(c.Tokens), Squares: all[1][model.AttnV].Squares}
	want[2][model.FFNUp], want[2][model.FFNGate] = all[2][model.FFNUp], all[2][model.FFNGate]
	if !reflect.DeepEqual(some, want) {
		t.Errorf("got %+v, want %+v", some, want)
	}
	calls := 0
	none := Calibration{Corpus: c, Needs: func(int, model.Kind) compress.Needs { return compress.NeedsNothing },
		Take: func(int, *[model.NumKinds]*compress.Statistics) error { calls++; return nil }}
	if err := e.Statistics(context.Background(), &none); err != nil || calls != 0 {
		t.Errorf("%d calls for nothing, %v", calls, err)
	}
}

// Neither workers, nor where the text is kept, nor a bf16 path that is made exact change a bit.
func TestStatisticsDoNotDependOnWorkers(t *testing.T) {
	m, other := testmodel.Llama(1, 2, 64, 2*stripColumns+8, vocab), testmodel.Llama(2, 2, 64, 2*stripColumns+8, vocab)
	c := corpus(t, 4*unitTokens/32+9, 32)
	for name, through := range map[string]func(int) (*model.Block, error){
		"dense":      nil,
		"sequential": func(b int) (*model.Block, error) { return &other.Network.Blocks[b], nil },
	} {
		t.Run(name, func(t *testing.T) {
			var want blockStatistics
			for _, o := range []Options{{Workers: 1}, {Workers: 2}, {Workers: 3}, {Workers: 16}, {Workers: 3, Targets: 1, Scratch: t.TempDir()}} {
				o.Path, o.Context, o.NoTeacher = kernels.Paths()[0].Exact(), 32, true
				got := collect(t, newEngine(t, m, o), Calibration{Corpus: c, Needs: everything, Through: through})
				if want == nil {
					want = got
				} else if !reflect.DeepEqual(got, want) {
					t.Errorf("%d workers, targets in memory %d: other statistics than with one worker", o.Workers, o.Targets)
				}
			}
		})
	}
}

// Moments have no negative eigenvalues, but for rounding.
func TestStatisticsArePositiveSemidefinite(t *testing.T) {
	m := testmodel.Llama(1, 2, 64, 96, vocab)
	e := newEngine(t, m, Options{Path: kernels.Paths()[0].Exact(), Workers: 2, Context: 32, NoTeacher: true})
	for tokens, c := range map[int]*Corpus{32: corpus(t, 1, 32), 1280: corpus(t, 40, 32)} { // 32: of a rank below its size
		for b, block := range collect(t, e, Calibration{Corpus: c, Needs: everything}) {
			for _, k := range m.Kinds() {
				s := block[k]
				n := len(s.Squares)
				var eigen mat.EigenSym
				if !eigen.Factorize(mat.NewSymDense(n, s.Hessian), false) {
					t.Fatal("no eigenvalues")
				}
				values := eigen.Values(nil) // ascending
				if values[0] < -1e-6*values[n-1] {
					t.Errorf("%d tokens, %s: eigenvalues from %g to %g", tokens, model.LayerName(b, k), values[0], values[n-1])
				}
			}
		}
	}
}

// Sequential calibration through the model's own blocks is the dense one; through others, the first block's inputs stay
// and those of later blocks are what the other blocks make of the text.
func TestSequentialStatistics(t *testing.T) {
	m, other := testmodel.Llama(1, 3, 64, 96, vocab), testmodel.Llama(2, 3, 64, 96, vocab)
	e := newEngine(t, m, Options{Path: kernels.Paths()[0].Exact(), Workers: 2, Context: 32, NoTeacher: true})
	c := corpus(t, 40, 32)
	var order []int
	through := func(of *model.Network) func(int) (*model.Block, error) {
		return func(b int) (*model.Block, error) {
			order = append(order, b)
			return &of.Blocks[b], nil
		}
	}
	dense := collect(t, e, Calibration{Corpus: c, Needs: everything})
	own := collect(t, e, Calibration{Corpus: c, Needs: everything, Through: through(&m.Network),
		Take: func(b int, _ *[model.NumKinds]*compress.Statistics) error { order = append(order, b); return nil }})
	if !reflect.DeepEqual(own, dense) {
		t.Error("through the model's own blocks the statistics are others")
	}
	if want := []int{0, 0, 1, 1, 2}; !reflect.DeepEqual(order, want) {
		t.Errorf("blocks are taken and gone through in the order %v, want %v", order, want)
	}
	compressed := other.Network.Clone()
	compressed.Blocks[1].DropMLP = true
	got := collect(t, e, Calibration{Corpus: c, Needs: everything, Through: through(compressed)})
	if !reflect.DeepEqual(got[0], dense[0]) {
		t.Error("the first block's inputs depend on what comes after it")
	}
	// The model's last block behind two compressed ones.
	mixed := *m
	mixed.Network = model.Network{Blocks: []model.Block{compressed.Blocks[0], compressed.Blocks[1], m.Network.Blocks[2]}}
	want := collect(t, newEngine(t, &mixed, e.options), Calibration{Corpus: c, Needs: func(b int, _ model.Kind) compress.Needs {
		if b == 2 {
			return compress.NeedsHessian
		}
		return compress.NeedsNothing
	}})
	if !reflect.DeepEqual(got[2], want[2]) || reflect.DeepEqual(got[2], dense[2]) {
		t.Error("the last block's inputs do not come through the blocks that were given")
	}
}

func TestStatisticsStop(t *testing.T) {
	m := testmodel.Llama(1, 3, 64, 96, vocab)
	e := newEngine(t, m, Options{Path: kernels.Paths()[0].Exact(), Workers: 2, Context: 32, NoTeacher: true})
	c := corpus(t, 40, 32)
	full := errors.New("full")
	err := e.Statistics(context.Background(), &Calibration{Corpus: c, Needs: everything,
		Take: func(int, *[model.NumKinds]*compress.Statistics) error { return full }})
	if !errors.Is(err, full) {
		t.Errorf("at an error: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	err = e.Statistics(ctx, &Calibration{Corpus: c, Needs: everything,
		Take: func(int, *[model.NumKinds]*compress.Statistics) error { cancel(); return nil }})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("with its context: %v", err)
	}
	broken := testmodel.Llama(1, 3, 64, 96, vocab)
	broken.Network.Blocks[1].Parts[model.FFNNorm][7] = float32(math.Inf(1))
	e = newEngine(t, broken, e.options)
	err = e.Statistics(context.Background(), &Calibration{Corpus: c, Needs: everything,
		Take: func(int, *[model.NumKinds]*compress.Statistics) error { return nil }})
	if err == nil || !strings.Contains(err.Error(), "blk.1.ffn_gate: input 7 is not finite") {
		t.Errorf("infinite inputs: %v", err)
	}
	c.Tokens[3*32] = vocab
	if err := e.Statistics(context.Background(), &Calibration{Corpus: c, Needs: everything}); err == nil {
		t.Error("a token outside the vocabulary is run")
	}
}

package compress

import (
	"errors"
	"math"
	"testing"
)

// UᵀU is the inverse of the damped H, in the order of fixing.
func TestFactor(t *testing.T) {
	const n = 50
	s := testStatistics(n)
	backwards := identity(n)
	for i := range backwards {
		backwards[i] = n - 1 - i
	}
	for name, order := range map[string][]int{"in order": identity(n), "backwards": backwards} {
		t.Run(name, func(t *testing.T) {
			f, err := newFactor(s.Hessian, order)
			if err != nil {
				t.Fatal(err)
			}
			mean := 0.0
			for _, v := range s.Squares {
				mean += v / n
			}
			for i := range n {
				for j := range n { // Σ H[i][k]·H⁻¹[k][j]
					sum := 0.0
					for k := range n {
						h := s.Hessian[order[i]*n+order[k]]
						if i == k {
							h += 0.01 * mean
						}
						inverse := 0.0
						for r := range n { // Uᵀ[k][r]·U[r][j]
							inverse += f.lower[k*n+r] * f.lower[j*n+r]
						}
						sum += h * inverse
					}
					want := 0.0
					if i == j {
						want = 1
					}
					if math.Abs(sum-want) > 1e-10 {
						t.Fatalf("element %d, %d of H·H⁻¹ is %g", i, j, sum)
					}
				}
			}
		})
	}
}

func TestFactorOfOddMoments(t *testing.T) {
	const n = 48
	rankOne, zero, notFinite := make([]float64, n*n), make([]float64, n*n), make([]float64, n*n)
	for i := range n {
		for j := range n {
			rankOne[i*n+j] = float64(i) * float64(j) // the first input is dead
		}
	}
	notFinite[5*n+5] = math.NaN()
	negative := append([]float64(nil), rankOne...)
	negative[n*n-1] = -1e12
	indefinite := append([]float64(nil), testStatistics(n).Hessian...)
	indefinite[1], indefinite[n] = 20, 20 // x₀·x₁ larger than their squares allow
	for _, test := range []struct {
		name    string
		hessian []float64
		want    error
	}{
		{"rank one", rankOne, nil}, {"zero", zero, nil}, {"indefinite", indefinite, nil},
		{"not finite", notFinite, errMoments}, {"negative", negative, errMoments},
	} {
		t.Run(test.name, func(t *testing.T) {
			f, err := newFactor(test.hessian, identity(n))
			if !errors.Is(err, test.want) {
				t.Fatalf("error %v, want %v", err, test.want)
			}
			if err != nil {
				return
			}
			for i, v := range f.lower {
				if math.IsNaN(v) || math.IsInf(v, 0) || i%(n+1) == 0 && v <= 0 {
					t.Fatalf("element %d of the factor is %g", i, v)
				}
			}
			squares := make([]float64, n)
			for i := range squares {
				squares[i] = test.hessian[i*n+i]
			}
			layer := Layer{Name: "l", Rows: 3, Cols: n, Weights: testWeights("gaussian", 3, n), Statistics: &Statistics{Squares: squares, Hessian: test.hessian}}
			for _, name := range []string{"gptq-int4-g32", "sparsegpt-0.50"} {
				level := mustLevel(t, name)
				m, err := Compress(layer, level)
				if err != nil {
					t.Fatal(err)
				}
				if e := Describe(layer, level, m).RelativeError; !(e < 2) {
					t.Errorf("%s leaves a relative error of %g", name, e)
				}
			}
		})
	}
}

func TestQuadratic(t *testing.T) {
	const rows, cols = 35, 21 // two slabs
	w, h := testWeights("gaussian", rows, cols), testStatistics(cols).Hessian
	want := 0.0
	for r := range rows {
		for i := range cols {
			for j := range cols {
				want += float64(w[r*cols+i]) * h[i*cols+j] * float64(w[r*cols+j])
			}
		}
	}
	if got := newSheet(w, rows, cols, identity(cols)).quadratic(h); math.Abs(got-want) > 1e-12*want {
		t.Errorf("tr(W H Wᵀ) is %g, want %g", got, want)
	}
}

// Blocks begin in order, at multiples of their size, and before any of their columns is fixed.
func TestSweepBlocks(t *testing.T) {
	for _, test := range []struct {
		cols, block int
		want        []int
	}{
		{1, 32, []int{0, 1}}, {96, 32, []int{0, 32, 64, 96}}, {300, 128, []int{0, 128, 256, 300}}, {768, 256, []int{0, 256, 512, 768}},
		{100, 128, []int{0, 100}}, {200, 128, []int{0, 128, 200}}, {3, 1, []int{0, 1, 2, 3}},
	} {
		f, err := newFactor(testStatistics(test.cols).Hessian, identity(test.cols))
		if err != nil {
			t.Fatal(err)
		}
		r := &recorder{ends: []int{0}}
		f.sweep(newSheet(make([]float32, test.cols), 1, test.cols, f.order), test.block, r)
		if r.wrong || r.fixed != test.cols || len(r.ends) != len(test.want) {
			t.Errorf("%d columns in blocks of %d: they end at %v, %d are fixed", test.cols, test.block, r.ends, r.fixed)
			continue
		}
		for i, end := range test.want {
			if r.ends[i] != end {
				t.Errorf("%d columns in blocks of %d end at %v, want %v", test.cols, test.block, r.ends, test.want)
			}
		}
	}
}

// recorder is a fixer that notes what happens.
type recorder struct {
	ends  []int
	fixed int
	wrong bool
}

func (r *recorder) begin(from, to int) {
	r.wrong = r.wrong || from != r.fixed || from != r.ends[len(r.ends)-1]
	r.ends = append(r.ends, to)
}

func (r *recorder) fix(j int) {
	r.wrong = r.wrong || j != r.fixed || j >= r.ends[len(r.ends)-1]
	r.fixed++
}

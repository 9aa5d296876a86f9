package compress

import (
	"fmt"
	"sort"
	"strings"
	"testing"

	"github.com/finch-llm/finch/kernels"
)

func TestMagnitudePrunesExactly(t *testing.T) {
	const rows, cols = 7, 93
	sets := map[string][]float32{
		"gaussian": testWeights("gaussian", rows, cols),
		"heavy":    testWeights("heavy", rows, cols),
		"tied":     make([]float32, rows*cols),
	}
	for i := range sets["tied"] {
		sets["tied"][i] = float32(i%3) - 1 // −1, 0, 1
	}
	for name, w := range sets {
		// The oracle: a stable sort by magnitude, so that among equals the first positions go.
		order := make([]int, len(w))
		for i := range order {
			order[i] = i
		}
		sort.SliceStable(order, func(a, b int) bool { return magnitudeBits(w[order[a]]) < magnitudeBits(w[order[b]]) })
		for _, zeros := range []int{0, 1, 217, 300, rows*cols - 1, rows * cols} {
			t.Run(fmt.Sprintf("%s/%d", name, zeros), func(t *testing.T) {
				m, err := Compress(Layer{Name: "l", Rows: rows, Cols: cols, Weights: w}, SparseZeros(int64(zeros), kernels.F32))
				if err != nil {
					t.Fatal(err)
				}
				want := append([]float32(nil), w...)
				for _, i := range order[:zeros] {
					want[i] = 0
				}
				if n := m.NonZeros(); n != int64(rows*cols-zeros) {
					t.Errorf("%d weights are kept, want %d", n, rows*cols-zeros)
				}
				got := make([]float32, cols)
				for r := range rows {
					kernels.Unpack(got, m, r)
					for c, g := range got {
						if g != want[r*cols+c] {
							t.Fatalf("row %d, column %d is %g, want %g", r, c, g, want[r*cols+c])
						}
					}
				}
			})
		}
	}
}

func TestMagnitudePadsRows(t *testing.T) {
	layer := Layer{Name: "l", Rows: 3, Cols: 64, Weights: make([]float32, 3*64)}
	for i := range layer.Weights[:64] {
		layer.Weights[i] = 1 // row 0 keeps 64 weights, row 1 one, row 2 none
	}
	layer.Weights[64+5] = 2
	m, err := Compress(layer, SparseZeros(3*64-65, kernels.Q4_0))
	if err != nil {
		t.Fatal(err)
	}
	if got := m.RowStart; got[1] != 2 || got[2] != 3 || got[3] != 3 {
		t.Errorf("rows begin at blocks %v", got)
	}
	if want := int64(3*18 + 3*8); m.Bytes() != want {
		t.Errorf("%d bytes, want %d", m.Bytes(), want)
	}
}

func TestMagnitudeRefusesTooManyZeros(t *testing.T) {
	_, err := Compress(Layer{Name: "blk.2.attn_k", Rows: 2, Cols: 3, Weights: make([]float32, 6)}, SparseZeros(7, kernels.BF16))
	if err == nil || !strings.Contains(err.Error(), "blk.2.attn_k") {
		t.Errorf("error %v", err)
	}
}

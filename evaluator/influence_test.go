package evaluator

import (
	"context"
	"math"
	"testing"

	"github.com/finch-llm/finch/internal/testmodel"
	"github.com/finch-llm/finch/kernels"
	"github.com/finch-llm/finch/model"
)

// What blocks do to the residual stream agrees with streams that are run one by one, and is nothing for a block that is dropped.
func TestInfluenceChangeAndDistances(t *testing.T) {
	const blocks, sequences, length, width = 3, 5, 12, 64
	m := testmodel.Llama(1, blocks, width, 96, vocab)
	m.Network.Blocks[1].DropAttn, m.Network.Blocks[1].DropMLP = true, true
	c := corpus(t, sequences, length)
	path := kernels.Paths()[0]
	e := engine(t, m, path, 2)

	influence, change := make([]float64, blocks), make([]float64, blocks)
	var distances [blocks + 1][blocks + 1]float64
	runner := model.NewRunner(m, path, length)
	for s := range sequences {
		streams := [][]float32{make([]float32, length*width)} // at the boundaries
		ids := c.ids(s)
		if err := runner.Embed(streams[0], ids, length); err != nil {
			t.Fatal(err)
		}
		for b := range blocks {
			x := append([]float32(nil), streams[b]...)
			runner.Block(x, &m.Network.Blocks[b], length)
			streams = append(streams, x)
			for at := 0; at < len(x); at += width {
				h, g := streams[b][at:at+width], x[at:at+width]
				influence[b] += (1 - dot(h, g)/math.Sqrt(dot(h, h)*dot(g, g))) / (sequences * length)
				// ‖g − h‖² = ‖g‖² + ‖h‖² − 2 g·h
				change[b] += math.Sqrt(max(0, dot(g, g)+dot(h, h)-2*dot(g, h))/dot(g, g)) / (sequences * length)
			}
		}
		for a := range streams {
			for b := range streams {
				h, g := streams[a][len(streams[a])-width:], streams[b][len(streams[b])-width:]
				cos := min(1, dot(h, g)/math.Sqrt(dot(h, h)*dot(g, g)))
				distances[a][b] += math.Acos(cos) / math.Pi / sequences
			}
		}
	}
	whole := c.Whole()
	gotInfluence, err := e.Influence(context.Background(), whole)
	if err != nil {
		t.Fatal(err)
	}
	gotChange, err := e.Change(context.Background(), whole)
	if err != nil {
		t.Fatal(err)
	}
	gotDistances, err := e.Distances(context.Background(), whole)
	if err != nil {
		t.Fatal(err)
	}
	near := func(what string, got, want float64) {
		if !(math.Abs(got-want) <= 1e-6) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	for b := range blocks {
		near("influence", gotInfluence[b], influence[b])
		near("change", gotChange[b], change[b])
		if nothing := b == 1; nothing != (gotChange[b] == 0) || nothing != (gotInfluence[b] < 1e-12) || nothing != (gotDistances[b][b+1] < 1e-6) {
			t.Errorf("block %d: influence %v, change %v, distance %v", b, gotInfluence[b], gotChange[b], gotDistances[b][b+1])
		}
	}
	for a := range distances {
		for b := range distances[a] {
			near("distance", gotDistances[a][b], distances[a][b])
		}
	}
}

func dot(a, b []float32) (sum float64) {
	for i := range a {
		sum += float64(a[i]) * float64(b[i])
	}
	return sum
}

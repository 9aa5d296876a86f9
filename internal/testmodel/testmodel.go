// Package testmodel makes small random models for tests.
package testmodel

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/finch-llm/finch/kernels"
	"github.com/finch-llm/finch/model"
)

// Llama is a random model with two query heads to each key/value head, tied embeddings and no tokenizer. Its weights are
// large enough that its predictions depend on every layer.
func Llama(seed uint64, blocks, hidden, mlp, vocab int) *model.Model {
	rng := rand.New(rand.NewPCG(seed, 0))
	m := &model.Model{
		Config: model.Config{
			Architecture: "llama", Name: "random", Hidden: hidden, MLP: mlp, Heads: 4, KVHeads: 2, HeadDim: hidden / 4,
			Blocks: blocks, Vocab: vocab, Context: 512, RopeTheta: 10000, NormEps: 1e-5, TiedHead: true,
		},
		Ref: "random", Hash: "random",
	}
	m.Embedding = matrix(rng, vocab, hidden, 1)
	m.Head = m.Embedding
	m.OutputNorm = ones(hidden)
	for range blocks {
		b := model.Block{Parts: &model.Parts{model.AttnNorm: ones(hidden), model.FFNNorm: ones(hidden)}}
		for _, k := range m.Kinds() {
			rows, cols := m.Shape(k)
			b.Layers[k] = matrix(rng, rows, cols, 1/math.Sqrt(float64(cols)))
		}
		m.Network.Blocks = append(m.Network.Blocks, b)
	}
	return m
}

// Stored is a matrix of random blocks, whose weights are at most 1 in magnitude.
func Stored(rng *rand.Rand, f kernels.Format, rows, cols int) *kernels.Matrix {
	m := &kernels.Matrix{Format: f, Rows: rows, Cols: cols, Data: make([]byte, rows*f.RowBytes(cols))}
	weights, size := make([]float32, f.BlockWeights()), f.BlockBytes()
	tooLarge := func(w float32) bool { return !(math.Abs(float64(w)) <= 1) } // NaN is
	for at := 0; at < len(m.Data); {
		block := m.Data[at : at+size]
		for i := range block {
			block[i] = byte(rng.Uint32())
		}
		if kernels.UnpackBlocks(weights, f, block); !slices.ContainsFunc(weights, tooLarge) {
			at += size
		}
	}
	return m
}

// Tokens are n random token ids.
func Tokens(seed uint64, n, vocab int) []int32 {
	rng := rand.New(rand.NewPCG(seed, 1))
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32(rng.IntN(vocab))
	}
	return ids
}

func ones(n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = 1
	}
	return v
}

func matrix(rng *rand.Rand, rows, cols int, scale float64) *kernels.Matrix {
	data := make([]byte, 0, rows*cols*4)
	for range rows * cols {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(float32(rng.NormFloat64()*scale)))
	}
	return &kernels.Matrix{Format: kernels.F32, Rows: rows, Cols: cols, Data: data}
}

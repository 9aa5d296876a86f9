package imatrix

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/finch-llm/finch/internal/names"
	"github.com/finch-llm/finch/model/gguf"
)

const (
	typeKey      = "general.type"
	datasetsKey  = "imatrix.datasets"
	chunksKey    = "imatrix.chunk_count"
	chunkSizeKey = "imatrix.chunk_size"

	sumsSuffix   = ".in_sum2"
	countsSuffix = ".counts"
)

func parseGGUF(data []byte, name string) (*File, error) {
	g, err := gguf.Parse(data, name)
	if err != nil {
		return nil, err
	}
	f := &File{}
	chunks, hasChunks := g.Uint(chunksKey)
	size, hasSize := g.Uint(chunkSizeKey)
	datasets, hasDatasets := g.Strings(datasetsKey)
	if !hasChunks || !hasSize || !hasDatasets {
		return nil, fmt.Errorf("%s: the keys %s, %s and %s are not all there: it is no importance matrix", name, datasetsKey, chunksKey, chunkSizeKey)
	}
	f.Datasets, f.Chunks, f.ChunkSize = datasets, int(min(chunks, math.MaxInt)), int(min(size, math.MaxInt))
	for i := range g.Tensors {
		matrix, ok := strings.CutSuffix(g.Tensors[i].Name, sumsSuffix)
		if !ok {
			continue
		}
		m, err := parseSums(g, matrix, &g.Tensors[i])
		if err != nil {
			return nil, fmt.Errorf("%s: matrix %s: %w", name, names.Quote(matrix), err)
		}
		f.Matrices = append(f.Matrices, m)
	}
	return f, nil
}

func parseSums(g *gguf.File, name string, sums *gguf.TensorInfo) (Matrix, error) {
	counts, ok := g.Tensor(name + countsSuffix)
	if !ok {
		return Matrix{}, errors.New("there are sums without counts: the file is damaged")
	}
	if sums.Type != gguf.F32 || counts.Type != gguf.F32 {
		return Matrix{}, fmt.Errorf("sums and counts are %v and %v, not f32: the file is damaged", sums.Type, counts.Type)
	}
	if n := counts.Elements(); n != 1 {
		return Matrix{}, fmt.Errorf("it is one of %d experts, and finch runs no models with experts", n)
	}
	count := float64(float32At(counts.Data, 0))
	if !(count >= 1 && count <= math.MaxInt32) { // NaN compares as false
		return Matrix{}, fmt.Errorf("it has sums over %g tokens: its inputs were never seen", count)
	}
	m := Matrix{Name: name, Count: int(math.Round(count)), Squares: make([]float64, sums.Elements())}
	for i := range m.Squares {
		m.Squares[i] = float64(float32At(sums.Data, i)) / float64(m.Count)
	}
	return m, nil
}

func float32At(data []byte, i int) float32 {
	return math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
}

// Write writes f as a GGUF file, as llama.cpp's own tool does.
func (f *File) Write(w io.Writer) error {
	if err := f.check(); err != nil {
		return fmt.Errorf("write the importance matrix: %w", err)
	}
	h := gguf.Header{Meta: []gguf.KV{
		{Key: typeKey, Value: gguf.ValueOf("imatrix")},
		{Key: datasetsKey, Value: gguf.ArrayOf(f.Datasets)},
		{Key: chunksKey, Value: gguf.ValueOf(uint32(f.Chunks))},
		{Key: chunkSizeKey, Value: gguf.ValueOf(uint32(f.ChunkSize))},
	}}
	for _, m := range f.Matrices {
		h.Tensors = append(h.Tensors,
			gguf.TensorSpec{Name: m.Name + sumsSuffix, Type: gguf.F32, Dims: []uint64{uint64(len(m.Squares)), 1}},
			gguf.TensorSpec{Name: m.Name + countsSuffix, Type: gguf.F32, Dims: []uint64{1, 1}})
	}
	return gguf.Write(w, h, func(i int, w io.Writer) error {
		m := &f.Matrices[i/2]
		values := []float32{float32(m.Count)}
		if i%2 == 0 {
			values = m.scaled(m.Count)
		}
		return binary.Write(w, binary.LittleEndian, values)
	})
}

// scaled are n times the mean squares.
func (m *Matrix) scaled(n int) []float32 {
	values := make([]float32, len(m.Squares))
	for i, s := range m.Squares {
		values[i] = float32(s * float64(n))
	}
	return values
}

package model_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/finch-llm/finch/compress"
	"github.com/finch-llm/finch/export"
	"github.com/finch-llm/finch/kernels"
	"github.com/finch-llm/finch/model"
	"github.com/finch-llm/finch/model/safetensors"
)

const goldenTokens, goldenVocab = 48, 64 // of tools/golden/architectures.py

func goldenIDs() []int32 {
	ids := make([]int32, goldenTokens)
	for i := range ids {
		ids[i] = int32((7*i + i*i) % goldenVocab)
	}
	return ids
}

// goldenNames lists the models of tools/golden/architectures.py.
func goldenNames(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir("testdata/architectures")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func goldenLogits(t *testing.T, name string) []float32 {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata/architectures", name, "logits.f32"))
	if err != nil {
		t.Fatal(err)
	}
	logits := make([]float32, len(data)/4)
	for i := range logits {
		logits[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
	}
	return logits
}

func openGolden(t testing.TB, path string) *model.Model {
	t.Helper()
	m, err := model.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// asFile writes a model in one of finch's formats, and wants the file to have the size that was promised.
func asFile(t testing.TB, format string, m *model.Model) []byte {
	t.Helper()
	target, err := export.For(format, m)
	if err != nil {
		t.Fatal(err)
	}
	files, err := target.Files(&m.Network)
	if err != nil {
		t.Fatal(err)
	}
	var data bytes.Buffer
	if err := files[0].Write(&data); err != nil {
		t.Fatal(err)
	}
	sum := target.Fixed() + int64(m.Blocks)*(target.Parts(true)+target.Parts(false))
	for _, e := range m.Tensors(&m.Network) {
		if w := e.Matrix; e.Block >= 0 && !e.Vector && e.Part != model.FFNRouter.String() {
			sum += target.Layer(compress.Info{Format: w.Format, Rows: w.Rows, Cols: w.Cols, Bytes: w.Bytes()})
		}
	}
	if size, err := export.Size(target, &m.Network); err != nil || size != sum || size != int64(data.Len()) {
		t.Errorf("%s: %d bytes in %s, promised were %d, the sum is %d, %v", m.Ref, data.Len(), format, size, sum, err)
	}
	return data.Bytes()
}

// logitsOf runs ids as one sequence: [tokens, vocab].
func logitsOf(t *testing.T, m *model.Model, n *model.Network, p *kernels.Path, ids []int32) []float32 {
	t.Helper()
	r := model.NewRunner(m, p, len(ids))
	hidden := make([]float32, len(ids)*m.Hidden)
	if err := r.Hidden(hidden, n, ids, len(ids)); err != nil {
		t.Fatal(err)
	}
	logits := make([]float32, len(ids)*m.Vocab)
	r.Logits(logits, hidden)
	return logits
}

// difference is max |a − b| / max |b|.
func difference(a, b []float32) float64 {
	worst, largest := 0.0, 0.0
	for i := range b {
		d := math.Abs(float64(a[i]) - float64(b[i]))
		if math.IsNaN(d) {
			return math.Inf(1)
		}
		worst, largest = max(worst, d), max(largest, math.Abs(float64(b[i])))
	}
	return worst / largest
}

// Every architecture predicts what transformers does in fp32, from the Hugging Face folder and from the GGUF that llama.cpp's
// converter makes of it. The texts are longer than windows and original contexts.
func TestArchitecturesAgreeWithTransformers(t *testing.T) {
	for _, name := range goldenNames(t) {
		want := goldenLogits(t, name)
		for _, file := range []string{"", "model.gguf"} {
			m := openGolden(t, filepath.Join("testdata/architectures", name, file))
			for _, p := range kernels.Paths() {
				got := logitsOf(t, m, &m.Network, p, goldenIDs())
				d := difference(got, want)
				t.Logf("%s %s, %s: %.2g", name, file, p.Name(), d)
				limit := 1e-5
				if p.Exact() != p {
					limit = 0.1
				}
				if m.Experts > 0 && p.Exact() != p {
					continue // rounding sends some tokens to other experts
				}
				if !(d <= limit) {
					t.Errorf("%s %s, %s: logits differ by %g of the largest", name, file, p.Name(), d)
				}
			}
		}
	}
}

// What finch writes of a model, it reads as the same model: its predictions are the same to the bit, as a packed file and, but
// for the order of rotary pairs, as a GGUF.
func TestArchitecturesAreWrittenAndReadBack(t *testing.T) {
	p := kernels.Paths()[0].Exact()
	for _, name := range goldenNames(t) {
		for _, file := range []string{"", "model.gguf"} {
			m := openGolden(t, filepath.Join("testdata/architectures", name, file))
			want := logitsOf(t, m, &m.Network, p, goldenIDs())
			for _, format := range []string{"packed", "gguf"} {
				path := filepath.Join(t.TempDir(), "model")
				if err := os.WriteFile(path, asFile(t, format, m), 0o666); err != nil {
					t.Fatal(err)
				}
				written := openGolden(t, path)
				got := logitsOf(t, written, &written.Network, p, goldenIDs())
				switch {
				case m.RopeInterleaved == written.RopeInterleaved && !slices.Equal(got, want):
					t.Errorf("%s %s: read back from %s, logits differ by %g of the largest", name, file, format, difference(got, want))
				case !(difference(got, want) <= 1e-5):
					t.Errorf("%s %s: read back from %s, logits differ by %g of the largest", name, file, format, difference(got, want))
				}
			}
		}
	}
}

// A Hugging Face folder that finch writes has every tensor as transformers had it, to the bit, and sublayers that were dropped as
// zeros.
func TestArchitecturesAreWrittenForTransformers(t *testing.T) {
	p := kernels.Paths()[0].Exact()
	for _, name := range goldenNames(t) {
		source := filepath.Join("testdata/architectures", name)
		m := openGolden(t, source)
		target, err := export.For("safetensors", m)
		if err != nil {
			t.Fatal(err)
		}
		dropped := m.Network.Clone()
		dropped.Blocks[0].DropMLP, dropped.Blocks[1].DropAttn = true, true
		for what, n := range map[string]*model.Network{"whole": &m.Network, "dropped": dropped} {
			dir := t.TempDir()
			files, err := target.Files(n)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range files {
				var data bytes.Buffer
				if err := f.Write(&data); err != nil || int64(data.Len()) != f.Bytes {
					t.Fatalf("%s: %s has %d bytes, promised were %d, %v", name, f.Name, data.Len(), f.Bytes, err)
				}
				if err := os.WriteFile(filepath.Join(dir, f.Name), data.Bytes(), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			written := openGolden(t, dir)
			got, want := logitsOf(t, written, &written.Network, p, goldenIDs()), logitsOf(t, m, n, p, goldenIDs())
			if d := difference(got, want); !(d <= 1e-6) || what == "whole" && d != 0 {
				t.Errorf("%s, %s: logits differ by %g of the largest", name, what, d)
			}
			if what == "whole" {
				sameTensors(t, name, source, dir)
			}
		}
	}
}

// sameTensors compares the names, shapes and bytes of two folders' tensors.
func sameTensors(t *testing.T, name, a, b string) {
	t.Helper()
	want, err := safetensors.OpenFolder(a)
	if err != nil {
		t.Fatal(err)
	}
	defer want.Close()
	got, err := safetensors.OpenFolder(b)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Close()
	if len(got.Tensors) != len(want.Tensors) {
		t.Errorf("%s: %d tensors, transformers has %d", name, len(got.Tensors), len(want.Tensors))
	}
	for _, w := range want.Tensors {
		if g, ok := got.Tensor(w.Name); !ok || !slices.Equal(g.Shape, w.Shape) || !bytes.Equal(g.Data, w.Data) {
			t.Errorf("%s: tensor %s is not as it was", name, w.Name)
		}
	}
}

// Predictions do not depend on what runs beside a sequence, nor on whether its beginning is in a cache, with all sublayers or some of
// them dropped.
func TestArchitecturesPredictTheSameInPieces(t *testing.T) {
	ids := goldenIDs()
	for _, name := range goldenNames(t) {
		m := openGolden(t, filepath.Join("testdata/architectures", name))
		dropped := m.Network.Clone()
		dropped.Blocks[0].DropMLP, dropped.Blocks[1].DropAttn = true, true
		for _, p := range kernels.Paths() {
			for what, n := range map[string]*model.Network{"whole": &m.Network, "dropped": dropped} {
				r := model.NewRunner(m, p, len(ids))
				run := func(ids []int32, sequence int) []float32 {
					hidden := make([]float32, len(ids)*m.Hidden)
					if err := r.Hidden(hidden, n, ids, sequence); err != nil {
						t.Fatal(err)
					}
					return hidden
				}
				want := run(ids, len(ids))
				beside := run(append(slices.Repeat([]int32{5, 9, 60}, len(ids)/3), ids...), len(ids))
				if !slices.Equal(beside[len(want):], want) {
					t.Errorf("%s, %s, %s: another sequence changes what is predicted", name, p.Name(), what)
				}
				var pieces []float32
				for c, at := r.NewCache(), 0; at < len(ids); {
					next := min(len(ids), at+1+at/2)
					piece := make([]float32, (next-at)*m.Hidden)
					if err := r.Extend(piece, n, ids[at:next], c); err != nil {
						t.Fatal(err)
					}
					pieces, at = append(pieces, piece...), next
				}
				if !slices.Equal(pieces, want) {
					t.Errorf("%s, %s, %s: with a cache, hidden states differ by %g of the largest", name, p.Name(), what, difference(pieces, want))
				}
			}
		}
	}
}

// Sequences that go on in lockstep are those that go on by themselves, to the bit, also beyond the window of local attention.
func TestArchitecturesExtendInLockstep(t *testing.T) {
	for _, name := range goldenNames(t) {
		m := openGolden(t, filepath.Join("testdata/architectures", name))
		for _, p := range kernels.Paths() {
			r := model.NewRunner(m, p, goldenTokens)
			caches := []*model.Cache{r.NewCache(), r.NewCache(), r.NewCache()}
			alone, got := make([][]float32, len(caches)), make([][]float32, len(caches))
			text := func(i int) []int32 { // each its own
				ids := goldenIDs()
				for j := range ids {
					ids[j] = (ids[j] + int32(11*i*j)) % goldenVocab
				}
				return ids
			}
			for i := range alone {
				alone[i] = make([]float32, goldenTokens*m.Hidden)
				if err := r.Hidden(alone[i], &m.Network, text(i), goldenTokens); err != nil {
					t.Fatal(err)
				}
			}
			for at := 0; at < goldenTokens; {
				piece := min(goldenTokens-at, 1+at%3)
				var ids []int32
				for i := range caches {
					ids = append(ids, text(i)[at:at+piece]...)
				}
				hidden := make([]float32, len(ids)*m.Hidden)
				if err := r.Extend(hidden, &m.Network, ids, caches...); err != nil {
					t.Fatal(err)
				}
				for i := range caches {
					got[i] = append(got[i], hidden[i*piece*m.Hidden:(i+1)*piece*m.Hidden]...)
				}
				at += piece
			}
			for i := range caches {
				if !slices.Equal(got[i], alone[i]) {
					t.Errorf("%s, %s: beside others, sequence %d differs by %g of the largest", name, p.Name(), i, difference(got[i], alone[i]))
				}
			}
		}
	}
}

func TestExtendRefuses(t *testing.T) {
	m := openGolden(t, "testdata/architectures/llama")
	r := model.NewRunner(m, kernels.Paths()[0], 8)
	hidden := make([]float32, 16*m.Hidden)
	full, empty := r.NewCache(), r.NewCache()
	if err := r.Extend(hidden, &m.Network, goldenIDs()[:8], full); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		tokens int
		caches []*model.Cache
	}{
		"no cache":                 {4, nil},
		"pieces of unequal length": {3, []*model.Cache{empty, r.NewCache()}},
		"caches of unequal length": {2, []*model.Cache{empty, full}},
		"beyond the context":       {1, []*model.Cache{full}},
		"beyond an empty context":  {9, []*model.Cache{empty}},
	} {
		if err := r.Extend(hidden, &m.Network, goldenIDs()[:c.tokens], c.caches...); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	full.Reset()
	again := make([]float32, 8*m.Hidden)
	if err := r.Extend(again, &m.Network, goldenIDs()[:8], full); err != nil || !slices.Equal(again, hidden[:len(again)]) {
		t.Errorf("after Reset, the same sequence is another one: %v", err)
	}
}

// Every layer's inputs are shown: those which, multiplied with it, make the next one's.
func TestArchitecturesShowTheInputsOfLayers(t *testing.T) {
	for _, name := range goldenNames(t) {
		m := openGolden(t, filepath.Join("testdata/architectures", name))
		r := model.NewRunner(m, kernels.Paths()[0].Exact(), goldenTokens)
		x := make([]float32, goldenTokens*m.Hidden)
		if err := r.Embed(x, goldenIDs(), goldenTokens); err != nil {
			t.Fatal(err)
		}
		seen := map[model.Kind]int{}
		r.BlockInputs(x, &m.Network.Blocks[0], goldenTokens, func(k model.Kind, inputs []float32) { seen[k] += len(inputs) })
		for _, k := range m.Kinds() {
			_, cols := m.Shape(k)
			want := goldenTokens * cols
			if k == model.FFNDownExps {
				want *= m.ExpertsUsed
			}
			if in := k.Input(); seen[in] != want {
				t.Errorf("%s: %d inputs of %s were shown, want %d", name, seen[in], k, want)
			}
		}
	}
}

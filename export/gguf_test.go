package export

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/finch-llm/finch/compress"
	"github.com/finch-llm/finch/internal/testmodel"
	"github.com/finch-llm/finch/kernels"
	"github.com/finch-llm/finch/model"
	"github.com/finch-llm/finch/model/gguf"
)

// drop takes blocks out of a network.
func drop(n *model.Network, blocks ...int) {
	for _, b := range blocks {
		n.Blocks[b].DropAttn, n.Blocks[b].DropMLP = true, true
	}
}

func TestGGUF(t *testing.T) {
	for name, m := range sources(t) {
		t.Run(name, func(t *testing.T) {
			target, err := For("gguf", m)
			if err != nil {
				t.Fatal(err)
			}
			rng := rand.New(rand.NewPCG(1, 0))
			for range 3 {
				n, sum := candidate(t, rng, m, target, slices.Concat(dense, sparse)...)
				if size, err := Size(target, n); err != nil || size != sum {
					t.Errorf("%d bytes, promised were %d, %v", size, sum, err)
				}
				written := write(t, target, n)
				sameWeights(t, m, n, written)
				sameTokenizer(t, m, written)
				sameConfig(t, m, written)
				if m.RopeInterleaved {
					sameLogits(t, m, n, written)
				} else {
					closeLogits(t, m, n, written)
				}
			}
		})
	}
}

// sameWeights wants every weight in the file to be stored as in the network, q and k in llama.cpp's order of rotary pairs.
func sameWeights(t *testing.T, m *model.Model, n *model.Network, written *model.Model) {
	t.Helper()
	for b, next := 0, 0; b < len(n.Blocks); b++ {
		if n.Blocks[b].DropAttn {
			continue
		}
		for _, k := range m.Kinds() {
			was, is := n.Blocks[b].Layers[k], written.Network.Blocks[next].Layers[k]
			if is.Format != was.Format || is.Rows != was.Rows || is.Cols != was.Cols {
				t.Fatalf("block %d, %s: stored as %s", b, k, is.Format)
			}
			got, want := make([]float32, is.Cols), make([]float32, is.Cols)
			for r := range is.Rows {
				from := r
				if (k == model.AttnQ || k == model.AttnK) && !m.RopeInterleaved {
					// llama.cpp's conversion: [heads, 2, headDim/2] becomes [heads, headDim/2, 2].
					half := m.HeadDim / 2
					head, pair, side := r/m.HeadDim, r%m.HeadDim/2, r%2
					from = (head*2+side)*half + pair
				}
				kernels.Unpack(got, is, r)
				kernels.Unpack(want, was, from)
				if !slices.Equal(got, want) {
					t.Fatalf("block %d, %s: row %d is not row %d of before", b, k, r, from)
				}
			}
		}
		next++
	}
}

// closeLogits allows for the other order in which q·k is summed when the rotary pairs are arranged otherwise.
func closeLogits(t *testing.T, m *model.Model, n *model.Network, written *model.Model) {
	t.Helper()
	for _, p := range kernels.Paths() {
		want, got := logits(t, m, n, p), logits(t, written, &written.Network, p)
		worst, largest := 0.0, 0.0
		for i := range want {
			worst = max(worst, math.Abs(float64(want[i])-float64(got[i])))
			largest = max(largest, math.Abs(float64(want[i])))
		}
		limit := 1e-5
		if p.Name() == "avx512bf16" {
			limit = 0.03
		}
		if !(worst <= limit*largest) {
			t.Errorf("%s: logits differ by %g of %g", p.Name(), worst, largest)
		}
	}
}

// TestGGUFLosesBlocks drops whole blocks: the others move down, and the sum that a search counts is an upper bound.
func TestGGUFLosesBlocks(t *testing.T) {
	for name, m := range sources(t) {
		target, err := For("gguf", m)
		if err != nil {
			t.Fatal(err)
		}
		rng := rand.New(rand.NewPCG(2, 0))
		for _, lost := range [][]int{{0}, {m.Blocks - 1}, {0, 1}, {1, 2, 4}} {
			if lost[len(lost)-1] >= m.Blocks || len(lost) == m.Blocks {
				continue
			}
			t.Run(fmt.Sprint(name, lost), func(t *testing.T) {
				n, sum := candidate(t, rng, m, target, dense...)
				drop(n, lost...)
				for _, b := range lost {
					sum -= target.Parts(true) + target.Parts(false)
					for _, k := range m.Kinds() {
						w := n.Blocks[b].Layers[k]
						sum -= target.Layer(compress.Info{Format: w.Format, Rows: w.Rows, Cols: w.Cols})
					}
				}
				size, err := Size(target, n)
				if err != nil || size > sum || size < sum-int64(1024*len(lost)) {
					t.Errorf("%d bytes, at most %d were promised, %v", size, sum, err)
				}
				written := write(t, target, n)
				if written.Blocks != m.Blocks-len(lost) {
					t.Errorf("%d blocks", written.Blocks)
				}
				sameWeights(t, m, n, written)
				if m.RopeInterleaved {
					sameLogits(t, m, n, written)
				} else {
					closeLogits(t, m, n, written)
				}
			})
		}
	}
}

// TestEveryType reads a GGUF file with layers in every type that ggml has for weights, and writes them again as they are.
func TestEveryType(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 0))
	source := testmodel.Llama(6, 5, 256, 256, testmodel.Vocab)
	stored := map[kernels.Format]bool{}
	formats := kernels.Formats()
	for b := range source.Network.Blocks {
		for i, k := range source.Kinds() {
			w := source.Network.Blocks[b].Layers[k]
			f := formats[(b*len(source.Kinds())+i)%len(formats)]
			if _, ok := f.IntGroup(); ok {
				continue
			}
			source.Network.Blocks[b].Layers[k] = testmodel.Stored(rng, f, w.Rows, w.Cols)
			stored[f] = true
		}
	}
	m := open(t, testmodel.GGUF(t, source))
	for b := range m.Network.Blocks {
		for _, k := range m.Kinds() {
			w, want := m.Network.Blocks[b].Layers[k], source.Network.Blocks[b].Layers[k]
			if w.Format != want.Format || !bytes.Equal(w.Data, want.Data) {
				t.Errorf("block %d, %s: %v was read as %v", b, k, want.Format, w.Format)
			}
		}
	}
	for _, f := range formats {
		if _, ok := f.IntGroup(); !ok && !stored[f] {
			t.Errorf("no layer is stored in %v", f)
		}
	}
	for _, x := range logits(t, m, &m.Network, kernels.Paths()[0]) {
		if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
			t.Fatalf("a logit is %g", x)
		}
	}
	for _, name := range []string{"gguf", "packed"} {
		target, err := For(name, m)
		if err != nil {
			t.Fatal(err)
		}
		written := write(t, target, &m.Network)
		sameWeights(t, m, &m.Network, written)
		sameLogits(t, m, &m.Network, written)
	}
}

func TestGGUFMetadata(t *testing.T) {
	m := open(t, testmodel.GGUF(t, testmodel.Llama(4, 3, 64, 96, testmodel.Vocab),
		gguf.KV{Key: "general.alignment", Value: gguf.ValueOf(uint32(64))}, gguf.KV{Key: "general.author", Value: gguf.ValueOf("Gould")}))
	target, err := For("gguf", m)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(3, 0))
	for level, number := range map[string]uint64{"q4_0": 2, "q8_0": 7, "iq4_nl": 25, "bf16": 32, "f16": 1, "f32": 0, "sparse-0.60": 32} {
		n, _ := candidate(t, rng, m, target, level)
		n.Blocks[1].Layers[model.FFNUp] = m.Network.Blocks[1].Layers[model.FFNUp] // f32: not what most are
		drop(n, 2)
		f, err := gguf.Parse(content(t, target, n), level)
		if err != nil {
			t.Fatal(err)
		}
		for key, want := range map[string]uint64{"general.file_type": number, "general.quantization_version": 2, "llama.block_count": 2, "general.alignment": 64} {
			if got, ok := f.Uint(key); !ok || got != want {
				t.Errorf("%s: %s is %d, want %d", level, key, got, want)
			}
		}
		source, err := m.Metadata()
		if err != nil {
			t.Fatal(err)
		}
		for i, kv := range source {
			if kv.Key != f.Meta[i].Key {
				t.Fatalf("%s: key %d is %s, was %s", level, i, f.Meta[i].Key, kv.Key)
			}
			if !slices.Contains([]string{"general.file_type", "llama.block_count"}, kv.Key) && !kv.Value.Equal(f.Meta[i].Value) {
				t.Errorf("%s: %s is %s, was %s", level, kv.Key, f.Meta[i].Value, kv.Value)
			}
		}
		if f.Alignment != 64 || len(f.Meta) != len(source)+1 { // finch.reserved
			t.Errorf("%s: alignment %d, %d keys, were %d", level, f.Alignment, len(f.Meta), len(source))
		}
	}
}

func TestGGUFRefuses(t *testing.T) {
	m := open(t, testmodel.Folder(t, testmodel.Llama(1, 2, 64, 96, testmodel.Vocab)))
	target, err := For("gguf", m)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, says string
		change     func(*model.Network)
	}{
		{"everything", "every block", func(n *model.Network) { drop(n, 0, 1) }},
		{"sparse blocks", "blk.1.attn_v is sparse with q4_0 values", func(n *model.Network) {
			s, _ := candidate(t, rand.New(rand.NewPCG(1, 0)), m, target, "sparse-0.50+q4_0")
			n.Blocks[1].Layers[model.AttnV] = s.Blocks[1].Layers[model.AttnV]
		}},
		{"integers", "blk.0.ffn_up is stored in int3-g64, which is no type of GGUF: write a packed file", func(n *model.Network) {
			s, _ := candidate(t, rand.New(rand.NewPCG(1, 0)), m, target, "int3-g64")
			n.Blocks[0].Layers[model.FFNUp] = s.Blocks[0].Layers[model.FFNUp]
		}},
	} {
		n := m.Network.Clone()
		test.change(n)
		if _, err := Size(target, n); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

// general.file_type is that of llama_ftype for every type that layers can be rounded to.
func TestFileTypeOfRoundedLayers(t *testing.T) {
	for format, want := range map[kernels.Format]uint32{kernels.Q2_K: 10, kernels.Q3_K: 12, kernels.Q4_K: 15, kernels.Q5_K: 17, kernels.Q6_K: 18,
		kernels.IQ2_XXS: 19, kernels.IQ2_XS: 20, kernels.IQ3_XXS: 23, kernels.IQ4_NL: 25, kernels.IQ3_S: 26, kernels.IQ2_S: 28, kernels.IQ4_XS: 30} {
		layers := [model.NumKinds]*kernels.Matrix{}
		for k := range layers {
			layers[k] = &kernels.Matrix{Format: format, Rows: 1, Cols: 256}
		}
		layers[model.AttnQ].Format = kernels.F32 // not what most are
		if got := fileType(&model.Network{Blocks: []model.Block{{Layers: layers}}}); got != want {
			t.Errorf("%v has the file type %d, want %d", format, got, want)
		}
	}
}

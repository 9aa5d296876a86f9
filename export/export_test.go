package export

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/finch-llm/finch/compress"
	"github.com/finch-llm/finch/internal/testmodel"
	"github.com/finch-llm/finch/kernels"
	"github.com/finch-llm/finch/model"
	"github.com/finch-llm/finch/model/gguf"
)

// sources are models of either layout of rotary pairs; eleven blocks, so that some change the length of their names when
// they move down.
func sources(t *testing.T) map[string]*model.Model {
	t.Helper()
	untied := testmodel.Llama(2, 3, 64, 96, testmodel.Vocab+1)
	untied.TiedHead = false
	untied.Head = testmodel.Llama(3, 1, 64, 96, testmodel.Vocab+1).Embedding
	return map[string]*model.Model{
		"huggingface": open(t, testmodel.Folder(t, testmodel.Llama(1, 11, 64, 96, testmodel.Vocab))),
		"untied":      open(t, testmodel.Folder(t, untied)),
		"gguf":        open(t, testmodel.GGUF(t, testmodel.Llama(4, 11, 64, 96, testmodel.Vocab), gguf.KV{Key: "general.alignment", Value: gguf.ValueOf(uint32(128))})),
		"k-quants":    open(t, testmodel.Folder(t, testmodel.Llama(5, 2, 256, 256, testmodel.Vocab))),
	}
}

func open(t *testing.T, ref string) *model.Model {
	t.Helper()
	m, err := model.Open(ref)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// candidate is a network with a random level for each layer, and the sum that its file is promised to be.
func candidate(t *testing.T, rng *rand.Rand, m *model.Model, target Target, levels ...string) (*model.Network, int64) {
	t.Helper()
	n := m.Network.Clone()
	size := target.Fixed() + int64(2*m.Blocks)*target.Norm()
	for b := range n.Blocks {
		for k, dense := range n.Blocks[b].Layers {
			level, err := compress.ParseLevel(levels[rng.IntN(len(levels))])
			if err != nil {
				t.Fatal(err)
			}
			layer := compress.Layer{Name: model.LayerName(b, model.Kind(k)), Rows: dense.Rows, Cols: dense.Cols, Weights: make([]float32, dense.Rows*dense.Cols)}
			kernels.UnpackBlocks(layer.Weights, dense.Format, dense.Data)
			w, err := compress.Compress(layer, level)
			if err != nil {
				t.Fatal(err)
			}
			n.Blocks[b].Layers[k] = w
			size += target.Layer(compress.Describe(layer, level, w))
		}
	}
	return n, size
}

var (
	dense  = []string{"q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "iq4_nl", "q2_k", "q3_k", "q4_k", "q5_k", "q6_k", "f16", "bf16", "f32"}
	sparse = []string{"sparse-0.60", "sparse-0.95+f16", "sparse@100+f32"}
	packed = slices.Concat(dense, sparse, []string{"sparse-0.50+q4_0", "sparse-0.70+iq4_nl", "sparse@0+q8_0"})
)

// write writes a network, checks that its size is the one that was announced, and opens it.
func write(t *testing.T, target Target, n *model.Network) *model.Model {
	t.Helper()
	var file bytes.Buffer
	if err := target.Write(&file, n); err != nil {
		t.Fatal(err)
	}
	size, err := target.Size(n)
	if err != nil || int64(file.Len()) != size {
		t.Fatalf("%d bytes were written, %d announced, %v", file.Len(), size, err)
	}
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, file.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return open(t, path)
}

func logits(t *testing.T, m *model.Model, n *model.Network, path *kernels.Path) []float32 {
	t.Helper()
	ids := testmodel.Tokens(9, 24, testmodel.Vocab)
	r := model.NewRunner(m, path, len(ids))
	hidden := make([]float32, len(ids)*m.Hidden)
	if err := r.Hidden(hidden, n, ids, len(ids)); err != nil {
		t.Fatal(err)
	}
	out := make([]float32, len(ids)*m.Vocab)
	r.Worker().MatMul(out, hidden, len(ids), m.Head)
	return out
}

// sameLogits wants the written model to predict what the candidate did, bit for bit.
func sameLogits(t *testing.T, m *model.Model, n *model.Network, written *model.Model) {
	t.Helper()
	for _, p := range kernels.Paths() {
		if !slices.Equal(logits(t, m, n, p), logits(t, written, &written.Network, p)) {
			t.Errorf("%s: the file does not predict what the candidate did", p.Name())
		}
	}
}

func sameTokenizer(t *testing.T, m, written *model.Model) {
	t.Helper()
	const text = "The theatre, at 3:45 in the rain — née  a\n\n<|endoftext|> 🐦 1234 it's"
	if got, want := written.Tokenizer.Encode(text), m.Tokenizer.Encode(text); !slices.Equal(got, want) {
		t.Errorf("a text is %d, was %d", got, want)
	}
	bos, add := m.Tokenizer.BOS()
	if b, a := written.Tokenizer.BOS(); b != bos || a != add || written.Tokenizer.EOS() != m.Tokenizer.EOS() {
		t.Errorf("BOS %d, %v and EOS %d, were %d, %v and %d", b, a, written.Tokenizer.EOS(), bos, add, m.Tokenizer.EOS())
	}
}

// sameConfig wants everything but the layout of rotary pairs and the number of blocks to be as it was.
func sameConfig(t *testing.T, m, written *model.Model) {
	t.Helper()
	want := m.Config
	want.RopeInterleaved, want.Blocks = written.RopeInterleaved, written.Blocks
	want.NormEps, want.RopeTheta = float64(float32(want.NormEps)), float64(float32(want.RopeTheta)) // as the kernels take them
	if written.Config != want {
		t.Errorf("the configuration is %+v, was %+v", written.Config, want)
	}
}

func sameMatrix(a, b *kernels.Matrix) bool {
	return a.Format == b.Format && a.Rows == b.Rows && a.Cols == b.Cols && bytes.Equal(a.Data, b.Data) && bytes.Equal(a.Mask, b.Mask)
}

func TestPacked(t *testing.T) {
	for name, m := range sources(t) {
		t.Run(name, func(t *testing.T) {
			target, err := For("packed", m)
			if err != nil {
				t.Fatal(err)
			}
			for seed := range uint64(3) {
				rng := rand.New(rand.NewPCG(seed, 0))
				n, sum := candidate(t, rng, m, target, packed...)
				for b := range n.Blocks {
					block := &n.Blocks[b]
					if block.DropAttn = rng.IntN(4) == 0; block.DropAttn {
						sum -= target.Norm()
					}
					if block.DropMLP = rng.IntN(4) == 0; block.DropMLP {
						sum -= target.Norm()
					}
					for k, w := range block.Layers {
						if block.Drops(model.Kind(k)) {
							sum -= target.Layer(compress.Info{Bytes: w.Bytes(), Sparse: w.Mask != nil})
						}
					}
				}
				written := write(t, target, n)
				if size, err := target.Size(n); err != nil || size != sum {
					t.Errorf("%d bytes, promised were %d, %v", size, sum, err)
				}
				for b := range n.Blocks {
					was, is := &n.Blocks[b], &written.Network.Blocks[b]
					if was.DropAttn != is.DropAttn || was.DropMLP != is.DropMLP {
						t.Errorf("block %d: dropped are %v, %v, were %v, %v", b, is.DropAttn, is.DropMLP, was.DropAttn, was.DropMLP)
					}
					for k, w := range was.Layers {
						if !was.Drops(model.Kind(k)) && !sameMatrix(w, is.Layers[k]) {
							t.Errorf("%s is stored otherwise", model.LayerName(b, model.Kind(k)))
						}
					}
				}
				sameLogits(t, m, n, written)
				sameTokenizer(t, m, written)
				sameConfig(t, m, written)
				if written.RopeInterleaved != m.RopeInterleaved {
					t.Errorf("rotary pairs are interleaved: %v", written.RopeInterleaved)
				}
			}
		})
	}
}

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
				if size, err := target.Size(n); err != nil || size != sum {
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
		for k, was := range n.Blocks[b].Layers {
			is := written.Network.Blocks[next].Layers[k]
			if is.Format != was.Format || is.Rows != was.Rows || is.Cols != was.Cols {
				t.Fatalf("block %d, %s: stored as %s", b, model.Kind(k), is.Format)
			}
			got, want := make([]float32, is.Cols), make([]float32, is.Cols)
			for r := range is.Rows {
				from := r
				if (model.Kind(k) == model.AttnQ || model.Kind(k) == model.AttnK) && !m.RopeInterleaved {
					// llama.cpp's conversion: [heads, 2, headDim/2] becomes [heads, headDim/2, 2].
					half := m.HeadDim / 2
					head, pair, side := r/m.HeadDim, r%m.HeadDim/2, r%2
					from = (head*2+side)*half + pair
				}
				kernels.Unpack(got, is, r)
				kernels.Unpack(want, was, from)
				if !slices.Equal(got, want) {
					t.Fatalf("block %d, %s: row %d is not row %d of before", b, model.Kind(k), r, from)
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
					sum -= 2 * target.Norm()
					for _, w := range n.Blocks[b].Layers {
						sum -= target.Layer(compress.Info{Format: w.Format, Rows: w.Rows, Cols: w.Cols})
					}
				}
				size, err := target.Size(n)
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
		var file bytes.Buffer
		if err := target.Write(&file, n); err != nil {
			t.Fatal(err)
		}
		f, err := gguf.Parse(file.Bytes(), level)
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
		if f.Alignment != 64 || len(f.Meta) != len(source) {
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
		{"attention", "block 1 has lost one", func(n *model.Network) { n.Blocks[1].DropAttn = true }},
		{"mlp", "block 0 has lost one", func(n *model.Network) { n.Blocks[0].DropMLP = true }},
		{"everything", "every block", func(n *model.Network) { drop(n, 0, 1) }},
		{"sparse blocks", "blk.1.attn_v is sparse with q4_0 values", func(n *model.Network) {
			s, _ := candidate(t, rand.New(rand.NewPCG(1, 0)), m, target, "sparse-0.50+q4_0")
			n.Blocks[1].Layers[model.AttnV] = s.Blocks[1].Layers[model.AttnV]
		}},
	} {
		n := m.Network.Clone()
		test.change(n)
		_, err := target.Size(n)
		if again := target.Write(&bytes.Buffer{}, n); err == nil || again == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

func TestSafetensorsIsCounted(t *testing.T) {
	for name, m := range sources(t) {
		target, err := For("safetensors", m)
		if err != nil {
			t.Fatal(err)
		}
		n, sum := candidate(t, rand.New(rand.NewPCG(1, 0)), m, target, "bf16", "sparse-0.60")
		if size, err := target.Size(n); err != nil || size != sum {
			t.Errorf("%s: %d bytes, promised were %d, %v", name, size, sum, err)
		}
		if err := target.Write(&bytes.Buffer{}, n); err == nil {
			t.Errorf("%s was written", name)
		}
	}
	if _, err := For("onnx", nil); err == nil {
		t.Error("an unknown target is known")
	}
}

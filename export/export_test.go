package export

import (
	"bytes"
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
	size := target.Fixed() + int64(m.Blocks)*(target.Parts(true)+target.Parts(false))
	for b := range n.Blocks {
		for _, k := range m.Kinds() {
			w := compressed(t, m, b, k, levels[rng.IntN(len(levels))])
			n.Blocks[b].Layers[k] = w
			size += target.Layer(compress.Info{Format: w.Format, Rows: w.Rows, Cols: w.Cols, Bytes: w.Bytes(), Sparse: w.Mask != nil})
		}
	}
	return n, size
}

// compressed is a layer of a model at a level.
func compressed(t *testing.T, m *model.Model, block int, k model.Kind, name string) *kernels.Matrix {
	t.Helper()
	level, err := compress.ParseLevel(name)
	if err != nil {
		t.Fatal(err)
	}
	dense := m.Network.Blocks[block].Layers[k]
	layer := compress.Layer{Name: model.LayerName(block, k), Rows: dense.Rows, Cols: dense.Cols, Weights: make([]float32, dense.Rows*dense.Cols)}
	kernels.UnpackBlocks(layer.Weights, dense.Format, dense.Data)
	w, err := compress.Compress(layer, level)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

var (
	dense  = []string{"q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "iq4_nl", "q2_k", "q3_k", "q4_k", "q5_k", "q6_k", "iq3_xxs", "f16", "bf16", "f32"}
	sparse = []string{"sparse-0.60", "sparse-0.95+f16", "sparse@100+f32"}
	packed = slices.Concat(dense, sparse, []string{"sparse-0.50+q4_0", "sparse-0.70+iq4_nl", "sparse@0+q8_0",
		"int2-g32", "int3-g64", "int5-g32-sym", "int8-g128", "sparse-0.50+int4-g32"})
)

// write writes a network as a single file, checks that its size is the one that was announced, and opens it.
func write(t *testing.T, format Format, n *model.Network) *model.Model {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, content(t, format, n), 0o644); err != nil {
		t.Fatal(err)
	}
	return open(t, path)
}

func content(t *testing.T, format Format, n *model.Network) []byte {
	t.Helper()
	files, err := format.Files(n)
	if err != nil || len(files) != 1 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	return written(t, files[0])
}

func written(t *testing.T, f File) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := f.Write(&out); err != nil {
		t.Fatal(err)
	}
	if int64(out.Len()) != f.Bytes {
		t.Fatalf("%q: %d bytes were written, %d announced", f.Name, out.Len(), f.Bytes)
	}
	return out.Bytes()
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
						sum -= target.Parts(true)
					}
					if block.DropMLP = rng.IntN(4) == 0; block.DropMLP {
						sum -= target.Parts(false)
					}
					for _, k := range m.Kinds() {
						if w := block.Layers[k]; block.Drops(k) {
							sum -= target.Layer(compress.Info{Bytes: w.Bytes(), Sparse: w.Mask != nil})
						}
					}
				}
				written := write(t, target, n)
				if size, err := Size(target, n); err != nil || size != sum {
					t.Errorf("%d bytes, promised were %d, %v", size, sum, err)
				}
				for b := range n.Blocks {
					was, is := &n.Blocks[b], &written.Network.Blocks[b]
					if was.DropAttn != is.DropAttn || was.DropMLP != is.DropMLP {
						t.Errorf("block %d: dropped are %v, %v, were %v, %v", b, is.DropAttn, is.DropMLP, was.DropAttn, was.DropMLP)
					}
					for _, k := range m.Kinds() {
						if !was.Drops(k) && !sameMatrix(was.Layers[k], is.Layers[k]) {
							t.Errorf("%s is stored otherwise", model.LayerName(b, k))
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

func TestFormatsAreKnown(t *testing.T) {
	m := open(t, testmodel.Folder(t, testmodel.Llama(1, 1, 64, 96, testmodel.Vocab)))
	for _, name := range Names() {
		if _, err := Open(name, m, Provenance{}); err != nil {
			t.Error(err)
		}
	}
	if _, err := For("onnx", m); err == nil || !strings.Contains(err.Error(), "gguf, safetensors, packed") {
		t.Errorf("an unknown target: %v", err)
	}
}

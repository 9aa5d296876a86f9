package export

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/finch-llm/finch/kernels"
	"github.com/finch-llm/finch/model"
)

const goldenModels = "../model/testdata/architectures" // of tools/golden/architectures.py, all in bf16

// architectures are models of every architecture, from Hugging Face folders.
func architectures(t *testing.T) []*model.Model {
	t.Helper()
	entries, err := os.ReadDir(goldenModels)
	if err != nil {
		t.Fatal(err)
	}
	var list []*model.Model
	for _, e := range entries {
		list = append(list, open(t, filepath.Join(goldenModels, e.Name())))
	}
	return list
}

// goldenIDs are longer than windows and original contexts.
func goldenIDs() []int32 {
	ids := make([]int32, 48)
	for i := range ids {
		ids[i] = int32((7*i + i*i) % 64)
	}
	return ids
}

// predict computes logits in f32.
func predict(t *testing.T, m *model.Model, n *model.Network) []float32 {
	t.Helper()
	portable, err := kernels.Select("portable")
	if err != nil {
		t.Fatal(err)
	}
	ids := goldenIDs()
	r := model.NewRunner(m, portable, len(ids))
	hidden, out := make([]float32, len(ids)*m.Hidden), make([]float32, len(ids)*m.Vocab)
	if err := r.Hidden(hidden, n, ids, len(ids)); err != nil {
		t.Fatal(err)
	}
	r.Logits(out, hidden)
	return out
}

// lossy are networks of a model that have lost something.
func lossy(m *model.Model) map[string]*model.Network {
	block, attn, both := m.Network.Clone(), m.Network.Clone(), m.Network.Clone()
	drop(block, 0)
	attn.Blocks[0].DropAttn = true
	drop(both, 0)
	both.Blocks[m.Blocks-1].DropMLP = true
	return map[string]*model.Network{"a block": block, "attention": attn, "a block and an MLP": both}
}

// What is lost is all that is missing: a folder predicts the same to the bit, with every setting of blocks renumbered.
func TestArchitecturesLoseInFolders(t *testing.T) {
	for _, m := range architectures(t) {
		target, err := For("safetensors", m)
		if err != nil {
			t.Fatal(err)
		}
		for name, n := range lossy(m) {
			dir, size := writeFolder(t, target, n)
			read := open(t, dir)
			if got, want := predict(t, read, &read.Network), predict(t, m, n); !slices.Equal(got, want) {
				t.Errorf("%s without %s: logits differ by %g of the largest", m.Ref, name, difference(got, want))
			}
			if most := promised(t, target, n); size > most {
				t.Errorf("%s without %s: %d bytes, at most %d were promised", m.Ref, name, size, most)
			}
		}
	}
}

// In GGUF, q and k may come in another order. Single sublayers go only where target and file agree that they may.
func TestArchitecturesLoseInGGUF(t *testing.T) {
	for _, m := range architectures(t) {
		for _, ref := range []string{m.Ref, filepath.Join(m.Ref, "model.gguf")} {
			source := open(t, ref)
			target, err := For("gguf", source)
			if err != nil {
				t.Fatal(err)
			}
			for name, n := range lossy(source) {
				if _, alone := keptBlocks(n); alone {
					_, refused := target.Dropped(0, true, false)
					if _, err := target.Files(n); refused != nil && (err == nil || err.Error() != refused.Error()) {
						t.Errorf("%s without %s: %v, promised was %v", ref, name, err, refused)
					}
					if refused != nil {
						continue
					}
				}
				read := write(t, target, n)
				if d := difference(predict(t, read, &read.Network), predict(t, source, n)); !(d <= 1e-5) {
					t.Errorf("%s without %s: logits differ by %g of the largest", ref, name, d)
				}
			}
		}
	}
}

// What config.json would have to say of a GGUF file beyond plain llama is not guessed, which is said before a search.
func TestFoldersOfGGUFAreRefused(t *testing.T) {
	for _, m := range architectures(t) {
		_, err := For("safetensors", open(t, filepath.Join(m.Ref, "model.gguf")))
		if err == nil || !strings.Contains(err.Error(), "begin with the model's Hugging Face folder") {
			t.Errorf("%s: %v", m.Ref, err)
		}
	}
}

// transformers loads the folders, and predicts what finch does.
func TestArchitecturesTransformersOracle(t *testing.T) {
	python := pythonWith(t, "transformers, torch")
	var names, folders []string
	var want [][]float32
	for _, m := range architectures(t) {
		target, err := For("safetensors", m)
		if err != nil {
			t.Fatal(err)
		}
		n := lossy(m)["a block and an MLP"]
		folder, _ := writeFolder(t, target, n)
		names, folders, want = append(names, m.Ref), append(folders, folder), append(want, predict(t, m, n))
	}
	got := transformersLogits(t, python, goldenIDs(), folders...)
	if len(got) != len(slices.Concat(want...)) {
		t.Fatalf("%d logits, want %d", len(got), len(slices.Concat(want...)))
	}
	for i, name := range names {
		d := difference(got[:len(want[i])], want[i])
		if got = got[len(want[i]):]; !(d <= 1e-5) {
			t.Errorf("%s: logits differ by %g of the largest", name, d)
		}
	}
}

// Every linear module of the folders is codes, which the library compressed-tensors decodes, or said to be none.
func TestArchitecturesCompressedTensorsOracle(t *testing.T) {
	python := pythonWith(t, "compressed_tensors, torch")
	pairs := []string{"-c", compareCompressed}
	for _, m := range architectures(t) {
		n := m.Network.Clone()
		for b := range n.Blocks {
			for _, k := range m.Kinds() {
				level := "bf16"
				if _, cols := m.Shape(k); cols%32 == 0 && (!k.Stacked() || m.ExpertMLP%32 == 0) {
					level = []string{"int4-g32", "int8-g32-sym"}[b%2]
				}
				n.Blocks[b].Layers[k] = compressed(t, m, b, k, level)
			}
		}
		format, err := Open("compressed-tensors", m, Provenance{})
		if err != nil {
			t.Fatal(err)
		}
		if m.Architecture == "gpt2" { // whose modules are transposed, and so kept in bf16
			if _, err := format.Files(n); err == nil {
				t.Error("transposed codes are written")
			}
			continue
		}
		for _, name := range []string{"compressed-tensors", "safetensors"} {
			format, err := Open(name, m, Provenance{})
			if err != nil {
				t.Fatal(err)
			}
			dir, _ := writeFolder(t, format, n)
			pairs = append(pairs, dir)
		}
	}
	if out, err := exec.Command(python, pairs...).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// Layers of a mixture are stored as one, whose experts are counted one by one.
func TestExpertsAreCounted(t *testing.T) {
	m := open(t, filepath.Join(goldenModels, "olmoe"))
	target, err := For("safetensors", m)
	if err != nil {
		t.Fatal(err)
	}
	n, _ := candidate(t, rand.New(rand.NewPCG(1, 0)), m, target, "q4_0", "sparse-0.60")
	if size, err := Size(target, n); err != nil || size != promised(t, target, n) {
		t.Errorf("%d bytes, promised were %d, %v", size, promised(t, target, n), err)
	}
}

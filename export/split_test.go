package export

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/finch-llm/finch/internal/testmodel"
	"github.com/finch-llm/finch/model"
	"github.com/finch-llm/finch/model/gguf"
)

// A model that comes in parts is the same model, and what is made of it the same file, as if it came whole.
func TestSplitSource(t *testing.T) {
	path := testmodel.GGUF(t, testmodel.Llama(4, 3, 64, 96, testmodel.Vocab))
	sameExport(t, open(t, path), open(t, split(t, path)))
}

func TestSplitSmolLM2(t *testing.T) {
	whole := testmodel.SmolLM2(t)
	program, prefix := llamaCpp(t, "llama-gguf-split"), filepath.Join(t.TempDir(), "smollm2")
	// The first part has the metadata alone.
	args := []string{"--split", "--split-max-tensors", "100", "--no-tensor-first-split", whole.Ref, prefix}
	if out, err := exec.Command(program, args...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	sameExport(t, whole, open(t, prefix+"-00004-of-00004.gguf"))
}

// split writes a GGUF file as two parts and names the second.
func split(t *testing.T, path string) string {
	t.Helper()
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	half := len(f.Tensors) / 2
	name := ""
	for i, tensors := range [][]gguf.TensorInfo{f.Tensors[:half], f.Tensors[half:]} {
		h := gguf.Header{Meta: []gguf.KV{
			{Key: "split.no", Value: gguf.ValueOf(uint16(i))},
			{Key: "split.count", Value: gguf.ValueOf(uint16(2))},
			{Key: "split.tensors.count", Value: gguf.ValueOf(int32(len(f.Tensors)))},
		}}
		if i == 0 {
			h.Meta = append(f.Meta[:len(f.Meta):len(f.Meta)], h.Meta...)
		}
		for _, info := range tensors {
			h.Tensors = append(h.Tensors, gguf.TensorSpec{Name: info.Name, Dims: info.Dims, Type: info.Type})
		}
		var b bytes.Buffer
		if err := gguf.Write(&b, h, func(i int, w io.Writer) error { _, err := w.Write(tensors[i].Data); return err }); err != nil {
			t.Fatal(err)
		}
		name = filepath.Join(filepath.Dir(path), fmt.Sprintf("model-%05d-of-00002.gguf", i+1))
		if err := os.WriteFile(name, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return name
}

// sameExport wants two models to be one, and to be written alike.
func sameExport(t *testing.T, a, b *model.Model) {
	t.Helper()
	if a.Hash != b.Hash {
		t.Errorf("%s is not the model that %s is: %.12s, %.12s", b.Ref, a.Ref, b.Hash, a.Hash)
	}
	var files [2][]byte
	for i, m := range []*model.Model{a, b} {
		target, err := For("gguf", m)
		if err != nil {
			t.Fatal(err)
		}
		files[i] = content(t, target, &m.Network)
	}
	if !bytes.Equal(files[0], files[1]) {
		t.Errorf("%s is written otherwise than %s", b.Ref, a.Ref)
	}
}

package safetensors

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestReadsWhatPythonWrote compares with what the PyPI package safetensors reads (tools/golden/safetensors_files.py).
func TestReadsWhatPythonWrote(t *testing.T) {
	text, err := os.ReadFile("testdata/dtypes.json")
	if err != nil {
		t.Fatal(err)
	}
	var want struct {
		Metadata map[string]string
		Tensors  map[string]struct {
			DType  DType
			Shape  []int
			SHA256 string
		}
	}
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	f, err := Open("testdata/dtypes.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if !maps.Equal(f.Metadata, want.Metadata) {
		t.Errorf("metadata %q, want %q", f.Metadata, want.Metadata)
	}
	if len(f.Tensors) != len(want.Tensors) {
		t.Errorf("%d tensors, want %d", len(f.Tensors), len(want.Tensors))
	}
	for name, w := range want.Tensors {
		got, ok := f.Tensor(name)
		if !ok {
			t.Errorf("%q is missing", name)
			continue
		}
		hash := sha256.Sum256(got.Data)
		if got.DType != w.DType || !slices.Equal(got.Shape, w.Shape) || hex.EncodeToString(hash[:]) != w.SHA256 {
			t.Errorf("%q is %s %d with other data, want %s %d", name, got.DType, got.Shape, w.DType, w.Shape)
		}
	}
}

// headerOf describes f for Write, in another order than that of the file.
func headerOf(f *File) (Header, []*Tensor) {
	h := Header{Metadata: f.Metadata}
	var tensors []*Tensor
	for i := range slices.Backward(f.Tensors) {
		t := &f.Tensors[i]
		h.Tensors = append(h.Tensors, TensorSpec{t.Name, t.DType, t.Shape})
		tensors = append(tensors, t)
	}
	return h, tensors
}

// rewrite writes f and checks that Size foretold the length.
func rewrite(t *testing.T, f *File) []byte {
	t.Helper()
	var b bytes.Buffer
	h, tensors := headerOf(f)
	if err := Write(&b, h, func(i int, w io.Writer) error {
		_, err := w.Write(tensors[i].Data)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if size, err := Size(h); err != nil || size != int64(b.Len()) {
		t.Errorf("Size is %d, %v; Write made %d bytes", size, err, b.Len())
	}
	return b.Bytes()
}

// TestWritesWhatPythonWrote writes what was read again: the bytes must be the same.
func TestWritesWhatPythonWrote(t *testing.T) {
	for _, name := range []string{"dtypes", "sharded/model-00001-of-00002", "sharded/model-00002-of-00002"} {
		want, err := os.ReadFile(filepath.Join("testdata", name+".safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		f, err := Parse(want, name)
		if err != nil {
			t.Fatal(err)
		}
		if got := rewrite(t, f); !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes differ from the %d that safetensors wrote:\n%q", name, len(got), len(want), got)
		}
	}
}

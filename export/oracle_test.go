package export

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/finch-llm/finch/internal/testmodel"
	"github.com/finch-llm/finch/kernels"
	"github.com/finch-llm/finch/model/gguf"
)

// readGGUF prints what the PyPI package gguf, of the llama.cpp project, decodes from a file.
const readGGUF = `
import hashlib, sys
import numpy as np
from gguf import GGUFReader
from gguf.quants import dequantize
r = GGUFReader(sys.argv[1])
print("general.file_type", r.get_field("general.file_type").contents())
for t in r.tensors:
    w = np.ascontiguousarray(dequantize(t.data, t.tensor_type), dtype="<f4")
    print(t.name, t.tensor_type.name.lower(), *t.shape, hashlib.sha256(w.tobytes()).hexdigest())
`

// pythonWith is a Python that has these packages; without one the test is skipped, saying so.
func pythonWith(t *testing.T, packages string) string {
	t.Helper()
	python := os.Getenv("FINCH_PYTHON")
	if python == "" {
		python = "python3"
	}
	if out, err := exec.Command(python, "-c", "import "+packages).CombinedOutput(); err != nil {
		t.Skipf("exported files are not read by PyPI's %s: %v: set FINCH_PYTHON to a Python that has it: %.200s", packages, err, out)
	}
	return python
}

// TestGGUFOracle has an exported file read by llama.cpp's own Python reader: names, types, shapes and every weight.
func TestGGUFOracle(t *testing.T) {
	python := pythonWith(t, "gguf")
	m := open(t, testmodel.Folder(t, testmodel.Llama(5, 3, 256, 256, testmodel.Vocab)))
	target, err := For("gguf", m)
	if err != nil {
		t.Fatal(err)
	}
	n, _ := candidate(t, rand.New(rand.NewPCG(7, 0)), m, target, slices.Concat(dense, sparse)...)
	drop(n, 1)
	path := filepath.Join(t.TempDir(), "model.gguf")
	file := content(t, target, n)
	if err := os.WriteFile(path, file, 0o644); err != nil {
		t.Fatal(err)
	}
	got, err := exec.Command(python, "-c", readGGUF, path).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, got)
	}
	f, err := gguf.Parse(file, path)
	if err != nil {
		t.Fatal(err)
	}
	number, _ := f.Uint("general.file_type")
	want := fmt.Appendf(nil, "general.file_type %d\n", number)
	for i := range f.Tensors {
		info := &f.Tensors[i]
		format, ok := info.Type.Format()
		if !ok {
			t.Fatalf("%s is stored as %s", info.Name, info.Type)
		}
		weights := make([]float32, info.Elements())
		kernels.UnpackBlocks(weights, format, info.Data)
		h := sha256.New()
		for _, w := range weights {
			h.Write(binary.LittleEndian.AppendUint32(nil, math.Float32bits(w)))
		}
		want = fmt.Appendf(want, "%s %s", info.Name, info.Type)
		for _, d := range info.Dims {
			want = fmt.Appendf(want, " %d", d)
		}
		want = fmt.Appendf(want, " %x\n", h.Sum(nil))
	}
	if !bytes.Equal(got, want) {
		t.Errorf("PyPI's gguf reads\n%s\nfinch wrote\n%s", got, want)
	}
}

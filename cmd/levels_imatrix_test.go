package cmd_test

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/finch-llm/finch/internal/testmodel"
	"github.com/finch-llm/finch/model/imatrix"
)

// Both forms hold the same, and are made again from the same.
func TestLevelsImatrix(t *testing.T) {
	dir := t.TempDir()
	var files []*imatrix.File
	for _, name := range []string{"i.gguf", "i.dat"} {
		path := filepath.Join(dir, name)
		if r := inProcess("levels", "imatrix", "builtin:finchling", "--context", "64", "--chunks", "3", "-o", path); r.code != 0 {
			t.Fatalf("exit code %d\n%s", r.code, r.stderr)
		}
		f, err := imatrix.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	now, before := files[0], files[1]
	if len(now.Matrices) != 12*7 || now.Chunks != 3 || now.ChunkSize != 64 || now.Matrices[0].Count != 192 {
		t.Errorf("%d matrices of %d chunks of %d tokens", len(now.Matrices), now.Chunks, now.ChunkSize)
	}
	for i, m := range now.Matrices {
		if o := before.Matrices[i]; o.Name != m.Name || math.Abs(o.Squares[7]-m.Squares[7]) > 1e-6*m.Squares[7] {
			t.Errorf("%s has %g, in the older form %s %g", m.Name, m.Squares[7], o.Name, o.Squares[7])
		}
	}
	for _, c := range [][]string{{}, {"-o", "x.gguf", "--context", "1"}, {"-o", "x.gguf", "--chunks", "-1"}, {"-o", "x.gguf", "--context", "1024"}} {
		inProcess(append([]string{"levels", "imatrix", "builtin:finchling"}, c...)...).fails(t, 2)
	}
}

// A model writes the text of an importance matrix itself, the same one each time.
func TestLevelsImatrixOfTheModelsOwnText(t *testing.T) {
	dir := t.TempDir()
	var files []string
	for _, threads := range []string{"1", "2"} {
		path := filepath.Join(dir, threads+".gguf")
		r := inProcess("levels", "imatrix", "builtin:finchling", "--data", "self", "--context", "16", "--chunks", "5", "--threads", threads, "-o", path)
		if r.code != 0 || !strings.Contains(r.stderr, "tokens written: 80 of 80") || !strings.Contains(r.stdout, "5 chunks of 16 tokens of self") {
			t.Fatalf("exit code %d\n%s%s", r.code, r.stdout, r.stderr)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, string(data))
	}
	if f, err := imatrix.Open(filepath.Join(dir, "1.gguf")); err != nil || files[0] != files[1] || f.Matrices[0].Count != 80 {
		t.Errorf("the matrices depend on the number of threads, or are not of 80 tokens: %v", err)
	}
	inProcess("levels", "imatrix", "builtin:finchling", "--data", "self", "--chunks", "0", "-o", "x.gguf").fails(t, 2, "--chunks 0")
}

// The importance matrix is llama.cpp's (tools/golden/smollm2_imatrix.py), up to its rounding of activations to 8 bits.
func TestImatrixOfSmolLM2(t *testing.T) {
	m := testmodel.SmolLM2(t)
	data, err := os.ReadFile("testdata/smollm2_imatrix.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Squares map[string][]float64
	}
	if err := json.Unmarshal(data, &golden); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "i.gguf")
	if r := inProcess("levels", "imatrix", m.Ref, "--chunks", "8", "-o", path); r.code != 0 {
		t.Fatalf("exit code %d\n%s", r.code, r.stderr)
	}
	f, err := imatrix.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(golden.Squares) != 4*m.Blocks {
		t.Errorf("%d matrices to compare with", len(golden.Squares))
	}
	for name, want := range golden.Squares {
		squares := f.Squares(name)
		var off, norm float64
		for i, w := range want {
			n, got := len(squares)/len(want), 0.0
			for _, s := range squares[i*n : (i+1)*n] {
				got += s / float64(n)
			}
			off += (got - w) * (got - w)
			norm += w * w
		}
		if !(off <= 0.02*0.02*norm) {
			t.Errorf("%s is off by %.2g of llama.cpp's", name, math.Sqrt(off/norm))
		}
	}
}

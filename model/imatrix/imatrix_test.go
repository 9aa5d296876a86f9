package imatrix

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

type golden struct {
	Datasets  []string
	Chunks    int
	ChunkSize int `json:"chunk_size"`
	Tokens    int
	Squares   map[string][]float64
}

func readGolden(t *testing.T) (g golden) {
	t.Helper()
	data, err := os.ReadFile("testdata/sample.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

func TestOpen(t *testing.T) {
	want := readGolden(t)
	for _, test := range []struct {
		name     string
		datasets []string
		size     int
		count    int
	}{
		{"sample.gguf", want.Datasets, want.ChunkSize, want.Tokens},
		{"sample.dat", want.Datasets[1:], 0, want.Chunks},
	} {
		t.Run(test.name, func(t *testing.T) {
			f, err := Open("testdata/" + test.name)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(f.Datasets, test.datasets) || f.Chunks != want.Chunks || f.ChunkSize != test.size {
				t.Errorf("datasets %q, %d chunks of %d", f.Datasets, f.Chunks, f.ChunkSize)
			}
			if len(f.Matrices) != len(want.Squares) {
				t.Errorf("%d matrices, want %d", len(f.Matrices), len(want.Squares))
			}
			for _, m := range f.Matrices {
				if m.Count != test.count {
					t.Errorf("%s is a mean over %d, want %d", m.Name, m.Count, test.count)
				}
				if !near(m.Squares, want.Squares[m.Name]) {
					t.Errorf("%s is %v, want %v", m.Name, m.Squares, want.Squares[m.Name])
				}
				if !slices.Equal(f.Squares(m.Name), m.Squares) {
					t.Errorf("%s is not found", m.Name)
				}
			}
			if s := f.Squares("blk.2.attn_q.weight"); s != nil {
				t.Errorf("found %v for a matrix that is not there", s)
			}
		})
	}
}

// near allows for the rounding of sums to float32.
func near(a, b []float64) bool {
	return slices.EqualFunc(a, b, func(x, y float64) bool { return math.Abs(x-y) <= 1e-6*math.Abs(y) })
}

func read(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestWrite(t *testing.T) {
	for _, name := range []string{"sample.gguf", "sample.dat"} {
		f, err := Open("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		for form, write := range map[string]func(io.Writer) error{"gguf": f.Write, "legacy": f.WriteLegacy} {
			t.Run(name+" as "+form, func(t *testing.T) {
				var b bytes.Buffer
				if err := write(&b); err != nil {
					t.Fatal(err)
				}
				if strings.HasSuffix(name, ".dat") && form == "legacy" && !bytes.Equal(b.Bytes(), read(t, name)) {
					t.Error("the bytes differ from those that were read")
				}
				again, err := Parse(b.Bytes(), "again")
				if err != nil {
					t.Fatal(err)
				}
				if again.Chunks != f.Chunks {
					t.Errorf("%d chunks, want %d", again.Chunks, f.Chunks)
				}
				for i, m := range f.Matrices {
					if got := again.Matrices[i]; got.Name != m.Name || !near(got.Squares, m.Squares) {
						t.Errorf("%v is read back as %v", m, got)
					}
				}
				if form == "gguf" && !reflect.DeepEqual(again, f) {
					t.Errorf("%+v is read back as %+v", f, again)
				}
			})
		}
	}
}

func TestWriteRefuses(t *testing.T) {
	good := func() *File {
		return &File{Chunks: 1, ChunkSize: 512, Matrices: []Matrix{{Name: "a", Count: 512, Squares: []float64{1, 2}}}}
	}
	for _, test := range []struct {
		name, message string
		spoil         func(f *File)
	}{
		{"nothing", "no matrices", func(f *File) { f.Matrices = nil }},
		{"negative chunks", "-1 chunks", func(f *File) { f.Chunks = -1 }},
		{"no inputs", "has 0 inputs", func(f *File) { f.Matrices[0].Squares = nil }},
		{"no tokens", "never seen", func(f *File) { f.Matrices[0].Count = 0 }},
		{"NaN", "NaN for the mean square of input 1", func(f *File) { f.Matrices[0].Squares[1] = math.NaN() }},
		{"negative", "-1 for the mean square of input 0", func(f *File) { f.Matrices[0].Squares[0] = -1 }},
		{"twice", `matrix "a" is there twice`, func(f *File) { f.Matrices = append(f.Matrices, f.Matrices[0]) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := good()
			test.spoil(f)
			for _, write := range []func(io.Writer) error{f.Write, f.WriteLegacy} {
				if err := write(io.Discard); err == nil || !strings.Contains(err.Error(), test.message) {
					t.Errorf("the error is %v, want one that says %q", err, test.message)
				}
			}
		})
	}
	if err := good().Write(io.Discard); err != nil {
		t.Error(err)
	}
}

package gguf

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// listing is what the PyPI package gguf reads from a file (tools/golden/gguf_files.py).
type listing struct {
	Alignment int
	Meta      []struct {
		Key   string
		Types []string
		Value any
	}
	Tensors []struct {
		Name   string
		Type   string
		Dims   []uint64
		Bytes  int
		At     int
		SHA256 string
	}
}

func readListing(t *testing.T, name string) listing {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var l listing
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&l); err != nil {
		t.Fatal(err)
	}
	return l
}

var goldenFiles = []string{"values", "tensors", "plain"}

func TestReadsWhatPythonWrote(t *testing.T) {
	for _, name := range goldenFiles {
		t.Run(name, func(t *testing.T) {
			want := readListing(t, name)
			path := filepath.Join("testdata", name+".gguf")
			whole, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			f, err := Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if f.Version != 3 || f.Alignment != want.Alignment {
				t.Errorf("version %d, alignment %d", f.Version, f.Alignment)
			}

			var order []string
			for _, kv := range f.Meta {
				if kv.Key != "test.nested" {
					order = append(order, kv.Key)
				}
			}
			if len(order) != len(want.Meta) {
				t.Fatalf("%d keys, want %d", len(order), len(want.Meta))
			}
			for i, w := range want.Meta {
				if order[i] != w.Key {
					t.Fatalf("key %d is %s, want %s", i, order[i], w.Key)
				}
				v, ok := f.Get(w.Key)
				if !ok || !sameValue(v, w.Types, w.Value) {
					t.Errorf("%s is %s %v, want %v %v", w.Key, v.Type(), v, w.Types, w.Value)
				}
			}

			if len(f.Tensors) != len(want.Tensors) {
				t.Fatalf("%d tensors, want %d", len(f.Tensors), len(want.Tensors))
			}
			for i, w := range want.Tensors {
				got := f.Tensors[i]
				hash := sha256.Sum256(got.Data)
				if got.Name != w.Name || got.Type.String() != w.Type || len(got.Data) != w.Bytes || hex.EncodeToString(hash[:]) != w.SHA256 {
					t.Errorf("tensor %d is %s %s with %d bytes, want %s %s with %d bytes", i, got.Name, got.Type, len(got.Data), w.Name, w.Type, w.Bytes)
				}
				if !bytes.Equal(got.Data, whole[w.At:w.At+w.Bytes]) {
					t.Errorf("%s: the data is not that at byte %d", w.Name, w.At)
				}
				if len(got.Dims) != len(w.Dims) {
					t.Errorf("%s: dimensions %d, want %d", w.Name, got.Dims, w.Dims)
					continue
				}
				for d := range w.Dims {
					if got.Dims[d] != w.Dims[d] {
						t.Errorf("%s: dimensions %d, want %d", w.Name, got.Dims, w.Dims)
					}
				}
			}
		})
	}
}

// sameValue compares v with a value of a listing.
func sameValue(v Value, types []string, want any) bool {
	if v.Type().String() != types[0] {
		return false
	}
	switch want := want.(type) {
	case []any:
		if v.Len() != len(want) {
			return false
		}
		for i, e := range v.All() {
			if !sameValue(e, types[1:], want[i]) {
				return false
			}
		}
		return true
	case string:
		s, ok := v.Text()
		return ok && s == want
	case bool:
		b, ok := v.Bool()
		return ok && b == want
	case json.Number:
		if x, ok := v.Float(); ok {
			w, err := want.Float64()
			return err == nil && x == w
		}
		if n, ok := v.Int(); ok {
			return strconv.FormatInt(n, 10) == want.String()
		}
		n, ok := v.Uint()
		return ok && strconv.FormatUint(n, 10) == want.String()
	}
	return false
}

func TestReadsNestedArray(t *testing.T) {
	f, err := Open("testdata/values.gguf")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	v, ok := f.Get("test.nested")
	if !ok || v.String() != "[[1, 2, 3], [4]]" {
		t.Errorf("test.nested is %v, %v", v, ok)
	}
}

// TestWritesWhatPythonWrote writes what was read again: the bytes must be the same.
func TestWritesWhatPythonWrote(t *testing.T) {
	for _, name := range goldenFiles {
		t.Run(name, func(t *testing.T) {
			want, err := os.ReadFile(filepath.Join("testdata", name+".gguf"))
			if err != nil {
				t.Fatal(err)
			}
			f, err := Parse(want, name)
			if err != nil {
				t.Fatal(err)
			}
			if got := rewrite(t, f); !bytes.Equal(got, want) {
				t.Errorf("%d bytes differ from the %d that gguf.GGUFWriter wrote", len(got), len(want))
			}
		})
	}
}

// headerOf describes f for Write.
func headerOf(f *File) Header {
	h := Header{Meta: f.Meta}
	for _, t := range f.Tensors {
		h.Tensors = append(h.Tensors, TensorSpec{t.Name, t.Dims, t.Type})
	}
	return h
}

// rewrite writes f and checks that Size foretold the length.
func rewrite(t *testing.T, f *File) []byte {
	t.Helper()
	var b bytes.Buffer
	h := headerOf(f)
	if err := Write(&b, h, func(i int, w io.Writer) error {
		_, err := w.Write(f.Tensors[i].Data)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if size, err := Size(h); err != nil || size != int64(b.Len()) {
		t.Errorf("Size is %d, %v; Write made %d bytes", size, err, b.Len())
	}
	return b.Bytes()
}

func TestReadsVersion2(t *testing.T) {
	data, err := os.ReadFile("testdata/values.gguf")
	if err != nil {
		t.Fatal(err)
	}
	data[4] = 2
	f, err := Parse(data, "v2")
	if err != nil {
		t.Fatal(err)
	}
	if f.Version != 2 || len(f.Tensors) != 1 {
		t.Errorf("version %d, %d tensors", f.Version, len(f.Tensors))
	}
}

func TestRefusesBigEndian(t *testing.T) {
	f, err := Open("testdata/big-endian.gguf")
	if err == nil {
		f.Close()
		t.Fatal("no error")
	}
	if !strings.Contains(err.Error(), "big-endian (version 3)") {
		t.Error(err)
	}
}

package gguf

import (
	"bytes"
	"io"
	"os"
	"testing"

	"github.com/finch-llm/finch/internal/damaged"
)

// FuzzParse: no input panics, takes more memory than allowed, or is accepted without being whole. What is accepted can be
// written again and read with the same content.
func FuzzParse(f *testing.F) {
	for _, name := range goldenFiles {
		data, err := os.ReadFile("testdata/" + name + ".gguf")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add(sample(f))
	for _, c := range corruptFiles {
		f.Add(c.data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var file *File
		var err error
		if n := damaged.Allocated(func() { file, err = Parse(data, "fuzz") }); n > uint64(4*len(data)+16<<20) {
			t.Fatalf("allocated %d bytes for a file of %d", n, len(data))
		}
		if err != nil {
			return
		}
		for _, kv := range file.Meta {
			if v, ok := file.Get(kv.Key); !ok || !v.Equal(kv.Value) {
				t.Fatalf("key %q is not found", kv.Key)
			}
			_ = kv.Value.String()
			kv.Value.Strings()
			kv.Value.Ints()
			kv.Value.Floats()
		}
		h := headerOf(file)
		size, err := Size(h)
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		if size > 1<<24 {
			return // a huge alignment
		}
		var b bytes.Buffer
		if err := Write(&b, h, func(i int, w io.Writer) error {
			_, err := w.Write(file.Tensors[i].Data)
			return err
		}); err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		if size != int64(b.Len()) {
			t.Fatalf("Size is %d, Write made %d bytes", size, b.Len())
		}
		again, err := Parse(b.Bytes(), "fuzz again")
		if err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
		for i, want := range file.Tensors {
			if got := again.Tensors[i]; got.Name != want.Name || got.Type != want.Type || !bytes.Equal(got.Data, want.Data) {
				t.Fatalf("tensor %q has changed", want.Name)
			}
		}
	})
}

package safetensors

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/finch-llm/finch/internal/damaged"
)

// FuzzParse: no input panics, takes more memory than allowed, or is accepted without being whole. What is accepted has a
// header that encoding/json reads too, and can be written again and read with the same content.
func FuzzParse(f *testing.F) {
	for _, name := range []string{"dtypes", "sharded/model-00001-of-00002"} {
		data, err := os.ReadFile(filepath.Join("testdata", name+".safetensors"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
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
		total := 0
		for i := range file.Tensors {
			total += len(file.Tensors[i].Data)
		}
		header := data[lengthBytes : len(data)-total]
		var members map[string]json.RawMessage
		if err := json.Unmarshal(header, &members); err != nil {
			t.Fatalf("accepted a header that encoding/json refuses: %v", err)
		}
		delete(members, metadataKey)
		if len(members) != len(file.Tensors) {
			t.Fatalf("%d tensors, encoding/json finds %d", len(file.Tensors), len(members))
		}
		h, tensors := headerOf(file)
		var b bytes.Buffer
		if err := Write(&b, h, func(i int, w io.Writer) error {
			_, err := w.Write(tensors[i].Data)
			return err
		}); err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		again, err := Parse(b.Bytes(), "fuzz again")
		if err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
		for _, want := range tensors {
			if got, ok := again.Tensor(want.Name); !ok || got.DType != want.DType || !bytes.Equal(got.Data, want.Data) {
				t.Fatalf("tensor %q has changed", want.Name)
			}
		}
	})
}

// FuzzParseIndex: no input panics, and what is accepted is JSON.
func FuzzParseIndex(f *testing.F) {
	data, err := os.ReadFile("testdata/sharded/" + IndexName)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"metadata":{"x":[{"}":null}]},"weight_map":{"a":"1"},"z":true}`))
	f.Add([]byte(`{"weight_map":{"a":"../1"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		err := parseIndex(data, "fuzz", func(_, shard string) error {
			if filepath.Base(shard) != shard {
				t.Fatalf("shard %q leads out of the folder", shard)
			}
			return nil
		})
		if err == nil && !json.Valid(data) {
			t.Fatal("accepted what encoding/json refuses")
		}
	})
}

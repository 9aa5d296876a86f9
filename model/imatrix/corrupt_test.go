package imatrix

import (
	"bytes"
	"encoding/binary"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/finch-llm/finch/internal/damaged"
	"github.com/finch-llm/finch/model/gguf"
)

// oneMatrix is a GGUF file with the given sums and counts of the matrix "a".
func oneMatrix(sums, counts []float32, kind gguf.TensorType, keys ...gguf.KV) []byte {
	h := gguf.Header{Meta: keys}
	tensors := [][]float32{}
	add := func(name string, values []float32) {
		if values != nil {
			h.Tensors = append(h.Tensors, gguf.TensorSpec{Name: name, Type: kind, Dims: []uint64{uint64(len(values))}})
			tensors = append(tensors, values)
		}
	}
	add("a.in_sum2", sums)
	add("a.counts", counts)
	var b bytes.Buffer
	if err := gguf.Write(&b, h, func(i int, w io.Writer) error { return binary.Write(w, binary.LittleEndian, tensors[i]) }); err != nil {
		panic(err)
	}
	return b.Bytes()
}

var allKeys = []gguf.KV{
	{Key: datasetsKey, Value: gguf.ArrayOf([]string{"text"})},
	{Key: chunksKey, Value: gguf.ValueOf(uint32(1))},
	{Key: chunkSizeKey, Value: gguf.ValueOf(uint32(512))},
}

// numbers are little-endian int32.
func numbers(n ...int32) (data []byte) {
	for _, v := range n {
		data = binary.LittleEndian.AppendUint32(data, uint32(v))
	}
	return data
}

var one = int32(math.Float32bits(1))

var corruptFiles = []struct {
	name, message string
	data          []byte
}{
	{"empty", "ends before the number of matrices", nil},
	{"no matrices", "no matrices in it", numbers(0)},
	{"text", "do not fit", []byte("Now is the winter of our discontent")},
	{"negative matrices", "-1 matrices do not fit", numbers(-1)},
	{"2^31 matrices", "do not fit", numbers(math.MaxInt32, 0)},
	{"long name", "100 bytes of a name do not fit", numbers(1, 100, 1, 1, one)},
	{"many inputs", `matrix "": 2 inputs do not fit`, numbers(1, 0, 1, 2, one)},
	{"cut short", "ends before the number of inputs", append(numbers(1, 8), "abcdefgh\x01\x00\x00\x00"...)},
	{"infinite", "+Inf for the mean square of input 0", numbers(1, 0, 1, 1, int32(math.Float32bits(float32(math.Inf(1)))))},
	{"twice", "is there twice", numbers(2, 0, 1, 1, one, 0, 1, 1, one)},
	{"rest", "1 bytes are left", append(numbers(1, 0, 1, 1, one, 1, 0), 0)},
	{"damaged GGUF", "cut short", []byte("GGUF\x03\x00\x00\x00")},
	{"a model", "it is no importance matrix", oneMatrix([]float32{1}, []float32{1}, gguf.F32)},
	{"no counts", "sums without counts", oneMatrix([]float32{1}, nil, gguf.F32, allKeys...)},
	{"no sums", "no matrices in it", oneMatrix(nil, []float32{1}, gguf.F32, allKeys...)},
	{"integers", "not f32", oneMatrix([]float32{1}, []float32{1}, gguf.I32, allKeys...)},
	{"experts", "one of 2 experts", oneMatrix([]float32{1, 1}, []float32{1, 1}, gguf.F32, allKeys...)},
	{"never seen", "never seen", oneMatrix([]float32{1}, []float32{0}, gguf.F32, allKeys...)},
	{"NaN", "NaN for the mean square of input 1", oneMatrix([]float32{1, float32(math.NaN())}, []float32{1}, gguf.F32, allKeys...)},
}

func TestParseRefuses(t *testing.T) {
	for _, c := range corruptFiles {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse(c.data, "corrupt")
			if err == nil || !strings.Contains(err.Error(), c.message) || !strings.HasPrefix(err.Error(), "corrupt: ") {
				t.Errorf("the error is %v, want one that says %q", err, c.message)
			}
		})
	}
}

func TestOldestLegacyFiles(t *testing.T) {
	f, err := Parse(numbers(1, 0, 0, 1, one), "no chunks, no end")
	if err != nil {
		t.Fatal(err)
	}
	if m := f.Matrices[0]; m.Count != 1 || m.Squares[0] != 1 {
		t.Errorf("read %+v", m)
	}
}

// TestMemory: the legacy file that takes most memory for its size stays below 4 × size + 16 MiB.
func TestMemory(t *testing.T) {
	const n = 1 << 18
	data := numbers(n)
	for i := range int32(n) {
		data = append(data, numbers(3)...)
		data = append(data, byte(i), byte(i>>8), byte(i>>16)) // its name
		data = append(data, numbers(1, 1, one)...)
	}
	var err error
	if got := damaged.Allocated(func() { _, err = Parse(data, "small matrices") }); got > uint64(4*len(data)+16<<20) {
		t.Errorf("allocated %d bytes for a file of %d", got, len(data))
	}
	if err != nil {
		t.Error(err)
	}
}

// FuzzParse: no input panics or takes more memory than allowed. What is accepted can be written in both forms and read again.
func FuzzParse(f *testing.F) {
	f.Add(read(f, "sample.gguf"))
	f.Add(read(f, "sample.dat"))
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
		for form, write := range map[string]func(io.Writer) error{"gguf": file.Write, "legacy": file.WriteLegacy} {
			var b bytes.Buffer
			if err := write(&b); err != nil {
				continue // a name that GGUF does not allow, or a sum that float32 does not hold
			}
			again, err := Parse(b.Bytes(), "fuzz again")
			if err != nil {
				t.Fatalf("what was written as %s cannot be read: %v", form, err)
			}
			if len(again.Matrices) != len(file.Matrices) {
				t.Fatalf("%d matrices have become %d as %s", len(file.Matrices), len(again.Matrices), form)
			}
		}
	})
}

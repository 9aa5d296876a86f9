package safetensors

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/finch-llm/finch/internal/damaged"
)

// raw is a file with this header and n bytes of data.
func raw(header string, n int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	b = append(b, header...)
	return append(b, make([]byte, n)...)
}

// lengthOnly is a file that claims a header of n bytes and holds few.
func lengthOnly(n uint64) []byte {
	return append(binary.LittleEndian.AppendUint64(nil, n), "{} "...)
}

func entry(name, dtype, shape, offsets string) string {
	return fmt.Sprintf(`%q:{"dtype":%q,"shape":%s,"data_offsets":%s}`, name, dtype, shape, offsets)
}

// corruptFiles has one file for each way in which a safetensors file can be wrong, and parts of the message that must be
// given.
var corruptFiles = []struct {
	name string
	data []byte
	want []string
}{
	{"empty file", nil, []string{"header (byte 0)", "0 bytes"}},
	{"header length cut", make([]byte, 7), []string{"header (byte 0)", "7 bytes"}},
	{"header of no bytes", make([]byte, 8), []string{"header (byte 8)", `does not start with "{"`}},
	{"header over 100 MB", lengthOnly(100_000_001), []string{"100000001 bytes", "more than 100000000"}},
	{"header of 2^64-1", lengthOnly(1<<64 - 1), []string{"18446744073709551615 bytes"}},
	{"header past the end", lengthOnly(4), []string{"header of 4 bytes is longer than the file of 11", "cut short"}},
	{"header starts with a space", raw(" {}", 0), []string{"byte 8", `does not start with "{"`}},
	{"header a list", raw("[]", 0), []string{`does not start with "{"`}},
	{"not UTF-8", raw("{\"a\xff\":1}", 0), []string{"byte 11", "not UTF-8"}},
	{"not JSON", raw("{hello}", 0), []string{"byte 9", `'h' where a string should be`}},
	{"JSON cut", raw(`{"a":{"dtype":"F32"`, 0), []string{`tensor "a"`, "JSON ends"}},
	{"JSON cut in a string", raw(`{"a`, 0), []string{"string has no end"}},
	{"JSON with a bad escape", raw(`{"\q":1}`, 0), []string{"byte 9", "not JSON"}},
	{"JSON with a raw line feed", raw("{\"a\nb\":1}", 0), []string{"byte 11", "control character"}},
	{"JSON with a comma too many", raw(`{`+entry("a", "U8", "[1]", "[0,1]")+`,}`, 1), []string{"header", `'}' where a string`}},
	{"JSON with a NUL", raw("{\x00}", 0), []string{`'\x00' where a string`}},
	{"text after the JSON", raw(`{} {}`, 0), []string{"byte 11", "after the end of the JSON"}},
	{"tensor no object", raw(`{"a":1}`, 0), []string{`tensor "a" (byte 13)`, "'1' where an object should be"}},

	{"hole at the start", raw(`{`+entry("a", "U8", "[2]", "[1,3]")+`}`, 3), []string{`tensor "a"`, "bytes 0 to 1", "belong to none"}},
	{"hole between", raw(`{`+entry("b", "U8", "[1]", "[3,4]")+`,`+entry("a", "U8", "[2]", "[0,2]")+`}`, 4), []string{`tensor "b" (byte 9)`, "bytes 2 to 3"}},
	{"overlap", raw(`{`+entry("a", "U8", "[2]", "[0,2]")+`,`+entry("b", "U8", "[2]", "[1,3]")+`}`, 3), []string{`tensor "b"`, `overlap those of tensor "a"`}},
	{"same place", raw(`{`+entry("a", "U8", "[2]", "[0,2]")+`,`+entry("b", "U8", "[2]", "[0,2]")+`}`, 2), []string{`tensor "b"`, `overlap those of tensor "a"`}},
	{"trailing bytes", raw(`{`+entry("a", "U8", "[2]", "[0,2]")+`}`, 5), []string{"data (byte ", "3 bytes after the last tensor"}},
	{"trailing bytes without tensors", raw(`{}`, 1), []string{"data (byte 10)", "1 bytes after"}},
	{"data cut", raw(`{`+entry("a", "U8", "[2]", "[0,2]")+`}`, 1), []string{`tensor "a"`, "past the end of the 1 bytes", "cut short"}},
	{"offsets backwards", raw(`{`+entry("a", "U8", "[2]", "[2,0]")+`}`, 2), []string{`tensor "a"`, "[2, 0] run backwards"}},
	{"offsets unlike the size", raw(`{`+entry("a", "F32", "[2]", "[0,9]")+`}`, 9), []string{`tensor "a"`, "takes 8 bytes", "hold 9"}},
	{"one offset", raw(`{`+entry("a", "U8", "[2]", "[2]")+`}`, 2), []string{`tensor "a"`, "1 numbers, not 2"}},
	{"three offsets", raw(`{`+entry("a", "U8", "[2]", "[0,1,2]")+`}`, 2), []string{`tensor "a"`, "3 numbers, not 2"}},
	{"offset above 63 bits", raw(`{`+entry("a", "U8", "[2]", "[0,9223372036854775808]")+`}`, 2), []string{`tensor "a"`, "above 9223372036854775807"}},
	{"offset negative", raw(`{`+entry("a", "U8", "[2]", "[-2,0]")+`}`, 2), []string{`tensor "a"`, "'-' where a whole number"}},
	{"offset fraction", raw(`{`+entry("a", "U8", "[2]", "[0,2.0]")+`}`, 2), []string{`tensor "a"`, "not written as a whole number"}},
	{"offset with leading zero", raw(`{`+entry("a", "U8", "[2]", "[00,2]")+`}`, 2), []string{`tensor "a"`, "leading zero"}},
	{"shape negative", raw(`{`+entry("a", "U8", "[-1]", "[0,1]")+`}`, 1), []string{`tensor "a"`, "'-' where a whole number"}},
	{"shape with text", raw(`{`+entry("a", "U8", `["2"]`, "[0,2]")+`}`, 2), []string{`tensor "a"`, `'"' where a whole number`}},
	{"shape of 65 dimensions", raw(`{`+entry("a", "U8", "["+strings.Repeat("1,", 64)+"1]", "[0,1]")+`}`, 1), []string{`tensor "a"`, "more than 64 dimensions"}},
	{"element overflow", raw(`{`+entry("a", "U8", "[4294967296,4294967296]", "[0,0]")+`}`, 0), []string{`tensor "a"`, "more elements than 64 bits"}},
	{"byte overflow", raw(`{`+entry("a", "F64", "[4611686018427387904]", "[0,0]")+`}`, 0), []string{`tensor "a"`, "more bits than 64 bits"}},
	{"half a byte", raw(`{`+entry("a", "F4", "[3]", "[0,1]")+`}`, 1), []string{`tensor "a"`, "whole byte"}},
	{"dtype unknown", raw(`{`+entry("a", "Q4_K", "[2]", "[0,2]")+`}`, 2), []string{`tensor "a"`, `unknown dtype "Q4_K"`}},
	{"dtype a number", raw(`{"a":{"dtype":3}}`, 0), []string{`tensor "a"`, "'3' where a string"}},

	{"tensor twice", raw(`{`+entry("a", "U8", "[1]", "[0,1]")+`,`+entry("a", "U8", "[1]", "[1,2]")+`}`, 2), []string{`tensor "a" (byte 61)`, "same name"}},
	{"tensor twice, once escaped", raw(`{`+entry("a", "U8", "[1]", "[0,1]")+`,"\u0061":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}`, 2), []string{`tensor "a"`, "same name"}},
	{"shape twice", raw(`{"a":{"dtype":"U8","shape":[1],"shape":[2],"data_offsets":[0,2]}}`, 2), []string{`tensor "a" (byte 39)`, "key shape is there twice"}},
	{"shape missing", raw(`{"a":{"dtype":"U8","data_offsets":[0,2]}}`, 2), []string{`tensor "a"`, "is missing"}},
	{"unknown key", raw(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2],"codec":"zip"}}`, 2), []string{`tensor "a"`, `unknown key "codec"`}},
	{"metadata twice", raw(`{"__metadata__":{},"__metadata__":{}}`, 0), []string{"__metadata__ (byte 27)", "twice"}},
	{"metadata key twice", raw(`{"__metadata__":{"a":"1","a":"2"}}`, 0), []string{"__metadata__", `key "a" is there twice`}},
	{"metadata no text", raw(`{"__metadata__":{"a":1}}`, 0), []string{"__metadata__", "'1' where a string"}},
	{"metadata null", raw(`{"__metadata__":null}`, 0), []string{"__metadata__", "'n' where an object"}},
}

func TestCorruptFiles(t *testing.T) {
	messages := make(map[string]string)
	for _, c := range corruptFiles {
		t.Run(c.name, func(t *testing.T) {
			f, err := Parse(c.data, "bad.safetensors")
			if err == nil {
				t.Fatalf("accepted, with %d tensors", len(f.Tensors))
			}
			message := err.Error()
			if !strings.HasPrefix(message, "bad.safetensors: ") || strings.ContainsAny(message, "\n\x00") || len(message) > 400 {
				t.Errorf("message: %q", message)
			}
			for _, part := range c.want {
				if !strings.Contains(message, part) {
					t.Errorf("message %q lacks %q", message, part)
				}
			}
			messages[c.name] = message
		})
	}
	damaged.Check(t, "../../docs/reliability.md", "safetensors", 12, messages)
}

func TestGoodFiles(t *testing.T) {
	for _, c := range []struct {
		name string
		data []byte
		want int
	}{
		{"no tensors", raw(`{}      `, 0), 0},
		{"white space", raw("{ \"a\" :\t{ \"shape\" : [ 1 , 2 ] ,\r\n \"dtype\":\"U8\",\"data_offsets\":[ 0 , 2 ]}}\n", 2), 1},
		{"out of order", raw(`{`+entry("b", "U8", "[1]", "[2,3]")+`,`+entry("a", "U8", "[2]", "[0,2]")+`}`, 3), 2},
		{"empty between", raw(`{`+entry("b", "U8", "[1]", "[2,3]")+`,`+entry("e", "F32", "[0,7]", "[2,2]")+`,`+entry("a", "U8", "[2]", "[0,2]")+`}`, 3), 3},
		{"packed fours", raw(`{`+entry("a", "F4", "[2,3]", "[0,3]")+`}`, 3), 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, err := Parse(c.data, "good")
			if err != nil {
				t.Fatal(err)
			}
			if len(f.Tensors) != c.want {
				t.Errorf("%d tensors, want %d", len(f.Tensors), c.want)
			}
			for i := range f.Tensors {
				got, ok := f.Tensor(f.Tensors[i].Name)
				if size, err := TensorSize(got.DType, got.Shape); !ok || err != nil || size != int64(len(got.Data)) {
					t.Errorf("%+v: %d bytes, %v", got, size, err)
				}
			}
		})
	}
}

// TestTruncatedEverywhere cuts a good file at every byte.
func TestTruncatedEverywhere(t *testing.T) {
	whole := raw(`{`+entry("a", "U8", "[2]", "[0,2]")+`,"__metadata__":{"format":"pt"}}`, 2)
	if _, err := Parse(whole, "whole"); err != nil {
		t.Fatal(err)
	}
	for n := range len(whole) {
		if _, err := Parse(whole[:n], "cut"); err == nil {
			t.Errorf("cut to %d of %d bytes: no error", n, len(whole))
		}
	}
}

package gguf

import (
	"bytes"
	"encoding/binary"
	"math"
	"strings"
	"testing"

	"github.com/finch-llm/finch/internal/damaged"
)

// raw builds files that Write refuses to make.
type raw struct {
	version       uint32
	tensors, keys uint64
	body          []byte // all after the counts
}

func (r raw) bytes() []byte {
	b := binary.LittleEndian.AppendUint32([]byte("GGUF"), r.version)
	b = binary.LittleEndian.AppendUint64(b, r.tensors)
	b = binary.LittleEndian.AppendUint64(b, r.keys)
	return append(b, r.body...)
}

func rawKV(key string, kind ValueType, value []byte) []byte {
	b := appendString(nil, key)
	b = binary.LittleEndian.AppendUint32(b, uint32(kind))
	return append(b, value...)
}

func rawInfo(name string, dims []uint64, kind TensorType, offset uint64) []byte {
	b := appendString(nil, name)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(dims)))
	for _, d := range dims {
		b = binary.LittleEndian.AppendUint64(b, d)
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(kind))
	return binary.LittleEndian.AppendUint64(b, offset)
}

// rawKeys is a file with these entries and none of tensors.
func rawKeys(entries ...[]byte) []byte {
	return raw{version: 3, keys: uint64(len(entries)), body: bytes.Join(entries, nil)}.bytes()
}

// rawTensors is a file with these infos and 256 bytes of data.
func rawTensors(infos ...[]byte) []byte {
	b := raw{version: 3, tensors: uint64(len(infos)), body: bytes.Join(infos, nil)}.bytes()
	b = append(b, make([]byte, padding(int64(len(b)), DefaultAlignment))...)
	return append(b, make([]byte, 256)...)
}

func u32(n uint32) []byte { return binary.LittleEndian.AppendUint32(nil, n) }
func u64(n uint64) []byte { return binary.LittleEndian.AppendUint64(nil, n) }

func concat(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// nested is the encoding of an array in depth arrays of one element each.
func nested(depth int) []byte {
	var b []byte
	for range depth {
		b = appendArrayHeader(b, Array, 1)
	}
	return appendArrayHeader(b, Uint8, 0)
}

// corruptFiles has one file for each way in which a GGUF file can be wrong, and parts of the message that must be given.
var corruptFiles = []struct {
	name string
	data []byte
	want []string
}{
	{"empty file", nil, []string{"header", "no GGUF file"}},
	{"magic", []byte("GGML\x03\x00\x00\x00"), []string{"header", `starts with "GGML"`}},
	{"header cut", []byte("GGUF\x03\x00\x00\x00\x00"), []string{"header", "cut short"}},
	{"version 0", raw{version: 0}.bytes(), []string{"byte 4", "version 0 is not known"}},
	{"version 1", raw{version: 1}.bytes(), []string{"byte 4", "version 1 is no longer in use"}},
	{"version of the future", raw{version: 4}.bytes(), []string{"version 4 is not known"}},
	{"big-endian", raw{version: 3 << 24}.bytes(), []string{"big-endian (version 3)", "gguf_convert_endian.py"}},
	{"tensor count -1", raw{version: 3, tensors: math.MaxUint64}.bytes(), []string{"byte 8", "18446744073709551615 tensors"}},
	{"tensor count huge", raw{version: 3, tensors: 1 << 40}.bytes(), []string{"byte 8", "1099511627776 tensors"}},
	{"key count -1", raw{version: 3, keys: math.MaxUint64}.bytes(), []string{"byte 16", "18446744073709551615 keys"}},
	{"key count huge", raw{version: 3, keys: 1 << 40, body: make([]byte, 25)}.bytes(), []string{"byte 16", "1099511627776 keys"}},
	{"more keys than follow", raw{version: 3, keys: 2, body: concat(rawKV("one", Uint8, []byte{1}), make([]byte, 13))}.bytes(), []string{"key number 2", "byte 40", "empty"}},

	{"key empty", rawKeys(rawKV("", Uint64, u64(1))), []string{"key number 1 (byte 24)", "the key is empty"}},
	{"key too long", rawKeys(rawKV(strings.Repeat("k", 1<<16), Uint8, []byte{1})), []string{"key number 1", "65536 bytes"}},
	{"key not UTF-8", rawKeys(rawKV("k\xff", Uint8, []byte{1})), []string{"key number 1", "not UTF-8"}},
	{"key past the end", rawKeys(concat(u64(1<<63), make([]byte, 32))), []string{"key number 1 (byte 24)", "9223372036854775808 bytes is longer"}},
	{"key duplicate", rawKeys(rawKV("general.name", Uint8, []byte{1}), rawKV("b", Uint8, []byte{1}), rawKV("general.name", Uint8, []byte{2})),
		[]string{`key "general.name" (byte 63)`, "same name"}},
	{"value type unknown", rawKeys(rawKV("k", 13, []byte{1})), []string{`key "k" (byte 33)`, "unknown value type 13"}},
	{"value cut", rawKeys(rawKV("kk", Uint64, make([]byte, 7))), []string{`key "kk"`, "cut short"}},
	{"bool of 2", rawKeys(rawKV("k", Bool, []byte{2})), []string{`key "k"`, "a bool is 2"}},
	{"string past the end", rawKeys(rawKV("k", String, u64(1))), []string{`key "k"`, "string of 1 bytes", "0 bytes left"}},
	{"string huge", rawKeys(rawKV("k", String, u64(math.MaxUint64))), []string{`key "k"`, "18446744073709551615 bytes"}},
	{"array cut", rawKeys(rawKV("k", Array, u32(uint32(Uint8)))), []string{`key "k"`, "cut short"}},
	{"array of unknown type", rawKeys(rawKV("k", Array, concat(u32(99), u64(0)))), []string{`key "k"`, "unknown value type 99"}},
	{"array of 2^63 numbers", rawKeys(rawKV("k", Array, concat(u32(uint32(Int64)), u64(1<<63)))), []string{`key "k"`, "9223372036854775808 elements (int64)"}},
	{"array of 2^62 strings", rawKeys(rawKV("k", Array, concat(u32(uint32(String)), u64(1<<62), make([]byte, 64)))), []string{`key "k"`, "(string)"}},
	{"array with a bad string", rawKeys(rawKV("k", Array, concat(u32(uint32(String)), u64(2), appendString(nil, "a"), u64(77)))),
		[]string{`key "k"`, "element 1 of 2", "77 bytes"}},
	{"array with a bad bool", rawKeys(rawKV("k", Array, concat(u32(uint32(Bool)), u64(2), []byte{1, 9}))), []string{`key "k"`, "element 1 of 2", "bool is 9"}},
	{"arrays nested deeply", rawKeys(rawKV("k", Array, nested(100))), []string{`key "k"`, "nested more than 4 deep"}},

	{"alignment of the wrong type", rawKeys(rawKV("general.alignment", Uint64, u64(32))), []string{`key "general.alignment"`, "a uint64, not a uint32"}},
	{"alignment zero", rawKeys(rawKV("general.alignment", Uint32, u32(0))), []string{`key "general.alignment"`, "alignment 0 is not a power of two"}},
	{"alignment no power of two", rawKeys(rawKV("general.alignment", Uint32, u32(48))), []string{`key "general.alignment"`, "alignment 48"}},
	{"alignment too small", rawKeys(rawKV("general.alignment", Uint32, u32(4))), []string{`key "general.alignment"`, "alignment 4"}},
	{"alignment too large", rawKeys(rawKV("general.alignment", Uint32, u32(1<<31))), []string{`key "general.alignment"`, "alignment 2147483648"}},

	{"tensor info cut", raw{version: 3, tensors: 1, body: rawInfo("abc", []uint64{1}, F32, 0)[:30]}.bytes(), []string{`tensor "abc"`, "cut short"}},
	{"tensor name empty", rawTensors(rawInfo("", []uint64{1}, F32, 0)), []string{"tensor number 1", "name is empty"}},
	{"tensor name too long", rawTensors(rawInfo(strings.Repeat("t", 64), []uint64{1}, F32, 0)), []string{"tensor number 1 (byte 24)", "64 bytes, ggml allows 63"}},
	{"tensor name not UTF-8", rawTensors(rawInfo("\xc3\x28", []uint64{1}, F32, 0)), []string{"tensor number 1", "not UTF-8"}},
	{"tensor name past the end", rawTensors(concat(u64(1<<40), make([]byte, 24))), []string{"tensor number 1", "its name", "1099511627776 bytes"}},
	{"tensor name duplicate", rawTensors(rawInfo("t", []uint64{1}, F32, 0), rawInfo("t", []uint64{1}, F32, 32)), []string{`tensor "t" (byte 57)`, "same name"}},
	{"five dimensions", rawTensors(rawInfo("t", []uint64{1, 1, 1, 1, 1}, F32, 0)), []string{`tensor "t"`, "5 dimensions"}},
	{"2^32-1 dimensions", rawTensors(concat(appendString(nil, "t"), u32(math.MaxUint32), make([]byte, 32))), []string{`tensor "t"`, "4294967295 dimensions"}},
	{"dimension zero", rawTensors(rawInfo("t", []uint64{4, 0}, F32, 0)), []string{`tensor "t"`, "is zero"}},
	{"dimension negative", rawTensors(rawInfo("t", []uint64{4, math.MaxUint64 - 1}, F32, 0)), []string{`tensor "t"`, "dimension 1 is -2"}},
	{"element overflow", rawTensors(rawInfo("t", []uint64{1 << 21, 1 << 21, 1 << 21, 2}, F32, 0)), []string{`tensor "t"`, "more elements"}},
	{"byte overflow", rawTensors(rawInfo("t", []uint64{1 << 62}, F64, 0)), []string{`tensor "t"`, "more bytes"}},
	{"row not whole blocks", rawTensors(rawInfo("t", []uint64{16, 2}, Q8_0, 0)), []string{`tensor "t"`, "rows of 16 weights are not whole q8_0 blocks"}},
	{"tensor type unknown", rawTensors(rawInfo("t", []uint64{32}, 1000, 0)), []string{`tensor "t"`, "unknown tensor type 1000"}},
	{"tensor type removed", rawTensors(rawInfo("t", []uint64{32}, 31, 0)), []string{`tensor "t"`, "q4_0_4_4 was removed"}},
	{"offset misaligned", rawTensors(rawInfo("t", []uint64{1}, F32, 4)), []string{`tensor "t" (byte 49)`, "offset 4", "alignment 32"}},
	{"offset past the end", rawTensors(rawInfo("t", []uint64{1}, F32, 256)), []string{`tensor "t"`, "offset 256", "256 bytes"}},
	{"offset near 2^64", rawTensors(rawInfo("t", []uint64{64}, F32, math.MaxUint64-31)), []string{`tensor "t"`, "past the end"}},
	{"offsets overlapping", rawTensors(rawInfo("late", []uint64{1}, F32, 32), rawInfo("early", []uint64{9}, F32, 0)), []string{`tensor "late"`, `overlaps that of tensor "early"`}},
	{"offsets equal", rawTensors(rawInfo("a", []uint64{1}, F32, 32), rawInfo("b", []uint64{1}, F32, 32)), []string{`tensor "b"`, `overlaps that of tensor "a"`}},
	{"data shorter than declared", rawTensors(rawInfo("t", []uint64{65}, F32, 0)), []string{`tensor "t" (byte 64)`, "260 bytes", "256 left", "cut short"}},
	{"total overflow", rawTensors(rawInfo("a", []uint64{1 << 61}, F16, 0), rawInfo("b", []uint64{1 << 61}, F16, 1<<62)), []string{`tensor "a"`, "256 left"}},
	{"no data at all", raw{version: 3, tensors: 1, body: rawInfo("t", []uint64{1}, F32, 0)}.bytes(), []string{`tensor "t"`, "past the end of the 0 bytes"}},
}

func TestCorruptFiles(t *testing.T) {
	messages := make(map[string]string)
	for _, c := range corruptFiles {
		t.Run(c.name, func(t *testing.T) {
			f, err := Parse(c.data, "bad.gguf")
			if err == nil {
				t.Fatalf("accepted, with %d keys and %d tensors", len(f.Meta), len(f.Tensors))
			}
			message := err.Error()
			if !strings.HasPrefix(message, "bad.gguf: ") || strings.ContainsAny(message, "\n\x00") || len(message) > 300 {
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
	damaged.Check(t, "../../docs/reliability.md", "GGUF", 26, messages)
}

// TestTruncatedEverywhere cuts a good file at every byte: all cuts before the end of the last tensor are errors.
func TestTruncatedEverywhere(t *testing.T) {
	whole := sample(t)
	f, err := Parse(whole, "whole")
	if err != nil {
		t.Fatal(err)
	}
	last := f.Tensors[len(f.Tensors)-1]
	end := len(whole) - int(padding(int64(len(last.Data)), f.Alignment))
	for n := range len(whole) {
		if _, err := Parse(whole[:n], "cut"); (err == nil) != (n >= end) {
			t.Errorf("cut to %d of %d bytes: %v", n, len(whole), err)
		}
	}
}

// TestGapsAndOrder accepts what ggml's own writer would not make but the specification allows.
func TestGapsAndOrder(t *testing.T) {
	f, err := Parse(rawTensors(rawInfo("late", []uint64{2}, F32, 192), rawInfo("early", []uint64{9}, F32, 0)), "gaps")
	if err != nil {
		t.Fatal(err)
	}
	if late, ok := f.Tensor("late"); !ok || len(late.Data) != 8 || late.Elements() != 2 {
		t.Errorf("%+v", late)
	}
}

package compress

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"strings"
	"testing"

	"github.com/finch-llm/finch/kernels"
)

// levelBytes is a level file of a small layer.
func levelBytes(t testing.TB, level Level) []byte {
	t.Helper()
	layer := Layer{Name: "blk.0.attn_q", Rows: 3, Cols: 36, Weights: testWeights("gaussian", 3, 36)}
	m, err := Compress(layer, level)
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	source := testSource(layer.Name, layer.Rows, layer.Cols, layer.Weights)
	if err := writeLevelFile(&file, Describe(layer, level, m), source, level, m); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// withHeader replaces the header of a level file and makes the checksum right.
func withHeader(file []byte, change func(header string) string) []byte {
	length := int(binary.LittleEndian.Uint32(file[12:]))
	header := change(string(file[preambleBytes : preambleBytes+length]))
	out := binary.LittleEndian.AppendUint32(bytes.Clone(file[:12]), uint32(len(header)))
	out = binary.LittleEndian.AppendUint32(out, crc32.ChecksumIEEE([]byte(header)))
	out = append(out, header...)
	out = append(out, make([]byte, payloadOffset(len(header))-len(out))...)
	return append(out, file[payloadOffset(length):]...)
}

func TestLevelFileLayout(t *testing.T) {
	file := levelBytes(t, SparseZeros(50, kernels.BF16))
	f, err := parseLevelFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.checksum(); err != nil {
		t.Error(err)
	}
	if offset := len(file) - len(f.payload); offset%payloadAlign != 0 || offset-preambleBytes < 100 {
		t.Errorf("the payload begins at %d", offset)
	}
	if got := withHeader(file, func(h string) string { return h }); !bytes.Equal(got, file) {
		t.Error("the test's writer differs from the package's")
	}
}

func TestLevelFileRefusesHostileHeaders(t *testing.T) {
	dense, sparse := levelBytes(t, mustLevel(t, "f16")), levelBytes(t, SparseZeros(50, kernels.BF16))
	replace := func(old, new string) func(string) string {
		return func(h string) string {
			if !strings.Contains(h, old) {
				t.Fatalf("no %s in %s", old, h)
			}
			return strings.Replace(h, old, new, 1)
		}
	}
	tests := []struct {
		name    string
		file    []byte
		change  func(string) string
		message string
	}{
		{"not JSON", dense, func(string) string { return "{" }, "not what finch writes"},
		{"empty", dense, func(string) string { return "" }, "not what finch writes"},
		{"spaces", dense, replace(`"rows":3`, `"rows": 3`), "not what finch writes"},
		{"unknown key", dense, replace(`"rows":3`, `"rows":3,"x":1`), "not what finch writes"},
		{"repeated key", dense, replace(`"rows":3`, `"rows":9,"rows":3`), "not what finch writes"},
		{"missing key", dense, replace(`"rows":3,`, ``), "not what finch writes"},
		{"negative rows", dense, replace(`"rows":3`, `"rows":-3`), "no layer has"},
		{"zero columns", dense, replace(`"cols":36`, `"cols":0`), "no layer has"},
		{"too many weights", dense, replace(`"rows":3`, `"rows":9000000000000000000`), "no layer has"},
		{"many rows", dense, replace(`"rows":3`, `"rows":4000000000`), "cannot have"},
		{"another format", dense, replace(`"format":"f16"`, `"format":"f32"`), "cannot have"},
		{"format that does not divide", dense, replace(`"format":"f16"`, `"format":"q8_0"`), "cannot have"},
		{"unknown format", dense, replace(`"format":"f16"`, `"format":"q9"`), "unknown weight format"},
		{"non-zeros", dense, replace(`"nonzeros":108`, `"nonzeros":107`), "cannot have"},
		{"negative error", dense, replace(`"relative_error":`, `"relative_error":-`), "negative"},
		{"bytes", dense, replace(`"bytes":216`, `"bytes":217`), "cannot have"},
		{"bytes of a sparse layer", sparse, replace(`"bytes":131`, `"bytes":130`), "promises"},
		{"fewer bytes than the mask", sparse, replace(`"bytes":131`, `"bytes":1`), "cannot have"},
		{"negative bytes", sparse, replace(`"bytes":131`, `"bytes":-131`), "cannot have"},
		{"sparse K-quant", sparse, replace(`"format":"bf16"`, `"format":"q4_k"`), "cannot have"},
		{"more non-zeros than weights", sparse, replace(`"nonzeros":58`, `"nonzeros":580`), "cannot have"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := parseLevelFile(withHeader(test.file, test.change))
			if err == nil || !strings.Contains(err.Error(), test.message) {
				t.Errorf("error %v does not say %q", err, test.message)
			}
		})
	}
}

func TestLevelFileRefusesBadMasks(t *testing.T) {
	file := levelBytes(t, SparseZeros(50, kernels.BF16))
	tests := []struct {
		name    string
		change  func(file []byte) []byte
		message string
	}{
		{"bit beyond the columns", func(f []byte) []byte { f[len(f)-1] |= 0x80; return f }, "beyond its 36 columns"},
		{"another count", func(f []byte) []byte { f[len(f)-2] ^= 1; return f }, "non-zeros"},
		{"blocks", func(f []byte) []byte {
			return withHeader(f, func(h string) string { return strings.Replace(h, `"format":"bf16"`, `"format":"f32"`, 1) })
		}, "bytes of blocks"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f, err := parseLevelFile(test.change(bytes.Clone(file)))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.matrix(); err == nil || !strings.Contains(err.Error(), test.message) {
				t.Errorf("error %v does not say %q", err, test.message)
			}
		})
	}
}

func TestLevelHeaderIsStable(t *testing.T) {
	file := levelBytes(t, mustLevel(t, "q8_0"))
	f, err := parseLevelFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if h, _ := json.Marshal(f.header); !strings.HasPrefix(string(h), `{"layer":"blk.0.attn_q","level":"q8_0","compressor":"rtn","version":1,"weights":"`) {
		t.Errorf("the header is %s", h)
	}
	if f.info.Format != kernels.F16 {
		t.Errorf("36 columns are stored as %v, want the fallback", f.info.Format)
	}
}

func mustLevel(t testing.TB, name string) Level {
	t.Helper()
	level, err := ParseLevel(name)
	if err != nil {
		t.Fatal(err)
	}
	return level
}

// Any bytes are either refused or a matrix whose every row can be read.
func FuzzLevelFile(f *testing.F) {
	for _, name := range []string{"f16", "q4_0", "sparse-0.50", "sparse-0.50+q4_0"} {
		f.Add(levelBytes(f, mustLevel(f, name)))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		refused := func(data []byte) bool {
			file, err := parseLevelFile(data)
			if err != nil {
				return true
			}
			m, err := file.matrix()
			if err != nil {
				return true
			}
			row := make([]float32, m.Cols)
			for r := range m.Rows {
				kernels.Unpack(row, m, r)
			}
			return false
		}
		refused(data)
		if len(data) >= preambleBytes { // again with a right checksum, to reach what lies behind it
			length := binary.LittleEndian.Uint32(data[12:])
			if int64(length) <= int64(len(data)-preambleBytes) {
				fixed := bytes.Clone(data)
				binary.LittleEndian.PutUint32(fixed[16:], crc32.ChecksumIEEE(fixed[preambleBytes:preambleBytes+int(length)]))
				refused(fixed)
			}
		}
	})
}

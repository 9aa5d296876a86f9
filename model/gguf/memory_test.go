package gguf

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/finch-llm/finch/internal/damaged"
)

// TestMemoryOfLies: files that claim much and hold little.
func TestMemoryOfLies(t *testing.T) {
	for _, c := range []struct {
		name string
		data []byte
	}{
		{"49 bytes with 2^40 keys", raw{version: 3, keys: 1 << 40, body: make([]byte, 25)}.bytes()},
		{"49 bytes with 2^40 tensors", raw{version: 3, tensors: 1 << 40, body: make([]byte, 25)}.bytes()},
		{"array of 2^40 strings", rawKeys(rawKV("k", Array, append(appendArrayHeader(nil, String, 1<<40), make([]byte, 64)...)))},
		{"string of 2^40 bytes", rawKeys(rawKV("k", String, u64(1<<40)))},
		{"tensor of 2^40 bytes", rawTensors(rawInfo("t", []uint64{1 << 40}, I8, 0))},
		{"alignment of 2^30", rawKeys(rawKV(alignmentKey, Uint32, u32(1<<30)))},
	} {
		t.Run(c.name, func(t *testing.T) {
			if n := damaged.Allocated(func() { Parse(c.data, "lies") }); n > 64<<10 {
				t.Errorf("allocated %d bytes for a file of %d", n, len(c.data))
			}
		})
	}
}

// TestMemoryOfDenseFiles: the files that take most memory for their size stay below 4 × size + 16 MiB, and need little of
// the 16 MiB.
func TestMemoryOfDenseFiles(t *testing.T) {
	const n = 1 << 17
	name := func(b []byte, i int) []byte { return appendString(b, fmt.Sprintf("%05x", i)) }

	keys := raw{version: 3, keys: n}
	tensors := raw{version: 3, tensors: n}
	for i := range n {
		keys.body = append(binary.LittleEndian.AppendUint32(name(keys.body, i), uint32(Uint8)), 1)
		b := binary.LittleEndian.AppendUint32(name(tensors.body, i), 0)
		b = binary.LittleEndian.AppendUint32(b, uint32(I8))
		tensors.body = binary.LittleEndian.AppendUint64(b, uint64(i)*DefaultAlignment)
	}
	withData := tensors.bytes()
	withData = append(withData, make([]byte, padding(int64(len(withData)), DefaultAlignment)+n*DefaultAlignment)...)

	for _, c := range []struct {
		name string
		data []byte
		ok   bool
	}{
		{"keys", keys.bytes(), true},
		{"keys, one more claimed", raw{version: 3, keys: n, body: keys.body[:len(keys.body)-1]}.bytes(), false},
		{"tensors", withData, true},
		{"tensors without data", tensors.bytes(), false},
		{"zeros", raw{version: 3, keys: n, body: make([]byte, n*minKV)}.bytes(), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var err error
			got := damaged.Allocated(func() { _, err = Parse(c.data, "dense") })
			if (err == nil) != c.ok {
				t.Fatal(err)
			}
			t.Logf("%.2f bytes for each byte of the file", float64(got)/float64(len(c.data)))
			if limit := 4*len(c.data) + 1<<20; got > uint64(limit) {
				t.Errorf("allocated %d bytes for a file of %d", got, len(c.data))
			}
		})
	}
}

// largeHeader is that of a model of 7 billion weights with a vocabulary of 128 K.
func largeHeader() Header {
	tokens, scores := make([]string, 128<<10), make([]float32, 128<<10)
	for i := range tokens {
		tokens[i], scores[i] = fmt.Sprintf("token%d", i), float32(-i)
	}
	h := Header{Meta: []KV{
		{"general.architecture", ValueOf("llama")},
		{"tokenizer.ggml.tokens", ArrayOf(tokens)},
		{"tokenizer.ggml.merges", ArrayOf(tokens)},
		{"tokenizer.ggml.scores", ArrayOf(scores)},
	}}
	h.Tensors = append(h.Tensors, TensorSpec{"token_embd.weight", []uint64{4096, 128 << 10}, Q6_K})
	for b := range 32 {
		for _, layer := range []struct {
			name     string
			in, rows uint64
		}{
			{"attn_q", 4096, 4096}, {"attn_k", 4096, 4096}, {"attn_v", 4096, 4096}, {"attn_output", 4096, 4096},
			{"ffn_gate", 4096, 11008}, {"ffn_up", 4096, 11008}, {"ffn_down", 11008, 4096},
		} {
			h.Tensors = append(h.Tensors, TensorSpec{fmt.Sprintf("blk.%d.%s.weight", b, layer.name), []uint64{layer.in, layer.rows}, Q4_K})
		}
	}
	return h
}

// TestLargeModelIsCheapToOpen opens a model of 4 GB, all holes, without reading its data.
func TestLargeModelIsCheapToOpen(t *testing.T) {
	if math.MaxInt == math.MaxInt32 {
		t.Skip("4 GB cannot be mapped on this system")
	}
	h := largeHeader()
	p, err := layOut(h)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "7b.gguf")
	if err := os.WriteFile(path, p.header(h), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, p.total); err != nil {
		t.Skipf("the file system has no holes: %v", err)
	}
	var f *File
	n := damaged.Allocated(func() { f, err = Open(path) })
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if len(f.Tensors) != 225 || int64(len(f.mappings[0].Bytes())) != p.total {
		t.Errorf("%d tensors in %d bytes", len(f.Tensors), p.total)
	}
	if n > 1<<20 {
		t.Errorf("opening allocated %d bytes", n)
	}
	tokens, ok := f.Strings("tokenizer.ggml.tokens")
	if !ok || tokens[len(tokens)-1] != "token131071" {
		t.Error("the last token is wrong")
	}
}

// BenchmarkParseVocabulary parses the header of a large model.
func BenchmarkParseVocabulary(b *testing.B) {
	h := largeHeader()
	h.Tensors = nil
	p, err := layOut(h)
	if err != nil {
		b.Fatal(err)
	}
	data := p.header(h)
	for b.Loop() {
		if _, err := Parse(data, "large"); err != nil {
			b.Fatal(err)
		}
	}
}

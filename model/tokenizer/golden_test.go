package tokenizer

import (
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/finch-llm/finch/model/gguf"
)

// golden is what the library (or SentencePiece) makes of strings: CRC-32 checksums of each string's ids and of the text that
// they decode to, 32 bits each.
type golden struct {
	IDs     []byte `json:"ids"`
	Texts   []byte `json:"texts"`
	Skipped []int  `json:"skipped"` // strings that the other side reads differently on purpose
}

func readJSON(t testing.TB, path string, into any) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

func loadJSON(t testing.TB, path string) *Tokenizer {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	tok, err := FromJSON(data, path)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// check compares ids and texts, but for strings that a pattern finds, and reports the first few differences.
func (g *golden) check(t *testing.T, tok *Tokenizer, without *regexp.Regexp) {
	t.Helper()
	all := hardStrings(t)
	if len(g.IDs) != 4*len(all) || len(g.Texts) != 4*len(all) || len(g.Skipped) > len(all)/4 {
		t.Fatalf("%d and %d bytes of checksums and %d skipped for %d strings", len(g.IDs), len(g.Texts), len(g.Skipped), len(all))
	}
	wrong := 0
	for i, s := range all {
		if slices.Contains(g.Skipped, i) || without != nil && without.MatchString(s) {
			continue
		}
		ids := tok.Encode(s)
		var encoded []byte
		for _, id := range ids {
			encoded = binary.LittleEndian.AppendUint32(encoded, uint32(id))
		}
		same := crc32.ChecksumIEEE(encoded) == binary.LittleEndian.Uint32(g.IDs[4*i:])
		text := tok.Decode(ids)
		sameText := crc32.ChecksumIEEE([]byte(text)) == binary.LittleEndian.Uint32(g.Texts[4*i:])
		if same && sameText {
			continue
		}
		if wrong++; wrong <= 5 {
			t.Errorf("Encode(%q) = %q, as it should be: %v; that decodes to %q, as it should: %v", s, tokens(tok, ids), same, text, sameText)
		}
	}
	if wrong > 0 {
		t.Errorf("%d of %d strings differ", wrong, len(all))
	}
}

// hardStrings are the strings that every tokenizer is tested with.
func hardStrings(t testing.TB) []string {
	t.Helper()
	var all []string
	readJSON(t, "testdata/strings.json", &all)
	if len(all) != 2000 {
		t.Fatalf("%d strings", len(all))
	}
	return all
}

// checkGolden compares a tokenizer with the golden file of a name.
func checkGolden(t *testing.T, tok *Tokenizer, name string) {
	t.Helper()
	checkGoldenWithout(t, tok, name, nil)
}

func checkGoldenWithout(t *testing.T, tok *Tokenizer, name string, without *regexp.Regexp) {
	t.Helper()
	var want golden
	readJSON(t, "testdata/"+name+".ids.json", &want)
	want.check(t, tok, without)
}

func tokens(tok *Tokenizer, ids []int32) []string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = tok.Token(id)
	}
	return out
}

// Small tokenizers with every component and expression, made and encoded by the library (tools/golden/tokenizer.py).
func TestGolden(t *testing.T) {
	paths, _ := filepath.Glob("testdata/*.tokenizer.json")
	if len(paths) == 0 {
		t.Fatal("no tokenizers in testdata")
	}
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".tokenizer.json")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkGolden(t, loadJSON(t, path), name)
		})
	}
}

func TestGoldenFinchling(t *testing.T) {
	const path = "../finchling/tokenizer.json"
	if _, err := os.Stat(path); err != nil {
		t.Skipf("SKIPPED, finchling's tokenizer is not there: %v", err)
	}
	tok := loadJSON(t, path)
	checkGolden(t, tok, "finchling")
	if bos, add := tok.BOS(); bos != 0 || add || tok.EOS() != 0 {
		t.Errorf("BOS %d, added %v, EOS %d, want 0, false, 0", bos, add, tok.EOS())
	}
}

func smollm2Path() string {
	if path := os.Getenv("FINCH_SMOLLM2"); path != "" {
		return path
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "finch", "SmolLM2-135M-Instruct.Q4_1.gguf")
}

func TestGoldenSmolLM2(t *testing.T) {
	path := smollm2Path()
	if _, err := os.Stat(path); err != nil {
		t.Skipf("SKIPPED, SmolLM2 is not there (set FINCH_SMOLLM2 to its GGUF file): %v", err)
	}
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	tok, err := FromGGUF(f)
	if err != nil {
		t.Fatal(err)
	}
	checkGolden(t, tok, "smollm2")
	if bos, add := tok.BOS(); bos != 1 || add || tok.EOS() != 2 || tok.Vocab() != 49152 {
		t.Errorf("BOS %d, added %v, EOS %d, vocabulary %d; want 1, false, 2, 49152", bos, add, tok.EOS(), tok.Vocab())
	}
}

// Real tokenizers, many megabytes each, from a folder prepared with tools/golden/tokenizer.py --full.
func TestGoldenFolder(t *testing.T) {
	dir := os.Getenv("FINCH_TOKENIZERS")
	if dir == "" {
		t.Skip("SKIPPED, FINCH_TOKENIZERS names no folder of real tokenizers")
	}
	paths, _ := filepath.Glob(filepath.Join(dir, "*.ids.json"))
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".ids.json")
		t.Run(name, func(t *testing.T) {
			var want golden
			readJSON(t, path, &want)
			want.check(t, loadJSON(t, filepath.Join(dir, name+".json")), nil)
		})
	}
}

// metadata is a Metadata in memory.
type metadata map[string]any

func value[T any](m metadata, key string) (T, bool) {
	v, ok := m[key].(T)
	return v, ok
}

func (m metadata) String(key string) (string, bool)     { return value[string](m, key) }
func (m metadata) Strings(key string) ([]string, bool)  { return value[[]string](m, key) }
func (m metadata) Ints(key string) ([]int64, bool)      { return value[[]int64](m, key) }
func (m metadata) Floats(key string) ([]float64, bool)  { return value[[]float64](m, key) }
func (m metadata) Uint(key string) (uint64, bool)       { return value[uint64](m, key) }
func (m metadata) Bool(key string) (result, there bool) { return value[bool](m, key) }

var _ Metadata = metadata{}
var _ Metadata = (*gguf.File)(nil)

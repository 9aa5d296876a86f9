package tokenizer

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/finch-llm/finch/model/gguf"
)

// golden is what the library (or SentencePiece) makes of strings.
type golden struct {
	IDs     [][]int32         `json:"ids"`
	Decoded map[string]string `json:"decoded"` // by index, where it is not the string
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

// check compares ids and texts and reports the first few differences.
func (g *golden) check(t *testing.T, tok *Tokenizer, strings []string) {
	t.Helper()
	if len(g.IDs) != len(strings) {
		t.Fatalf("%d golden lists of ids for %d strings", len(g.IDs), len(strings))
	}
	wrong := 0
	for i, s := range strings {
		if got := tok.Encode(s); !slices.Equal(got, g.IDs[i]) {
			if wrong++; wrong <= 5 {
				t.Errorf("Encode(%q)\n got %q\nwant %q", s, tokens(tok, got), tokens(tok, g.IDs[i]))
			}
			continue
		}
		want, ok := g.Decoded[strconv.Itoa(i)]
		if !ok {
			want = s
		}
		if got := tok.Decode(g.IDs[i]); got != want {
			if wrong++; wrong <= 5 {
				t.Errorf("Decode(%q)\n got %q\nwant %q", tokens(tok, g.IDs[i]), got, want)
			}
		}
	}
	if wrong > 0 {
		t.Errorf("%d of %d strings differ", wrong, len(strings))
	}
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
	var all []string
	readJSON(t, "testdata/strings.json", &all)
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".tokenizer.json")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var want golden
			readJSON(t, "testdata/"+name+".ids.json", &want)
			want.check(t, loadJSON(t, path), all)
		})
	}
}

func TestGoldenFinchling(t *testing.T) {
	const path = "../finchling/tokenizer.json"
	if _, err := os.Stat(path); err != nil {
		t.Skipf("SKIPPED, finchling's tokenizer is not there: %v", err)
	}
	var all []string
	var want golden
	readJSON(t, "testdata/strings.json", &all)
	readJSON(t, "testdata/finchling.ids.json", &want)
	tok := loadJSON(t, path)
	want.check(t, tok, all)
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
	var all []string
	var want golden
	readJSON(t, "testdata/strings.json", &all)
	readJSON(t, "testdata/smollm2.ids.json", &want)
	want.check(t, tok, all)
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
	var all []string
	readJSON(t, filepath.Join(dir, "strings.json"), &all)
	paths, _ := filepath.Glob(filepath.Join(dir, "*.ids.json"))
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".ids.json")
		t.Run(name, func(t *testing.T) {
			var want golden
			readJSON(t, path, &want)
			want.check(t, loadJSON(t, filepath.Join(dir, name+".json")), all)
		})
	}
}

// A small model trained and encoded by SentencePiece itself, as GGUF holds one.
func TestGoldenSentencePiece(t *testing.T) {
	var g struct {
		Tokens  []string  `json:"tokens"`
		Scores  []float64 `json:"scores"`
		Types   []int64   `json:"types"`
		Strings []string  `json:"strings"`
		IDs     [][]int32 `json:"ids"`
	}
	readJSON(t, "testdata/sentencepiece.json", &g)
	tok, err := FromGGUF(metadata{
		"tokenizer.ggml.model": "llama", "tokenizer.ggml.tokens": g.Tokens, "tokenizer.ggml.scores": g.Scores,
		"tokenizer.ggml.token_type": g.Types, "tokenizer.ggml.bos_token_id": uint64(1), "tokenizer.ggml.eos_token_id": uint64(2),
	})
	if err != nil {
		t.Fatal(err)
	}
	decoded := map[string]string{}
	for i, s := range g.Strings {
		decoded[strconv.Itoa(i)] = strings.ReplaceAll(s, spaceMark, " ")
	}
	want := golden{g.IDs, decoded}
	want.check(t, tok, g.Strings)
	if bos, add := tok.BOS(); bos != 1 || !add || tok.EOS() != 2 {
		t.Errorf("BOS %d, added %v, EOS %d; want 1, true, 2", bos, add, tok.EOS())
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

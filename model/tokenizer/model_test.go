package tokenizer

import (
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/finch-llm/finch/model/gguf"
)

// loadModel is the tokenizer of a folder with this tokenizer.model alone.
func loadModel(t testing.TB, model []byte) *Tokenizer {
	t.Helper()
	tok, err := (&Files{Model: model}).Load("folder")
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// Small models, trained and run by SentencePiece itself (tools/golden/tokenizer_model.py).
func TestGoldenModels(t *testing.T) {
	paths, _ := filepath.Glob("testdata/sentencepiece/*.model")
	if len(paths) == 0 {
		t.Fatal("no models in testdata")
	}
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".model")
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			checkGolden(t, loadModel(t, data), "sentencepiece/"+name)
		})
	}
}

// protoBuilder writes protocol buffer messages.
type protoBuilder []byte

func (b *protoBuilder) varint(field, value uint64) {
	*b = binary.AppendUvarint(binary.AppendUvarint(*b, field<<3|wireVarint), value)
}

func (b *protoBuilder) float(field uint64, value float32) {
	*b = binary.LittleEndian.AppendUint32(binary.AppendUvarint(*b, field<<3|wire32), math.Float32bits(value))
}

func (b *protoBuilder) bytes(field uint64, value []byte) {
	*b = append(binary.AppendUvarint(binary.AppendUvarint(*b, field<<3|wireBytes), uint64(len(value))), value...)
}

func (b *protoBuilder) piece(text string, score float32, typ tokenType) {
	var p protoBuilder
	p.bytes(1, []byte(text))
	p.float(2, score)
	p.varint(3, uint64(typ))
	b.bytes(1, p)
}

// llamaModel is a tokenizer.model of pieces as Llama 2's is: BPE, with bytes, of a text with a space in front.
func llamaModel(v *vocabulary) []byte {
	var b, trainer, normalizer protoBuilder
	for i, token := range v.tokens {
		b.piece(token, v.scores[i], v.typeOf(i))
	}
	trainer.varint(3, uint64(bpeModel))
	trainer.varint(35, 1)
	b.bytes(2, trainer)
	normalizer.varint(4, 0)
	b.bytes(3, normalizer)
	return b
}

// openVocabulary opens one of the files with which llama.cpp tests its tokenizers, or skips the test.
func openVocabulary(t *testing.T, name string) *gguf.File {
	t.Helper()
	dir := os.Getenv("FINCH_LLAMA_CPP")
	if dir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			t.Skipf("SKIPPED: %v", err)
		}
		dir = filepath.Join(cache, "finch", "llama.cpp", "source")
	}
	path := filepath.Join(dir, "models", "ggml-vocab-"+name+".gguf")
	if _, err := os.Stat(path); err != nil {
		t.Skipf("SKIPPED, the sources of llama.cpp are not there (set FINCH_LLAMA_CPP to them): %v", err)
	}
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// Real vocabularies: GPT-2's, Llama 3's, Qwen2's and StarCoder's.
func TestGoldenVocabularies(t *testing.T) {
	for _, name := range []string{"gpt-2", "llama-bpe", "qwen2", "qwen35", "starcoder"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tok, err := FromGGUF(openVocabulary(t, name))
			if err != nil {
				t.Fatal(err)
			}
			checkGolden(t, tok, "llama.cpp/"+name)
		})
	}
}

// The vocabulary of Llama 2, as GGUF holds it and as a tokenizer.model.
func TestGoldenLlama2(t *testing.T) {
	f := openVocabulary(t, "llama-spm")
	tok, err := FromGGUF(f)
	if err != nil {
		t.Fatal(err)
	}
	checkGolden(t, tok, "sentencepiece/llama-spm")
	checkGolden(t, loadModel(t, llamaModel(tok.model.(*sentencePiece).vocabulary)), "sentencepiece/llama-spm")
}

package export

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/finch-llm/finch/model/gguf"
)

// Provenance says where a file comes from. What is not known is empty, KL NaN.
type Provenance struct {
	Version    string // of finch
	Experiment string
	Run        int64
	Seed       uint64
	Method     string
	Budget     string
	Model      string // SHA-256 of the model that was compressed, hexadecimal
	Levels     string // SHA-256 of the keys that the chosen levels have in the level database, hexadecimal
	KL         float64

	// The ladder of sparsities that was searched, if there was one.
	Center      float64
	StepWeights int64
}

const (
	provenancePrefix = "finch."
	reservedKey      = provenancePrefix + "reserved"
	provenanceBytes  = 1024 // of all keys finch.*, whatever is known: a search counts bytes before it knows
)

// withProvenance ends metadata with the keys finch.*, the last one a filler of spaces.
func withProvenance(meta []gguf.KV, p Provenance) ([]gguf.KV, error) {
	meta = slices.DeleteFunc(slices.Clone(meta), func(kv gguf.KV) bool { return strings.HasPrefix(kv.Key, provenancePrefix) })
	left := provenanceBytes
	add := func(key string, v gguf.Value) {
		meta = append(meta, gguf.KV{Key: key, Value: v})
		left -= keyBytes(key, v)
	}
	for _, text := range []struct{ key, value string }{
		{"version", p.Version}, {"experiment", p.Experiment}, {"method", p.Method}, {"budget", p.Budget}, {"model", p.Model}, {"levels", p.Levels},
	} {
		if text.value != "" {
			add(provenancePrefix+text.key, gguf.ValueOf(text.value))
		}
	}
	if p.Run > 0 {
		add(provenancePrefix+"run", gguf.ValueOf(uint64(p.Run)))
		add(provenancePrefix+"seed", gguf.ValueOf(p.Seed))
		if !math.IsNaN(p.KL) {
			add(provenancePrefix+"kl", gguf.ValueOf(p.KL))
		}
	}
	filler := left - keyBytes(reservedKey, gguf.ValueOf(""))
	if filler < 0 {
		return nil, fmt.Errorf("the provenance of experiment %q takes %d bytes more than the %d that files have for it: give it a shorter name", p.Experiment, -filler, provenanceBytes)
	}
	add(reservedKey, gguf.ValueOf(strings.Repeat(" ", filler)))
	return meta, nil
}

// keyBytes is what a key and its value take in a GGUF file.
func keyBytes(key string, v gguf.Value) int { return 8 + len(key) + 4 + len(v.Encoded()) }

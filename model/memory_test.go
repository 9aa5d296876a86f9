package model

import (
	"runtime"
	"strings"
	"testing"

	"github.com/finch-llm/finch/model/safetensors"
	"github.com/finch-llm/finch/model/tokenizer"
)

// Configurations that claim much take memory in proportion to their own size: what they claim is not there.
func TestConfigMemory(t *testing.T) {
	weights, err := safetensors.OpenFolder("testdata/tiny-llama")
	if err != nil {
		t.Fatal(err)
	}
	defer weights.Close()
	list := func(n int) string { return "[" + strings.TrimSuffix(strings.Repeat("1,", n), ",") + "]" }
	for _, c := range []struct{ name, more string }{
		{"most blocks", `"num_hidden_layers": 1023`},
		{"2^23 hidden", `"hidden_size": 8388608`},
		{"2^23 words", `"vocab_size": 8388608`},
		{"2^23 positions", `"max_position_embeddings": 8388608, "num_hidden_layers": 3`},
		{"long list of ends", `"hidden_size": 32, "eos_token_id": ` + list(1<<18)},
		{"long rope parameters", `"hidden_size": 32, "rope_scaling": {"rope_type": "llama3", "x": ` + list(1<<18) + `}`},
		{"deep nesting", `"x": ` + strings.Repeat("[", 1<<18)},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := tiny(t, nil)
			// Of a key that is there twice the last counts.
			config = append(config[:len(config)-1], []byte(", "+c.more+"}")...)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := fromHuggingFace("claims", config, &tokenizer.Files{JSON: []byte(oneToken)}, weights)
			runtime.ReadMemStats(&after)
			if err == nil {
				t.Error("accepted")
			}
			if n := after.TotalAlloc - before.TotalAlloc; n > uint64(4*len(config)+16<<20) {
				t.Errorf("allocated %d bytes for a configuration of %d", n, len(config))
			}
		})
	}
}

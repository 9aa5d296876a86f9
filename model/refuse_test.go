package model

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/finch-llm/finch/kernels"
	"github.com/finch-llm/finch/model/gguf"
	"github.com/finch-llm/finch/model/safetensors"
	"github.com/finch-llm/finch/model/tokenizer"
)

// changed opens one of the golden models with some keys of its config.json changed.
func changed(t *testing.T, name string, changes map[string]any) (*Model, error) {
	t.Helper()
	dir := filepath.Join("testdata/architectures", name)
	weights, err := safetensors.OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { weights.Close() })
	return fromHuggingFace(name, changedConfig(t, dir, changes), &tokenizer.Files{JSON: []byte(oneToken)}, weights)
}

func TestSettingsOfArchitecturesAreReadOrRefused(t *testing.T) {
	type keys = map[string]any
	for _, c := range []struct {
		model   string
		changes keys
		want    string // of the error; "" for none
	}{
		{"llama", keys{"model_type": "mamba"}, `model_type "mamba" is not known: finch runs gemma2, gemma3_text, gpt2, llama, mistral, mixtral, olmo2, olmoe, phi3, qwen2, qwen2_moe, qwen3, qwen3_moe, starcoder2`},
		{"llama", keys{"model_type": nil}, `model_type "" is not known`},
		{"llama", keys{"attention_bias": false}, "model.layers.0.self_attn.k_proj.bias has no place"},
		{"llama", keys{"mlp_bias": false}, "has no place in the architecture llama"},
		{"llama", keys{"rope_parameters": keys{"rope_type": "llama3", "factor": 8, "low_freq_factor": 4, "high_freq_factor": 4, "original_max_position_embeddings": 32}}, "make no sense"},
		{"mistral", keys{"sliding_window": nil}, ""},
		{"mistral", keys{"sliding_window": -1}, "the window of attention is -1"},
		{"mixtral", keys{"num_local_experts": 5}, "gate.weight has 128 elements, the configuration says 160"},
		{"mixtral", keys{"num_local_experts": 0}, "number of experts is 0"},
		{"mixtral", keys{"num_experts_per_tok": 5}, "each token uses 5 experts of 4"},
		{"mixtral", keys{"intermediate_size": 33}, "blk.0.ffn_gate_exps.weight is [128, 32], the configuration says [132, 32]"},
		{"qwen2", keys{"rope_parameters": keys{"rope_type": "yarn", "factor": 4, "mscale": 2}}, "mscale"},
		{"qwen2-moe", keys{"shared_expert_intermediate_size": 41}, "blk.0.ffn_gate_shexp.weight is [40, 32], the configuration says [41, 32]"},
		{"qwen2-moe", keys{"use_sliding_window": true, "sliding_window": 4}, "without windows"},
		{"qwen2-moe", keys{"qkv_bias": false}, "has no place"},
		{"qwen3-moe", keys{"mlp_only_layers": []int{1}}, "experts in every block"},
		{"qwen3-moe", keys{"decoder_sparse_step": 2}, "experts in every block"},
		{"qwen3", keys{"head_dim": nil}, "the configuration says"}, // 128, transformers' default
		{"phi3", keys{"partial_rotary_factor": 1e-9, "rope_parameters": nil}, "partial_rotary_factor"},
		{"phi3", keys{"original_max_position_embeddings": -3, "rope_parameters": keys{"type": "longrope", "short_factor": []int{1}, "long_factor": []int{1}}}, "original context is -3"},
		{"gemma2", keys{"hidden_activation": "gelu"}, `hidden_act "gelu"`},
		{"gemma2", keys{"hidden_activation": nil, "head_dim": 12}, ""},
		{"gemma2", keys{"attention_bias": true}, "attention_bias is not supported: gemma2"},
		{"gemma2", keys{"query_pre_attn_scalar": -1}, "must not be negative"},
		{"gemma2", keys{"query_pre_attn_scalar": 0}, "the attention scale +Inf"},
		{"gemma3", keys{"rope_parameters": keys{"sliding_attention": keys{"rope_type": "yarn"}}}, "of blocks with windows"},
		{"gpt2", keys{"n_positions": 65}, "position_embd.weight is [64, 32], the configuration says [65, 32]"},
		{"gpt2", keys{"scale_attn_by_inverse_layer_idx": true}, "scale_attn_by_inverse_layer_idx"},
		{"gpt2", keys{"scale_attn_weights": false}, "scale_attn_weights"},
		{"gpt2", keys{"activation_function": "relu"}, `hidden_act "relu"`},
		{"olmo2", keys{"clip_qkv": 8}, "clip_qkv"},
		{"starcoder2", keys{"use_bias": false}, "use_bias"},
	} {
		_, err := changed(t, c.model, c.changes)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s with %v is refused: %v", c.model, c.changes, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s with %v: %v, want an error with %q", c.model, c.changes, err, c.want)
		}
	}
}

// A block's window is where its configuration says, in the older way too.
func TestWindows(t *testing.T) {
	type keys = map[string]any
	for _, c := range []struct {
		model   string
		changes keys
		want    string // L: local, G: global
	}{
		{"mistral", nil, "LLL"},
		{"mistral", keys{"sliding_window": nil}, "LLL"}, // 4096, transformers' default
		{"qwen2", nil, "GGG"},
		{"qwen3", nil, "GLL"},
		{"qwen3", keys{"layer_types": nil, "max_window_layers": 2}, "GGL"},
		{"qwen3", keys{"use_sliding_window": false}, "GGG"},
		{"gemma2", nil, "LGL"},
		{"gemma2", keys{"layer_types": nil}, "LGL"},
		{"gemma3", keys{"layer_types": nil}, "LLLLLGL"},
		{"gemma3", keys{"layer_types": nil, "sliding_window_pattern": 3}, "LLGLLGL"},
		{"phi3", nil, "LLL"},
	} {
		m, err := changed(t, c.model, c.changes)
		if err != nil {
			t.Errorf("%s with %v: %v", c.model, c.changes, err)
			continue
		}
		got := ""
		for _, b := range m.Network.Blocks {
			got += map[bool]string{true: "L", false: "G"}[b.Local]
		}
		if got != c.want {
			t.Errorf("%s with %v has windows %s, want %s", c.model, c.changes, got, c.want)
		}
	}
}

// Models that llama.cpp would run otherwise are known to be such.
func TestGGUFLoss(t *testing.T) {
	type keys = map[string]any
	llama3 := keys{"rope_type": "llama3", "factor": 8, "low_freq_factor": 1, "high_freq_factor": 4, "original_max_position_embeddings": 32, "rope_theta": 1e4}
	for _, c := range []struct {
		model   string
		changes keys
		blocks  int
		want    string // "" for none
	}{
		{"llama", nil, 3, ""},
		{"phi3", nil, 3, ""},
		{"mixtral", nil, 2, ""},
		{"qwen2-moe", keys{"norm_topk_prob": true}, 2, "norm_topk_prob is true"},
		{"qwen3-moe", keys{"norm_topk_prob": false}, 2, "norm_topk_prob is false"},
		{"qwen2", keys{"rope_parameters": llama3}, 3, "rope scaling is of type llama3"},
		{"gemma2", nil, 3, ""},
		{"gemma2", nil, 46, "attention scores are multiplied by"}, // llama.cpp takes any of 46 blocks for the 27B
		{"gemma2", keys{"query_pre_attn_scalar": 8}, 46, ""},      // hidden/heads
		{"gemma2", keys{"query_pre_attn_scalar": 8}, 45, "attention scores are multiplied by"},
		{"gemma2", keys{"final_logit_softcapping": json.RawMessage("null")}, 3, "logits to 0"},
		{"gemma3", keys{"attn_logit_softcapping": 5}, 7, "attention scores are limited to 5"},
	} {
		m, err := changed(t, c.model, c.changes)
		if err != nil {
			t.Errorf("%s with %v: %v", c.model, c.changes, err)
			continue
		}
		err = m.GGUFLoss(c.blocks)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s with %v: %v", c.model, c.changes, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s with %v: %v, want an error with %q", c.model, c.changes, err, c.want)
		}
	}
	for name, want := range map[string]string{"llama": "logits to 5", "qwen3": "logits to 5", "gemma3": ""} { // which llama.cpp reads of Gemma
		m, err := changed(t, name, nil)
		if err != nil {
			t.Fatal(err)
		}
		m.FinalSoftcap = 5
		if err := m.GGUFLoss(m.Blocks); err == nil && want != "" || err != nil && (want == "" || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s with limited logits: %v", name, err)
		}
	}
}

// Positions that a model has not learned are refused, and those of all texts in a batch are their own.
func TestLearnedPositionsEnd(t *testing.T) {
	m, err := changed(t, "gpt2", nil)
	if err != nil {
		t.Fatal(err)
	}
	r := NewRunner(m, kernels.Paths()[0], 130)
	x := make([]float32, 130*m.Hidden)
	ids := make([]int32, 130)
	if err := r.Embed(x, ids, 65); err == nil || !strings.Contains(err.Error(), "65 tokens exceed the 64 positions") {
		t.Errorf("65 positions: %v", err)
	}
	if err := r.Embed(x[:128*m.Hidden], ids[:128], 64); err != nil {
		t.Error(err)
	}
	for i := range m.Hidden {
		if x[i] != x[64*m.Hidden+i] {
			t.Fatal("the second text does not begin at position 0")
		}
	}
}

// GPT-2's own files lack "transformer." and have masks.
func TestGPT2FilesOfOpenAI(t *testing.T) {
	weights, err := safetensors.OpenFolder("testdata/architectures/gpt2")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { weights.Close() })
	var used []string
	m, err := gpt2.hfMatrix(weights, "transformer.transformer.h.0.ln_1.weight", 0, func(name string) { used = append(used, name) })
	if err != nil || m.Cols != 32 || len(used) != 1 || used[0] != "transformer.h.0.ln_1.weight" {
		t.Errorf("%v, %v, used %v", m, err, used)
	}
	for name, want := range map[string]bool{"h.0.attn.bias": true, "h.11.attn.masked_bias": true, "h.0.attn.c_attn.bias": false, "lm_head.weight": true} {
		if gpt2.redundant(name, true) != want {
			t.Errorf("%s is redundant: %v", name, !want)
		}
	}
}

// Experts are stacked in their order; one that is missing or of another shape is an error.
func TestExpertsAreStacked(t *testing.T) {
	weights, err := safetensors.OpenFolder("testdata/architectures/mixtral")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { weights.Close() })
	find := func(name string, experts int) (*kernels.Matrix, error) {
		return mixtral.hfMatrix(weights, name, experts, func(string) {})
	}
	const name = "model.layers.1.block_sparse_moe.experts.%d.w2.weight"
	all, err := find(name, 4)
	if err != nil || all.Rows != 4*32 || all.Cols != 32 {
		t.Fatalf("%+v, %v", all, err)
	}
	third, err := find(strings.Replace(name, "%d", "2", 1), 0)
	if err != nil || string(all.Data[2*32*32*2:3*32*32*2]) != string(third.Data) {
		t.Errorf("the third expert is another, %v", err)
	}
	if _, err := find(name, 5); err == nil || !strings.Contains(err.Error(), "experts.4.w2.weight is missing") {
		t.Error(err)
	}
	if _, err := stacked([]*kernels.Matrix{third, {Format: kernels.BF16, Rows: 16, Cols: 32}}); err == nil || !strings.Contains(err.Error(), "expert 1 is a matrix of 16 × 32") {
		t.Error(err)
	}
}

// Operations are those of the layers that a token goes through and of the keys that it sees.
func TestOperations(t *testing.T) {
	for _, c := range []struct {
		model string
		want  int64 // of the first block and 48 tokens
	}{
		// q, k, v and output, [32, 32] or [16, 32]; the MLP, 3 × [48, 32]; 8 keys for each query but the first 7.
		{"mistral", 48*2*(2*32*32+2*16*32+3*48*32) + 4*32*(8*9/2+40*8)},
		// Two of four experts of 3 × [32, 32], and the router.
		{"mixtral", 48*2*(2*32*32+2*16*32+2*3*32*32+4*32) + 4*32*(48*49/2)},
		// q, k and v are one matrix.
		{"gpt2", 48*2*(4*32*32+2*128*32) + 4*32*(48*49/2)},
	} {
		m, err := changed(t, c.model, nil)
		if err != nil {
			t.Fatal(err)
		}
		b := m.Network.Blocks[0]
		if got := m.Operations(&b, 48); got != c.want {
			t.Errorf("%s: %d operations, want %d", c.model, got, c.want)
		}
		attn, mlp := b, b
		attn.DropMLP, mlp.DropAttn = true, true
		if got := m.Operations(&attn, 48) + m.Operations(&mlp, 48); got != c.want {
			t.Errorf("%s: sublayers take %d operations, want %d", c.model, got, c.want)
		}
	}
}

// Frequencies of yarn and llama3 are stretched, kept, or between, by how often they turn within the original context.
func TestRopeScaling(t *testing.T) {
	s := &RopeScaling{Type: "yarn", Factor: 4, Original: 4096, BetaFast: 32, BetaSlow: 1}
	if first, last := s.factor(0, 128, 1e4, 0), s.factor(63, 128, 1e4, 0); first != 1 || last != 4 {
		t.Errorf("yarn divides the first frequency by %v and the last by %v", first, last)
	}
	if want := 0.1*math.Log(4) + 1; s.attention() != want {
		t.Errorf("yarn multiplies by %v, want %v", s.attention(), want)
	}
	factors := llama3Factors(128, 5e5, 8, 1, 4, 8192)
	if factors[0] != 1 || factors[63] != 8 {
		t.Errorf("llama3 divides the first frequency by %v and the last by %v", factors[0], factors[63])
	}
	for i := 1; i < 64; i++ {
		if factors[i] < factors[i-1] || s.factor(i, 128, 1e4, 0) < s.factor(i-1, 128, 1e4, 0) {
			t.Errorf("frequency %d is stretched less than %d", i, i-1)
		}
	}
	long := &RopeScaling{Type: "longrope", Original: 16, Short: []float32{1}, Long: []float32{3}}
	if a, b := long.factor(0, 2, 1e4, 16), long.factor(0, 2, 1e4, 17); a != 1 || b != 3 {
		t.Errorf("longrope divides by %v in a context of 16 and by %v in one of 17", a, b)
	}
}

// GGUF files of Gemma from before some keys were written stand for the published models.
func TestOldFilesOfGemma(t *testing.T) {
	for name, c := range map[string]struct {
		without []string
		want    func(c *Config) bool
	}{
		"gemma2": {[]string{"gemma2.attention.sliding_window", "gemma2.attn_logit_softcapping", "gemma2.final_logit_softcapping"},
			func(c *Config) bool { return c.Window == 4096 && c.AttentionSoftcap == 50 && c.FinalSoftcap == 30 }},
		"gemma3": {[]string{"gemma3.rope.freq_base_swa"}, func(c *Config) bool { return c.LocalTheta == 10000 && c.RopeTheta == 5000 }},
	} {
		data, err := os.ReadFile("testdata/architectures/" + name + "/model.gguf")
		if err != nil {
			t.Fatal(err)
		}
		f, err := gguf.Parse(data, name)
		if err != nil {
			t.Fatal(err)
		}
		var h gguf.Header
		for _, kv := range f.Meta {
			if !slices.Contains(c.without, kv.Key) {
				h.Meta = append(h.Meta, kv)
			}
		}
		var metadata bytes.Buffer
		if err := gguf.Write(&metadata, h, nil); err != nil || len(h.Meta)+len(c.without) != len(f.Meta) {
			t.Fatalf("%s: %d of %d keys, %v", name, len(h.Meta), len(f.Meta), err)
		}
		if f, err = gguf.Parse(metadata.Bytes(), name); err != nil {
			t.Fatal(err)
		}
		if config, err := ggufConfig(f); err != nil || !c.want(&config) {
			t.Errorf("%s is read as %+v, %v", name, config, err)
		}
	}
}

// A window pattern that does not fit the blocks is refused.
func TestWindowPatternOfAnotherModel(t *testing.T) {
	data, err := os.ReadFile("testdata/architectures/qwen3/model.gguf")
	if err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Parse(data, "qwen3.gguf")
	if err != nil {
		t.Fatal(err)
	}
	for i, kv := range f.Meta {
		if kv.Key == "qwen3.attention.sliding_window_pattern" {
			f.Meta[i].Value = gguf.ArrayOf([]bool{true, false})
		}
	}
	if _, err := fromGGUF("qwen3.gguf", f); err == nil || !strings.Contains(err.Error(), "2 blocks of 3") {
		t.Error(err)
	}
}

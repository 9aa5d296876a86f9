package model

import (
	"math"
	"testing"
)

// Configurations as models were published with, in the keys of their time.
func TestPublishedConfigurations(t *testing.T) {
	for _, c := range []struct {
		name, config string
		want         Config
	}{
		{"Llama 3.2 1B", `{"model_type": "llama", "hidden_size": 2048, "intermediate_size": 8192, "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 64,
			"num_hidden_layers": 16, "vocab_size": 128256, "max_position_embeddings": 131072, "rms_norm_eps": 1e-05, "rope_theta": 500000.0, "tie_word_embeddings": true,
			"attention_bias": false, "mlp_bias": false, "eos_token_id": [128001, 128008], "rope_scaling": {"factor": 32.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
			"original_max_position_embeddings": 8192, "rope_type": "llama3"}}`,
			Config{Architecture: "llama", Hidden: 2048, MLP: 8192, Heads: 32, KVHeads: 8, HeadDim: 64, Blocks: 16, Vocab: 128256, Context: 131072,
				NormEps: 1e-5, RopeTheta: 5e5, TiedHead: true}},
		{"Mistral 7B v0.1", `{"model_type": "mistral", "hidden_size": 4096, "intermediate_size": 14336, "num_attention_heads": 32, "num_key_value_heads": 8,
			"num_hidden_layers": 32, "vocab_size": 32000, "max_position_embeddings": 32768, "rms_norm_eps": 1e-05, "rope_theta": 10000.0, "sliding_window": 4096,
			"hidden_act": "silu", "tie_word_embeddings": false}`,
			Config{Architecture: "llama", Hidden: 4096, MLP: 14336, Heads: 32, KVHeads: 8, HeadDim: 128, Blocks: 32, Vocab: 32000, Context: 32768,
				NormEps: 1e-5, RopeTheta: 1e4, Window: 4096}},
		{"Mistral 7B v0.3", `{"model_type": "mistral", "hidden_size": 4096, "intermediate_size": 14336, "num_attention_heads": 32, "num_key_value_heads": 8,
			"num_hidden_layers": 32, "vocab_size": 32768, "max_position_embeddings": 32768, "rms_norm_eps": 1e-05, "rope_theta": 1000000.0, "sliding_window": null}`,
			Config{Architecture: "llama", Hidden: 4096, MLP: 14336, Heads: 32, KVHeads: 8, HeadDim: 128, Blocks: 32, Vocab: 32768, Context: 32768,
				NormEps: 1e-5, RopeTheta: 1e6}},
		{"Qwen2.5 7B", `{"model_type": "qwen2", "hidden_size": 3584, "intermediate_size": 18944, "num_attention_heads": 28, "num_key_value_heads": 4,
			"num_hidden_layers": 28, "vocab_size": 152064, "max_position_embeddings": 131072, "rms_norm_eps": 1e-06, "rope_theta": 1000000.0,
			"sliding_window": 131072, "max_window_layers": 28, "use_sliding_window": false, "use_mrope": false, "tie_word_embeddings": false}`,
			Config{Architecture: "qwen2", Hidden: 3584, MLP: 18944, Heads: 28, KVHeads: 4, HeadDim: 128, Blocks: 28, Vocab: 152064, Context: 131072,
				NormEps: 1e-6, RopeTheta: 1e6}},
		{"Qwen1.5-MoE", `{"model_type": "qwen2_moe", "hidden_size": 2048, "intermediate_size": 5632, "num_attention_heads": 16, "num_key_value_heads": 16,
			"num_hidden_layers": 24, "vocab_size": 151936, "max_position_embeddings": 8192, "rms_norm_eps": 1e-06, "rope_theta": 1000000.0, "sliding_window": 32768,
			"use_sliding_window": false, "decoder_sparse_step": 1, "moe_intermediate_size": 1408, "shared_expert_intermediate_size": 5632, "num_experts_per_tok": 4,
			"num_experts": 60, "norm_topk_prob": false}`,
			Config{Architecture: "qwen2moe", Hidden: 2048, MLP: 5632, Heads: 16, KVHeads: 16, HeadDim: 128, Blocks: 24, Vocab: 151936, Context: 8192,
				NormEps: 1e-6, RopeTheta: 1e6, Experts: 60, ExpertsUsed: 4, ExpertMLP: 1408, SharedMLP: 5632, Extra: PartSet(0).with(AttnQBias).with(AttnKBias).with(AttnVBias)}},
		{"Gemma 3 1B", `{"model_type": "gemma3_text", "attention_bias": false, "attn_logit_softcapping": null, "final_logit_softcapping": null, "head_dim": 256,
			"hidden_activation": "gelu_pytorch_tanh", "hidden_size": 1152, "intermediate_size": 6912, "max_position_embeddings": 32768, "num_attention_heads": 4,
			"num_hidden_layers": 26, "num_key_value_heads": 1, "query_pre_attn_scalar": 256, "rms_norm_eps": 1e-06, "rope_local_base_freq": 10000,
			"rope_scaling": null, "rope_theta": 1000000, "sliding_window": 512, "sliding_window_pattern": 6, "vocab_size": 262144}`,
			Config{Architecture: "gemma3", Hidden: 1152, MLP: 6912, Heads: 4, KVHeads: 1, HeadDim: 256, Blocks: 26, Vocab: 262144, Context: 32768,
				NormEps: 1e-6, RopeTheta: 1e6, LocalTheta: 1e4, Window: 512, AttentionScale: 1.0 / 16, TiedHead: true}},
		{"GPT-2", `{"model_type": "gpt2", "activation_function": "gelu_new", "layer_norm_epsilon": 1e-05, "n_ctx": 1024, "n_embd": 768, "n_head": 12, "n_layer": 12,
			"n_positions": 1024, "vocab_size": 50257}`,
			Config{Architecture: "gpt2", Hidden: 768, MLP: 3072, Heads: 12, KVHeads: 12, HeadDim: 64, Blocks: 12, Vocab: 50257, Context: 1024, NormEps: 1e-5, TiedHead: true}},
		{"Phi-4-mini", `{"model_type": "phi3", "hidden_size": 3072, "intermediate_size": 8192, "num_attention_heads": 24, "num_key_value_heads": 8, "num_hidden_layers": 32,
			"vocab_size": 200064, "max_position_embeddings": 131072, "original_max_position_embeddings": 4096, "partial_rotary_factor": 0.75, "rms_norm_eps": 1e-05,
			"rope_theta": 10000.0, "sliding_window": 262144, "tie_word_embeddings": true, "rope_scaling": {"type": "longrope", "long_factor": [1], "short_factor": [1]}}`,
			Config{Architecture: "phi3", Hidden: 3072, MLP: 8192, Heads: 24, KVHeads: 8, HeadDim: 128, RotaryDim: 96, Blocks: 32, Vocab: 200064, Context: 131072,
				NormEps: 1e-5, RopeTheta: 1e4, Window: 262144, TiedHead: true}},
	} {
		h, a, err := parseConfig([]byte(c.config))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		got, err := h.config(a)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		switch s := got.Scaling; c.name {
		case "Llama 3.2 1B":
			if s == nil || s.Type != "llama3" || len(s.Short) != 32 || s.Short[0] != 1 || s.Short[31] != 32 {
				t.Errorf("%s: scaling is %+v", c.name, s)
			}
		case "Phi-4-mini":
			if s == nil || s.Type != "longrope" || s.Original != 4096 || math.Abs(s.Attention-1.1902380714238083) > 1e-7 {
				t.Errorf("%s: scaling is %+v", c.name, s)
			}
		default:
			if s != nil {
				t.Errorf("%s: scaling is %+v", c.name, s)
			}
		}
		got.Scaling = nil
		if got != c.want {
			t.Errorf("%s is read as\n%+v, want\n%+v", c.name, got, c.want)
		}
	}
}

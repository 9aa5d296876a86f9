package model

import "math"

// gemma2 is Gemma 2 (arXiv 2408.00118): norms before and after each sublayer, GeGLU, limits to attention scores and logits,
// and a window in every second block. Hugging Face stores norm weights less one.
var gemma2 = architecture{
	gguf: "gemma2", modelType: "gemma2",
	layers: union(separateQKV, gatedMLP), parts: gemmaNorms,
	outside: aroundBlocks, stem: blockStem,
	keys: gemmaKeys,
	defaults: `{"tie_word_embeddings": true, "head_dim": 256, "query_pre_attn_scalar": 256, "sliding_window": 4096,
		"attn_logit_softcapping": 50, "final_logit_softcapping": 30, "hidden_act": "gelu_pytorch_tanh"}`,
	usual:      Config{Window: 4096, AttentionSoftcap: 50, FinalSoftcap: 30},
	activation: geluTanh, normOffset: 1, scaled: true, globalEvery: 2, settings: gemmaSettings, wideScale: 46,
}

var (
	gemmaNorms = map[Part]string{
		AttnNorm: "input_layernorm.weight", AttnPostNorm: "post_attention_layernorm.weight",
		FFNNorm: "pre_feedforward_layernorm.weight", FFNPostNorm: "post_feedforward_layernorm.weight",
	}
	gemmaKeys = map[string]string{"hidden_act": "hidden_activation"}
)

// gemmaSettings reads what Gemma does to attention scores and logits.
func gemmaSettings(h *hfConfig, c *Config) error {
	c.AttentionScale = 1 / math.Sqrt(h.QueryScalar)
	for _, limit := range []struct{ to, from *float64 }{{&c.AttentionSoftcap, h.AttentionSoftcap}, {&c.FinalSoftcap, h.FinalSoftcap}} {
		if limit.from != nil {
			*limit.to = *limit.from
		}
	}
	return nil
}

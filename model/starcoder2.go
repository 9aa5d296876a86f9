package model

import "errors"

// starcoder2 is StarCoder2 (arXiv 2402.19173): rotary positions, layer norm, biases everywhere, and an MLP without a gate.
var starcoder2 = architecture{
	gguf: "starcoder2", modelType: "starcoder2",
	layers: union(separateQKV, map[Kind]string{FFNUp: "mlp.c_fc", FFNDown: "mlp.c_proj"}),
	parts: union(normBefore, qkvBias, outBias, map[Part]string{
		AttnNormBias: "input_layernorm.bias", FFNNormBias: "post_attention_layernorm.bias",
		FFNUpBias: "mlp.c_fc.bias", FFNDownBias: "mlp.c_proj.bias",
	}),
	outside: union(aroundBlocks, map[string]string{outputNormBias: "model.norm.bias"}), stem: blockStem,
	keys:       map[string]string{"rms_norm_eps": "norm_epsilon"},
	defaults:   `{"tie_word_embeddings": true, "num_key_value_heads": 2, "rms_norm_eps": 1e-5, "hidden_act": "gelu_pytorch_tanh"}`,
	activation: geluTanh, layerNorm: true,
	settings: func(h *hfConfig, _ *Config) error {
		if h.UseBias != nil && !*h.UseBias {
			return errors.New("config.json: use_bias is false: finch runs StarCoder2 with its biases")
		}
		return nil
	},
}

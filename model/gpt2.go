package model

import "errors"

// gpt2 is GPT-2 ("Language Models are Unsupervised Multitask Learners", 2019): learned positions, layer norm, biases
// everywhere, and an MLP without a gate. Hugging Face stores its layers as [inputs, outputs].
var gpt2 = architecture{
	gguf: "gpt2", modelType: "gpt2",
	layers: map[Kind]string{AttnQKV: "attn.c_attn", AttnOutput: "attn.c_proj", FFNUp: "mlp.c_fc", FFNDown: "mlp.c_proj"},
	parts: map[Part]string{
		AttnNorm: "ln_1.weight", AttnNormBias: "ln_1.bias", AttnQKVBias: "attn.c_attn.bias", AttnOutputBias: "attn.c_proj.bias",
		FFNNorm: "ln_2.weight", FFNNormBias: "ln_2.bias", FFNUpBias: "mlp.c_fc.bias", FFNDownBias: "mlp.c_proj.bias",
	},
	outside: map[string]string{
		tokenEmbedding: "transformer.wte.weight", positions: "transformer.wpe.weight",
		outputNorm: "transformer.ln_f.weight", outputNormBias: "transformer.ln_f.bias", outputHead: "lm_head.weight",
	},
	stem: "transformer.h.%d.",
	keys: map[string]string{
		"hidden_size": "n_embd", "num_attention_heads": "n_head", "num_hidden_layers": "n_layer", "max_position_embeddings": "n_positions",
		"intermediate_size": "n_inner", "rms_norm_eps": "layer_norm_epsilon", "hidden_act": "activation_function",
	},
	defaults:   `{"tie_word_embeddings": true, "rms_norm_eps": 1e-5, "hidden_act": "gelu_new"}`,
	activation: geluTanh, layerNorm: true, learned: true, transposed: true,
	settings: func(h *hfConfig, c *Config) error {
		if c.MLP == 0 {
			c.MLP = 4 * c.Hidden
		}
		if h.ScaleByBlock || h.ScaleWeights != nil && !*h.ScaleWeights {
			return errors.New("config.json: scale_attn_by_inverse_layer_idx and scale_attn_weights: finch runs GPT-2 as OpenAI's models are")
		}
		return nil
	},
}

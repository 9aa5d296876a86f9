package model

import "errors"

// qwen3moe is Qwen3-30B-A3B and Qwen3-235B-A22B (arXiv 2505.09388): qwen3 with a mixture of experts.
var qwen3moe = architecture{
	gguf: "qwen3moe", modelType: "qwen3_moe",
	layers: union(separateQKV, experts), parts: union(normBefore, qkNorm, router, qkvBias, outBias), optional: every(qkvBias, outBias),
	outside: aroundBlocks, stem: blockStem,
	keys:     map[string]string{"num_experts": "num_local_experts"}, // as newer transformers write it
	defaults: `{"use_sliding_window": false, "moe_intermediate_size": 768, "num_key_value_heads": 4, "num_experts": 128, "num_experts_per_tok": 8}`,
	settings: expertsEverywhere, normTopK: true,
}

// expertsEverywhere refuses Qwen's mixtures with blocks that have an MLP, which llama.cpp does not run either, and windows.
func expertsEverywhere(h *hfConfig, c *Config) error {
	switch {
	case h.SparseStep > 1 || len(h.DenseBlocks) > 0:
		return errors.New("config.json: decoder_sparse_step and mlp_only_layers: finch runs mixtures with experts in every block")
	case c.Window > 0:
		return errors.New("config.json: use_sliding_window: finch runs Qwen's mixtures without windows")
	}
	return nil
}

package model

// qwen2moe is Qwen1.5-MoE and Qwen2-57B-A14B (arXiv 2407.10671): qwen2 with a mixture of experts and one more for all tokens,
// which has a gate of its own.
var qwen2moe = architecture{
	gguf: "qwen2moe", modelType: "qwen2_moe",
	layers: union(separateQKV, experts, map[Kind]string{
		FFNGateShexp: "mlp.shared_expert.gate_proj", FFNUpShexp: "mlp.shared_expert.up_proj", FFNDownShexp: "mlp.shared_expert.down_proj",
	}),
	parts:    union(normBefore, qkvBias, router, map[Part]string{FFNSharedRouter: "mlp.shared_expert_gate.weight"}),
	optional: every(qkvBias),
	outside:  aroundBlocks, stem: blockStem,
	keys:     map[string]string{"attention_bias": "qkv_bias"},
	defaults: `{"attention_bias": true, "use_sliding_window": false, "moe_intermediate_size": 1408, "shared_expert_intermediate_size": 5632, "num_experts": 60, "num_experts_per_tok": 4}`,
	settings: expertsEverywhere,
}

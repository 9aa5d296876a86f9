package model

// mixtral is Mixtral 8x7B and 8x22B (arXiv 2401.04088): Mistral with eight experts instead of an MLP. GGUF files call it llama.
var mixtral = architecture{
	gguf: "llama", modelType: "mixtral",
	layers: union(separateQKV, map[Kind]string{
		FFNGateExps: "block_sparse_moe.experts.%d.w1", FFNUpExps: "block_sparse_moe.experts.%d.w3", FFNDownExps: "block_sparse_moe.experts.%d.w2",
	}),
	parts:   union(normBefore, map[Part]string{FFNRouter: "block_sparse_moe.gate.weight"}),
	outside: aroundBlocks, stem: blockStem,
	keys:        map[string]string{"num_experts": "num_local_experts"},
	defaults:    `{"num_key_value_heads": 8, "rms_norm_eps": 1e-5, "rope_theta": 1e6, "num_experts": 8, "num_experts_per_tok": 2, "norm_topk_prob": true}`,
	interleaved: true, normTopK: true,
}

package model

// olmoe is OLMoE (arXiv 2409.02060): Llama with q and k normalized as a whole, and a mixture of experts.
var olmoe = architecture{
	gguf: "olmoe", modelType: "olmoe",
	layers: union(separateQKV, experts), parts: union(normBefore, qkNorm, router),
	outside: aroundBlocks, stem: blockStem,
	defaults:   `{"rms_norm_eps": 1e-5, "num_experts": 64, "num_experts_per_tok": 8}`,
	wideQKNorm: true, settings: unclipped,
}

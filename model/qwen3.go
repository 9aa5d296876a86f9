package model

// qwen3 is Qwen 3 (arXiv 2505.09388): Llama that normalizes the q and k of each head.
var qwen3 = architecture{
	gguf: "qwen3", modelType: "qwen3",
	layers: union(separateQKV, gatedMLP), parts: union(normBefore, qkNorm, qkvBias, outBias), optional: every(qkvBias, outBias),
	outside: aroundBlocks, stem: blockStem,
	defaults: `{"head_dim": 128, "sliding_window": 4096, "use_sliding_window": false, "max_window_layers": 28}`, windowsAbove: true,
}

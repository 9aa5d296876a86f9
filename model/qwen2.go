package model

// qwen2 is Qwen 2 and 2.5 (arXiv 2407.10671, 2412.15115): Llama with biases on q, k and v.
var qwen2 = architecture{
	gguf: "qwen2", modelType: "qwen2",
	layers: union(separateQKV, gatedMLP), parts: union(normBefore, qkvBias),
	outside: aroundBlocks, stem: blockStem,
	defaults: `{"sliding_window": 4096, "use_sliding_window": false, "max_window_layers": 28}`, windowsAbove: true,
}

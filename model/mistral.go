package model

// mistral is Mistral 7B (arXiv 2310.06825): Llama whose first version sees a window of 4096 tokens. GGUF files call it llama,
// and llama.cpp's have no window.
var mistral = architecture{
	gguf: "llama", modelType: "mistral",
	layers: union(separateQKV, gatedMLP), parts: normBefore,
	outside: aroundBlocks, stem: blockStem,
	defaults:    `{"sliding_window": 4096, "num_key_value_heads": 8}`,
	interleaved: true,
}

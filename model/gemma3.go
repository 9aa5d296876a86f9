package model

// gemma3 is the text model of Gemma 3 (arXiv 2503.19786): gemma2 with q and k of each head normalized instead of limited
// scores, five blocks with a window to one without, and rotary frequencies of their own for these.
var gemma3 = architecture{
	gguf: "gemma3", modelType: "gemma3_text",
	layers: union(separateQKV, gatedMLP), parts: union(gemmaNorms, qkNorm),
	outside: aroundBlocks, stem: blockStem,
	keys: gemmaKeys,
	defaults: `{"tie_word_embeddings": true, "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256, "query_pre_attn_scalar": 256,
		"sliding_window": 4096, "max_position_embeddings": 131072, "rope_theta": 1e6, "rope_local_base_freq": 1e4, "hidden_act": "gelu_pytorch_tanh"}`,
	usual:      Config{LocalTheta: 1e4},
	activation: geluTanh, normOffset: 1, scaled: true, globalEvery: 6, settings: gemmaSettings, wideScale: 62,
}

package model

// llama is Llama 1, 2, 3, 3.1 and 3.2 (arXiv 2302.13971, 2307.09288, 2407.21783), and the many models that are built like
// them, SmolLM2 and finchling among them.
var llama = architecture{
	gguf: "llama", modelType: "llama",
	layers: union(separateQKV, gatedMLP), parts: union(normBefore, qkvBias, outBias, mlpBias), optional: every(qkvBias, outBias, mlpBias),
	outside: aroundBlocks, stem: blockStem,
	interleaved: true,
}

var mlpBias = map[Part]string{FFNGateBias: "mlp.gate_proj.bias", FFNUpBias: "mlp.up_proj.bias", FFNDownBias: "mlp.down_proj.bias"}

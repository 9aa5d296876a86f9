package model

// phi3 is Phi-3 and Phi-4-mini (arXiv 2404.14219, 2503.01743): Llama with q, k and v in one matrix and gate and up in
// another, and rotary frequencies that depend on the length of the text.
var phi3 = architecture{
	gguf: "phi3", modelType: "phi3",
	layers: map[Kind]string{AttnQKV: "self_attn.qkv_proj", AttnOutput: "self_attn.o_proj", FFNUp: "mlp.gate_up_proj", FFNDown: "mlp.down_proj"},
	parts:  normBefore, outside: aroundBlocks, stem: blockStem,
	defaults:  `{"rms_norm_eps": 1e-5}`,
	fusedGate: true,
}

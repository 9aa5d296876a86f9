package model

import "errors"

// olmo2 is OLMo 2 (arXiv 2501.00656): Llama that normalizes what each sublayer adds instead of what it reads, and q and k as
// a whole.
var olmo2 = architecture{
	gguf: "olmo2", modelType: "olmo2",
	layers: union(separateQKV, gatedMLP),
	parts: union(qkNorm, map[Part]string{
		AttnPostNorm: "post_attention_layernorm.weight", FFNPostNorm: "post_feedforward_layernorm.weight",
	}),
	outside: aroundBlocks, stem: blockStem,
	defaults:   `{"rms_norm_eps": 1e-5}`,
	wideQKNorm: true, settings: unclipped,
}

// unclipped refuses OLMo's limit to q, k and v, which no published model of these versions has.
func unclipped(h *hfConfig, _ *Config) error {
	if h.ClipQKV != nil {
		return errors.New("config.json: clip_qkv is not supported")
	}
	return nil
}

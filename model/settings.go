package model

import (
	"fmt"

	"github.com/finch-llm/finch/model/gguf"
)

// settings is the configuration in the keys of GGUF, as llama.cpp's converter writes them. What llama.cpp has no key for
// follows in keys of the same kind, which it does not read (see GGUFLoss).
func (m *Model) settings() []gguf.KV {
	c, d := &m.Config, m.design()
	var kv []gguf.KV
	add := func(key string, v gguf.Value) { kv = append(kv, gguf.KV{Key: c.Architecture + "." + key, Value: v}) }
	size := func(key string, n int) { add(key, gguf.ValueOf(uint32(n))) }
	number := func(key string, x float64) { add(key, gguf.ValueOf(float32(x))) }
	// without leaves out what stands for nothing, unless a file without the key stands for something.
	without := func(key string, x, usual float64) {
		if x > 0 || usual > 0 {
			number(key, x)
		}
	}
	size("block_count", c.Blocks)
	size("context_length", c.Context)
	size("embedding_length", c.Hidden)
	size("feed_forward_length", c.MLP)
	size("attention.head_count", c.Heads)
	size("attention.head_count_kv", c.KVHeads)
	size("attention.key_length", c.HeadDim)
	size("attention.value_length", c.HeadDim)
	if !d.learned {
		size(keyRotary, c.Rotary())
	}
	size("vocab_size", c.Vocab)
	number(d.epsilonKey(), c.NormEps)
	if !d.learned {
		number(keyTheta, c.RopeTheta)
	}
	without(keyLocalTheta, c.LocalTheta, d.usual.LocalTheta)
	without(keyScoreLimit, c.AttentionSoftcap, d.usual.AttentionSoftcap)
	without(keyLogitLimit, c.FinalSoftcap, d.usual.FinalSoftcap)
	if c.attentionScale() != c.llamaScale(c.Blocks) {
		number(keyScale, c.attentionScale())
	}
	if c.Window > 0 || d.usual.Window > 0 {
		size(keyWindow, c.Window)
		if key, pattern := m.WindowPattern(&m.Network); pattern != nil {
			kv = append(kv, gguf.KV{Key: key, Value: gguf.ArrayOf(pattern)})
		}
	}
	if d.mixture() {
		size("expert_count", c.Experts)
		size("expert_used_count", c.ExpertsUsed)
		size("expert_feed_forward_length", c.ExpertMLP)
		if c.SharedMLP > 0 {
			size("expert_shared_feed_forward_length", c.SharedMLP)
		}
		if c.NormTopK != d.normTopK {
			add(keyNormTopK, gguf.ValueOf(c.NormTopK))
		}
	}
	if s := c.Scaling; s != nil && s.Type != "llama3" { // that stands in rope_freqs
		add(keyScaling, gguf.ValueOf(s.Type))
		if s.Type != "longrope" {
			number(keyFactor, s.Factor)
		}
		if s.Original > 0 {
			size(keyOriginal, s.Original)
		}
		switch s.Type {
		case "longrope":
			without(keyAttention, s.Attention, 0)
		case "yarn":
			without(keyYarnAttention, s.Attention, 0)
			number(keyBetaFast, s.BetaFast)
			number(keyBetaSlow, s.BetaSlow)
		}
	}
	return kv
}

// WindowPattern says of each block of a network that is not dropped whether it has a window, and under which key of GGUF that
// stands; nil: none has, or every one of them.
func (m *Model) WindowPattern(n *Network) (key string, pattern []bool) {
	key = m.Architecture + "." + keyWindowPattern
	if m.Window == 0 {
		return key, nil
	}
	matters := m.design().globalEvery > 0
	for b := range n.Blocks {
		if block := &n.Blocks[b]; !block.DropAttn || !block.DropMLP {
			pattern = append(pattern, block.Local)
			matters = matters || !block.Local
		}
	}
	if !matters {
		return key, nil
	}
	return key, pattern
}

// PermutesQK says whether GGUF has the rows of q and k in another order than the model: pair by pair.
func (c *Config) PermutesQK() bool { return c.design().interleaved && !c.RopeInterleaved }

// GGUFLoss says what llama.cpp would get wrong about the model as a GGUF of so many blocks, because the format or the engine has no
// place for it; nil: nothing. That it lets every block of all architectures but Gemma see everything is left out: it does so
// with files of its own making, and matters beyond the window only.
func (m *Model) GGUFLoss(blocks int) error {
	c, d := &m.Config, m.design()
	scaling := ""
	if c.Scaling != nil {
		scaling = c.Scaling.Type
	}
	llamas := c.Architecture == "llama"
	var what string
	switch {
	case d.mixture() && c.NormTopK != d.normTopK:
		what = fmt.Sprintf("norm_topk_prob is %v", c.NormTopK)
	case c.attentionScale() != c.llamaScale(blocks):
		what = fmt.Sprintf("attention scores are multiplied by %v in %d blocks", c.attentionScale(), blocks)
	case scaling == "llama3" && !llamas, scaling == "longrope" && !llamas && c.Architecture != "phi3":
		what = "rope scaling is of type " + scaling
	case c.Rotary() != c.HeadDim && llamas && !d.learned:
		what = fmt.Sprintf("%d of %d dimensions of each head are rotated", c.Rotary(), c.HeadDim)
	case c.Extra.Has(AttnOutputBias) && !llamas:
		what = "attention's output has biases"
	case c.Architecture == "gemma2" && (c.AttentionSoftcap == 0 || c.FinalSoftcap == 0),
		c.Architecture != "gemma2" && (c.AttentionSoftcap > 0 || c.FinalSoftcap > 0 && c.Architecture != "gemma3"):
		what = fmt.Sprintf("attention scores are limited to %v and logits to %v", c.AttentionSoftcap, c.FinalSoftcap)
	default:
		return nil
	}
	return fmt.Errorf("llama.cpp runs every %s model as if it were otherwise: %s: write a packed file", c.Architecture, what)
}

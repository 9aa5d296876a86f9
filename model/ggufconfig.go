package model

import (
	"errors"
	"fmt"
	"math"

	"github.com/finch-llm/finch/model/gguf"
)

// Keys of GGUF's metadata, after the architecture's name, that are read and written.
const (
	keyRMSEps        = "attention.layer_norm_rms_epsilon"
	keyLayerNormEps  = "attention.layer_norm_epsilon"
	keyScale         = "attention.scale"
	keyScoreLimit    = "attn_logit_softcapping"
	keyLogitLimit    = "final_logit_softcapping"
	keyWindow        = "attention.sliding_window"
	keyWindowPattern = "attention.sliding_window_pattern"
	keyTheta         = "rope.freq_base"
	keyLocalTheta    = "rope.freq_base_swa"
	keyRotary        = "rope.dimension_count"
	keyScaling       = "rope.scaling.type"
	keyFactor        = "rope.scaling.factor"
	keyOldFactor     = "rope.scale_linear"
	keyOriginal      = "rope.scaling.original_context_length"
	keyAttention     = "rope.scaling.attn_factor"
	keyYarnAttention = "rope.scaling.yarn_attn_factor"
	keyBetaFast      = "rope.scaling.yarn_beta_fast"
	keyBetaSlow      = "rope.scaling.yarn_beta_slow"
	keyNormTopK      = "expert_weights_norm"
)

// epsilonKey is where the norm's epsilon stands.
func (a *architecture) epsilonKey() string {
	if a.layerNorm {
		return keyLayerNormEps
	}
	return keyRMSEps
}

// sizes are the keys of whole numbers, and where they belong.
func (c *Config) sizes() []ggufSize {
	return []ggufSize{
		{"embedding_length", &c.Hidden, false},
		{"feed_forward_length", &c.MLP, false},
		{"attention.head_count", &c.Heads, false},
		{"attention.head_count_kv", &c.KVHeads, true},
		{"attention.key_length", &c.HeadDim, true},
		{"block_count", &c.Blocks, false},
		{"context_length", &c.Context, false},
		{"vocab_size", &c.Vocab, true},
		{"expert_count", &c.Experts, true},
		{"expert_used_count", &c.ExpertsUsed, true},
		{"expert_feed_forward_length", &c.ExpertMLP, true},
		{"expert_shared_feed_forward_length", &c.SharedMLP, true},
		{keyWindow, &c.Window, true},
		{keyRotary, &c.RotaryDim, true},
	}
}

type ggufSize struct {
	key      string
	value    *int
	optional bool
}

// ggufConfig reads the metadata and refuses what the forward pass would get wrong.
func ggufConfig(f *gguf.File) (Config, error) {
	name, _ := f.String("general.architecture")
	count, _ := f.Uint(name + ".expert_count")
	a := architectureOf(name, count > 0)
	if a == nil {
		what := "architecture"
		if count > 0 {
			what = "mixture of experts of architecture"
		}
		return Config{}, fmt.Errorf("%s %q is not known: finch runs %s", what, name, known(func(a *architecture) string { return a.gguf }))
	}
	c := a.usual
	c.Architecture, c.RopeInterleaved = name, a.interleaved
	c.Name, _ = f.String("general.name")
	for _, k := range c.sizes() {
		key := name + "." + k.key
		value, there := f.Get(key)
		if !there && k.optional {
			continue
		}
		v, ok := value.Uint()
		if !there || !ok || v > 1<<24 {
			return Config{}, fmt.Errorf("metadata key %s is missing, or not one whole number up to 2^24", key)
		}
		*k.value = int(v)
	}
	if c.KVHeads == 0 {
		c.KVHeads = c.Heads
	}
	if c.HeadDim == 0 && c.Heads > 0 {
		c.HeadDim = c.Hidden / c.Heads
	}
	if c.RotaryDim == c.HeadDim || a.learned {
		c.RotaryDim = 0
	}
	if value, ok := f.Uint(name + ".attention.value_length"); ok && int(value) != c.HeadDim {
		return Config{}, fmt.Errorf("%s.attention.value_length is %d, the head dimension %d: finch runs models where they are the same", name, value, c.HeadDim)
	}
	if err := c.readNumbers(f, a); err != nil {
		return Config{}, err
	}
	c.readExperts(f, a)
	return c, nil
}

// readExperts completes the sizes of a mixture as llama.cpp does.
func (c *Config) readExperts(f *gguf.File, a *architecture) {
	if !a.mixture() {
		return
	}
	c.NormTopK = a.normTopK
	if norm, ok := f.Bool(c.Architecture + "." + keyNormTopK); ok {
		c.NormTopK = norm
	}
	shared := a.layers[FFNDownShexp] != ""
	if shared && c.SharedMLP == 0 {
		c.SharedMLP = c.MLP
	}
	if c.ExpertMLP == 0 {
		if c.ExpertMLP = c.MLP; shared && c.ExpertsUsed > 0 {
			c.ExpertMLP = c.MLP / c.ExpertsUsed
		}
	}
}

// readNumbers reads the keys that are no whole numbers.
func (c *Config) readNumbers(f *gguf.File, a *architecture) error {
	c.RopeTheta = 10000
	if a.learned {
		c.RopeTheta = 0
	}
	for _, k := range []struct {
		key      string
		value    *float64
		optional bool
	}{
		{a.epsilonKey(), &c.NormEps, false},
		{keyTheta, &c.RopeTheta, true},
		{keyLocalTheta, &c.LocalTheta, true},
		{keyScale, &c.AttentionScale, true},
		{keyScoreLimit, &c.AttentionSoftcap, true},
		{keyLogitLimit, &c.FinalSoftcap, true},
	} {
		key := c.Architecture + "." + k.key
		value, there := f.Get(key)
		if !there && k.optional {
			continue
		}
		var ok bool
		if *k.value, ok = value.Float(); !there || !ok {
			return fmt.Errorf("metadata key %s is missing or no number", key)
		}
	}
	if c.AttentionScale == 0 && c.Blocks == a.wideScale {
		c.AttentionScale = c.llamaScale(c.Blocks)
	}
	return nil
}

// llamaScale is what llama.cpp multiplies attention scores by in a model of so many blocks.
func (c *Config) llamaScale(blocks int) float64 {
	if blocks == c.design().wideScale && c.Heads > 0 {
		return 1 / math.Sqrt(float64(c.Hidden/c.Heads))
	}
	return 1 / math.Sqrt(float64(c.HeadDim))
}

// describeGGUF completes the configuration with what the tensors of a file say, and finds out which blocks have a window.
func describeGGUF(m *Model, load *loader, f *gguf.File) (local func(block int) bool, err error) {
	c := &m.Config
	c.TiedHead = !load.has(load.name(-1, outputHead))
	c.Extra = load.extra(c)
	if c.Scaling, err = load.scaling(c, f); err != nil {
		return nil, fmt.Errorf("%s: %w", load.ref, err)
	}
	pattern := c.Architecture + "." + keyWindowPattern
	if list, ok := f.Bools(pattern); ok {
		if len(list) != c.Blocks {
			return nil, fmt.Errorf("%s: metadata key %s lists %d blocks of %d", load.ref, pattern, len(list), c.Blocks)
		}
		return func(b int) bool { return list[b] }, nil
	}
	every := c.design().globalEvery
	if n, ok := f.Uint(pattern); ok && n <= maxBlocks {
		every = int(n)
	}
	return globalEvery(every), nil
}

// scaling reads how rotary positions are stretched, some of which stands in tensors.
func (l *loader) scaling(c *Config, f *gguf.File) (*RopeScaling, error) {
	prefix := c.Architecture + "."
	s := &RopeScaling{BetaFast: 32, BetaSlow: 1, Original: c.Context}
	s.Type, _ = f.String(prefix + keyScaling)
	for _, k := range []struct {
		key   string
		value *float64
	}{
		{keyOldFactor, &s.Factor}, {keyFactor, &s.Factor}, {keyAttention, &s.Attention}, {keyYarnAttention, &s.Attention},
		{keyBetaFast, &s.BetaFast}, {keyBetaSlow, &s.BetaSlow},
	} {
		if x, ok := f.Float(prefix + k.key); ok {
			*k.value = x
		}
	}
	if n, ok := f.Uint(prefix + keyOriginal); ok && n <= 1<<24 {
		s.Original = int(n)
	}
	factors := func(name string) []float32 {
		if rotary := c.Rotary(); l.has(l.name(-1, name)) && rotary > 0 {
			return l.vector(l.name(-1, name), rotary/2)
		}
		return nil
	}
	s.Long, s.Short = factors(ropeLong), factors(ropeShort)
	switch {
	case l.has(l.name(-1, ropeFactors)):
		if s.Type != "" && s.Type != "none" {
			return nil, errors.New("rope frequency factors (rope_freqs) together with rope scaling are not supported")
		}
		return &RopeScaling{Type: "llama3", Short: factors(ropeFactors)}, l.err
	case s.Long != nil || s.Type == "longrope":
		s.Type = "longrope"
		if s.Attention == 0 {
			s.Attention = 1
		}
		return s, l.err
	case s.Type == "none" || s.Type == "" && (s.Factor == 0 || s.Factor == 1):
		return nil, nil
	case s.Type == "":
		s.Type = "linear" // as llama.cpp takes a factor alone
	}
	return s, nil
}

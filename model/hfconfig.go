package model

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/finch-llm/finch/model/tokenizer"
)

// hfConfig is what finch reads of a Hugging Face config.json, under Llama's keys.
type hfConfig struct {
	ModelType     string          `json:"model_type"`
	Name          string          `json:"_name_or_path"`
	Hidden        int             `json:"hidden_size"`
	MLP           int             `json:"intermediate_size"`
	Heads         int             `json:"num_attention_heads"`
	KVHeads       *int            `json:"num_key_value_heads"`
	HeadDim       *int            `json:"head_dim"`
	Blocks        int             `json:"num_hidden_layers"`
	Vocab         int             `json:"vocab_size"`
	Context       int             `json:"max_position_embeddings"`
	NormEps       *float64        `json:"rms_norm_eps"`
	TiedHead      bool            `json:"tie_word_embeddings"`
	HiddenAct     string          `json:"hidden_act"`
	AttentionBias bool            `json:"attention_bias"`
	MLPBias       bool            `json:"mlp_bias"`
	Quantization  json.RawMessage `json:"quantization_config"`
	BOS           tokenIDs        `json:"bos_token_id"`
	EOS           tokenIDs        `json:"eos_token_id"`

	RopeTheta       *float64        `json:"rope_theta"`
	LocalTheta      float64         `json:"rope_local_base_freq"`
	RopeScaling     json.RawMessage `json:"rope_scaling"`
	RopeParams      json.RawMessage `json:"rope_parameters"`
	PartialRotary   *float64        `json:"partial_rotary_factor"`
	OriginalContext int             `json:"original_max_position_embeddings"`

	Window           *int     `json:"sliding_window"`
	UseWindow        *bool    `json:"use_sliding_window"`
	MaxWindowLayers  int      `json:"max_window_layers"`
	WindowPattern    int      `json:"sliding_window_pattern"`
	LayerTypes       []string `json:"layer_types"`
	Bidirectional    bool     `json:"use_bidirectional_attention"`
	QueryScalar      float64  `json:"query_pre_attn_scalar"`
	AttentionSoftcap *float64 `json:"attn_logit_softcapping"`
	FinalSoftcap     *float64 `json:"final_logit_softcapping"`
	ClipQKV          *float64 `json:"clip_qkv"`
	ScaleByBlock     bool     `json:"scale_attn_by_inverse_layer_idx"`
	ScaleWeights     *bool    `json:"scale_attn_weights"`
	UseBias          *bool    `json:"use_bias"`

	Experts     int   `json:"num_experts"`
	ExpertsUsed int   `json:"num_experts_per_tok"`
	ExpertMLP   int   `json:"moe_intermediate_size"`
	SharedMLP   int   `json:"shared_expert_intermediate_size"`
	NormTopK    bool  `json:"norm_topk_prob"`
	SparseStep  int   `json:"decoder_sparse_step"`
	DenseBlocks []int `json:"mlp_only_layers"`
}

// tokenIDs are token ids: one, a list, or none.
type tokenIDs []int32

func (t *tokenIDs) UnmarshalJSON(data []byte) error {
	if json.Unmarshal(data, (*[]int32)(t)) == nil {
		return nil
	}
	*t = make(tokenIDs, 1)
	return json.Unmarshal(data, &(*t)[0])
}

// or is the first id, or another if there is none.
func (t tokenIDs) or(other int32) int32 {
	if len(t) == 0 {
		return other
	}
	return t[0]
}

// specials gives a tokenizer the tokens around texts that config.json and generation_config.json name, the latter nil if there
// is none. The first end is that of a text.
func (h *hfConfig) specials(t *tokenizer.Tokenizer, generation []byte) (*tokenizer.Tokenizer, error) {
	var more struct {
		EOS tokenIDs `json:"eos_token_id"`
	}
	if generation != nil {
		if err := json.Unmarshal(generation, &more); err != nil {
			return nil, fmt.Errorf("generation_config.json: %w", err)
		}
	}
	bos, add := t.BOS()
	eos := h.EOS.or(t.EOS())
	var ends []int32
	for _, id := range slices.Concat(h.EOS, more.EOS) {
		if id != eos && t.Token(id) != "" && !slices.Contains(ends, id) {
			ends = append(ends, id)
		}
	}
	return t.WithSpecials(h.BOS.or(bos), eos, add, ends...), nil
}

// parseConfig reads a config.json and finds its architecture.
func parseConfig(data []byte) (*hfConfig, *architecture, error) {
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		return nil, nil, fmt.Errorf("config.json is not a model configuration: %w", err)
	}
	var name string
	if err := json.Unmarshal(raw["model_type"], &name); err != nil && raw["model_type"] != nil {
		return nil, nil, fmt.Errorf("config.json is not a model configuration: model_type: %w", err)
	}
	at := slices.IndexFunc(architectures, func(a *architecture) bool { return a.modelType == name })
	if at < 0 {
		return nil, nil, fmt.Errorf("config.json: model_type %q is not known: finch runs %s", name, known(func(a *architecture) string { return a.modelType }))
	}
	a := architectures[at]
	for usual, key := range a.keys {
		if raw[key] != nil {
			raw[usual] = raw[key]
		}
	}
	h := &hfConfig{}
	data, err := json.Marshal(raw)
	if err == nil && a.defaults != "" {
		err = json.Unmarshal([]byte(a.defaults), h)
	}
	if err == nil {
		err = json.Unmarshal(data, h)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("config.json is not a model configuration: %w", err)
	}
	return h, a, nil
}

// present says whether a key has a value.
func present(raw json.RawMessage) bool { return len(raw) > 0 && !bytes.Equal(raw, []byte("null")) }

// config checks a config.json and refuses what the forward pass would get wrong.
func (h *hfConfig) config(a *architecture) (Config, error) {
	switch {
	case h.HiddenAct != "" && !slices.Contains(a.activation.names(), h.HiddenAct):
		return Config{}, fmt.Errorf("config.json: hidden_act %q is not the %q of %s", h.HiddenAct, a.activation.names()[0], a.modelType)
	case h.AttentionBias && !a.optional[AttnQBias]:
		return Config{}, fmt.Errorf("config.json: attention_bias is not supported: %s has none", a.modelType)
	case h.MLPBias && !a.optional[FFNUpBias]:
		return Config{}, fmt.Errorf("config.json: mlp_bias is not supported: %s has none", a.modelType)
	case h.Bidirectional:
		return Config{}, errors.New("config.json: use_bidirectional_attention is not supported: finch runs models that predict the next token")
	case present(h.Quantization):
		return Config{}, errors.New("config.json: the model is quantized already (quantization_config): give finch the original in bf16, f16 or f32")
	case h.Heads <= 0:
		return Config{}, fmt.Errorf("config.json: num_attention_heads is %d", h.Heads)
	case a.mixture() && h.Experts <= 0:
		return Config{}, fmt.Errorf("config.json: the number of experts is %d", h.Experts)
	}
	c := Config{
		Architecture: a.gguf, Name: h.Name, Hidden: h.Hidden, MLP: h.MLP, Heads: h.Heads, KVHeads: h.Heads,
		HeadDim: h.Hidden / h.Heads, Blocks: h.Blocks, Vocab: h.Vocab, Context: h.Context, NormEps: 1e-6, TiedHead: h.TiedHead,
		Extra: h.extra(a),
	}
	if h.KVHeads != nil {
		c.KVHeads = *h.KVHeads
	}
	if h.HeadDim != nil {
		c.HeadDim = *h.HeadDim
	}
	if h.NormEps != nil {
		c.NormEps = *h.NormEps
	}
	if h.Window != nil && (h.UseWindow == nil || *h.UseWindow) {
		c.Window = *h.Window
	}
	if a.mixture() {
		c.Experts, c.ExpertsUsed, c.NormTopK = h.Experts, h.ExpertsUsed, h.NormTopK
		if c.ExpertMLP = h.ExpertMLP; c.ExpertMLP == 0 {
			c.ExpertMLP = h.MLP
		}
	}
	if a.layers[FFNDownShexp] != "" {
		c.SharedMLP = h.SharedMLP
	}
	if a.settings != nil {
		if err := a.settings(h, &c); err != nil {
			return Config{}, err
		}
	}
	if a.learned {
		return c, nil
	}
	return c, h.rope(&c)
}

// extra is the optional parts that the configuration asks for.
func (h *hfConfig) extra(a *architecture) PartSet {
	var set PartSet
	for p := range NumParts {
		if a.optional[p] && (p.IsAttention() && h.AttentionBias || !p.IsAttention() && h.MLPBias) {
			set = set.with(p)
		}
	}
	return set
}

// local says which blocks have a window.
func (h *hfConfig) local(a *architecture) (func(block int) bool, error) {
	every := a.globalEvery
	if h.WindowPattern > 0 {
		every = h.WindowPattern
	}
	switch {
	case len(h.LayerTypes) > 0:
		for _, t := range h.LayerTypes {
			if t != "sliding_attention" && t != "full_attention" {
				return nil, fmt.Errorf("config.json: layer_types: attention of type %q is not supported", t)
			}
		}
		if len(h.LayerTypes) != h.Blocks {
			return nil, fmt.Errorf("config.json: layer_types lists %d blocks of %d", len(h.LayerTypes), h.Blocks)
		}
		return func(b int) bool { return h.LayerTypes[b] == "sliding_attention" }, nil
	case a.windowsAbove:
		return func(b int) bool { return b >= h.MaxWindowLayers }, nil
	}
	return globalEvery(every), nil
}

// globalEvery is a pattern of windows in which every n-th block has none; 0: every block has one.
func globalEvery(n int) func(block int) bool {
	return func(b int) bool { return n == 0 || (b+1)%n != 0 }
}

// ropeParams are rotary settings where older (rope_scaling) and newer (rope_parameters) configurations put them.
type ropeParams struct {
	Type          string    `json:"rope_type"`
	OldType       string    `json:"type"`
	Theta         *float64  `json:"rope_theta"`
	Factor        float64   `json:"factor"`
	Original      int       `json:"original_max_position_embeddings"`
	Low           float64   `json:"low_freq_factor"`
	High          float64   `json:"high_freq_factor"`
	BetaFast      float64   `json:"beta_fast"`
	BetaSlow      float64   `json:"beta_slow"`
	Attention     float64   `json:"attention_factor"`
	MScale        float64   `json:"mscale"`
	MScaleAll     float64   `json:"mscale_all_dim"`
	Truncate      *bool     `json:"truncate"`
	Short         []float32 `json:"short_factor"`
	Long          []float32 `json:"long_factor"`
	PartialRotary *float64  `json:"partial_rotary_factor"`

	// Models whose blocks with windows have frequencies of their own have both.
	Global *ropeParams `json:"full_attention"`
	Local  *ropeParams `json:"sliding_attention"`
}

// rope reads how positions are rotated.
func (h *hfConfig) rope(c *Config) error {
	p := ropeParams{Theta: h.RopeTheta, Original: h.OriginalContext, PartialRotary: h.PartialRotary}
	for _, raw := range []json.RawMessage{h.RopeScaling, h.RopeParams} {
		if !present(raw) {
			continue
		}
		if err := json.Unmarshal(raw, &p); err != nil {
			return fmt.Errorf("config.json: rope parameters: %w", err)
		}
	}
	c.RopeTheta, c.LocalTheta = 10000, h.LocalTheta // transformers' default
	if p.Local != nil {
		if p.Local.Type != "" && p.Local.Type != "default" {
			return fmt.Errorf("config.json: rope scaling %q of blocks with windows is not supported", p.Local.Type)
		}
		if p.Local.Theta != nil {
			c.LocalTheta = *p.Local.Theta
		}
	}
	if p.Global != nil {
		p = *p.Global
	}
	if p.Theta != nil {
		c.RopeTheta = *p.Theta
	}
	if p.PartialRotary != nil && *p.PartialRotary != 1 {
		if c.RotaryDim = int(*p.PartialRotary * float64(c.HeadDim)); c.RotaryDim <= 0 {
			return fmt.Errorf("config.json: partial_rotary_factor is %v", *p.PartialRotary)
		}
	}
	var err error
	if c.Scaling, err = p.scaling(c); err != nil {
		return fmt.Errorf("config.json: %w", err)
	}
	return nil
}

// scaling translates what is not the default.
func (p *ropeParams) scaling(c *Config) (*RopeScaling, error) {
	kind := p.Type
	if kind == "" {
		kind = p.OldType
	}
	s := &RopeScaling{Type: kind, Factor: p.Factor, Original: p.Original, Attention: p.Attention}
	switch kind {
	case "", "default":
		return nil, nil
	case "linear":
		return s, nil
	case "llama3":
		if !(p.Factor > 0) || !(p.High > p.Low) || !(p.Low > 0) || p.Original <= 0 || c.Rotary() < 0 || c.Rotary() > 1<<16 {
			return nil, fmt.Errorf("rope scaling llama3: factor %v, low_freq_factor %v, high_freq_factor %v and original context %d make no sense", p.Factor, p.Low, p.High, p.Original)
		}
		s.Short = llama3Factors(c.Rotary(), c.RopeTheta, p.Factor, p.Low, p.High, p.Original)
		return s, nil
	case "yarn":
		if p.Truncate != nil && !*p.Truncate || p.MScale != 0 || p.MScaleAll != 0 {
			return nil, errors.New("rope scaling yarn with mscale, mscale_all_dim or without truncate is not supported")
		}
		s.BetaFast, s.BetaSlow = 32, 1
		if p.BetaFast > 0 {
			s.BetaFast = p.BetaFast
		}
		if p.BetaSlow > 0 {
			s.BetaSlow = p.BetaSlow
		}
	case "longrope", "su":
		s.Type, s.Short, s.Long = "longrope", p.Short, p.Long
	}
	if s.Factor == 0 && p.Original > 0 {
		s.Factor = float64(c.Context) / float64(p.Original)
	}
	if s.Original == 0 {
		s.Original = c.Context
	}
	if s.Type == "longrope" && s.Attention == 0 {
		s.Attention = 1
		if s.Factor > 1 && s.Original > 1 {
			s.Attention = float64(float32(math.Sqrt(1 + math.Log(s.Factor)/math.Log(float64(s.Original))))) // as GGUF has it
		}
	}
	return s, nil
}

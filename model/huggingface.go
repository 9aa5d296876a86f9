package model

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/finch-llm/finch/kernels"
	"github.com/finch-llm/finch/model/safetensors"
	"github.com/finch-llm/finch/model/tokenizer"
)

// hfConfig is the part of a Hugging Face config.json that the Llama family needs.
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
	RopeTheta     *float64        `json:"rope_theta"`
	RopeScaling   json.RawMessage `json:"rope_scaling"`
	RopeParams    json.RawMessage `json:"rope_parameters"`
	NormEps       *float64        `json:"rms_norm_eps"`
	TiedHead      bool            `json:"tie_word_embeddings"`
	HiddenAct     string          `json:"hidden_act"`
	AttentionBias bool            `json:"attention_bias"`
	MLPBias       bool            `json:"mlp_bias"`
	Quantization  json.RawMessage `json:"quantization_config"`
	BOS           tokenID         `json:"bos_token_id"`
	EOS           tokenID         `json:"eos_token_id"`
}

// tokenID is a token id, the first of a list of them, or none.
type tokenID struct{ id *int32 }

func (t *tokenID) UnmarshalJSON(data []byte) error {
	var list []int32
	if json.Unmarshal(data, &list) == nil {
		if len(list) > 0 {
			t.id = &list[0]
		}
		return nil
	}
	return json.Unmarshal(data, &t.id)
}

// or is the id, or another if there is none.
func (t tokenID) or(other int32) int32 {
	if t.id == nil {
		return other
	}
	return *t.id
}

// hfNames maps the kinds of layers to Hugging Face's names within a block.
var hfNames = [NumKinds]string{
	"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
	"mlp.gate_proj", "mlp.up_proj", "mlp.down_proj",
}

// config checks a config.json and refuses what the forward pass would get wrong.
func (h *hfConfig) config() (Config, error) {
	theta, err := ropeTheta(h)
	if err != nil {
		return Config{}, err
	}
	present := func(raw json.RawMessage) bool { return len(raw) > 0 && !bytes.Equal(raw, []byte("null")) }
	switch {
	case h.ModelType != "llama":
		return Config{}, fmt.Errorf("config.json: model_type %q is not known: finch runs \"llama\"", h.ModelType)
	case h.HiddenAct != "" && h.HiddenAct != "silu":
		return Config{}, fmt.Errorf("config.json: hidden_act %q is not the Llama family's \"silu\"", h.HiddenAct)
	case h.AttentionBias || h.MLPBias:
		return Config{}, errors.New("config.json: attention_bias and mlp_bias are not supported: the Llama family has none")
	case present(h.Quantization):
		return Config{}, errors.New("config.json: the model is quantized already (quantization_config): give finch the original in bf16, f16 or f32")
	case h.Heads <= 0:
		return Config{}, fmt.Errorf("config.json: num_attention_heads is %d", h.Heads)
	}
	c := Config{
		Architecture: "llama", Name: h.Name, Hidden: h.Hidden, MLP: h.MLP, Heads: h.Heads, KVHeads: h.Heads,
		HeadDim: h.Hidden / h.Heads, Blocks: h.Blocks, Vocab: h.Vocab, Context: h.Context,
		RopeTheta: theta, NormEps: 1e-6, TiedHead: h.TiedHead,
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
	return c, nil
}

// ropeTheta finds the rotary base where older (rope_theta) and newer (rope_parameters) configurations put it.
func ropeTheta(h *hfConfig) (float64, error) {
	theta := 10000.0 // transformers' default
	if h.RopeTheta != nil {
		theta = *h.RopeTheta
	}
	for _, raw := range []json.RawMessage{h.RopeScaling, h.RopeParams} {
		if len(raw) == 0 {
			continue
		}
		var p *struct {
			Type    string   `json:"rope_type"`
			OldType string   `json:"type"`
			Theta   *float64 `json:"rope_theta"`
		}
		if err := json.Unmarshal(raw, &p); err != nil {
			return 0, fmt.Errorf("config.json: rope parameters: %w", err)
		}
		if p == nil {
			continue
		}
		if t := p.Type + p.OldType; t != "" && t != "default" {
			return 0, fmt.Errorf("config.json: rope scaling %q is not supported: finch runs models without rope scaling", t)
		}
		if p.Theta != nil {
			theta = *p.Theta
		}
	}
	return theta, nil
}

// openFolder reads a Hugging Face folder: config.json, tokenizer.json, model.safetensors or its shards.
func openFolder(dir string) (*Model, error) {
	config, err := readSmall(filepath.Join(dir, "config.json"), 1<<20)
	if err != nil {
		return nil, err
	}
	tok, err := readSmall(filepath.Join(dir, "tokenizer.json"), 256<<20)
	if err != nil {
		return nil, err
	}
	weights, err := safetensors.OpenFolder(dir)
	if err != nil {
		return nil, err
	}
	m, err := fromHuggingFace(dir, config, tok, weights)
	if err != nil {
		weights.Close()
		return nil, err
	}
	m.close = weights.Close
	return m, nil
}

// readSmall reads a file that no model has larger than limit bytes.
func readSmall(path string, limit int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("a Hugging Face model folder holds config.json, tokenizer.json and *.safetensors: %w", err)
	}
	if info.Size() > limit {
		return nil, fmt.Errorf("%s has %d bytes: more than %d cannot be right", path, info.Size(), limit)
	}
	return os.ReadFile(path)
}

// fromHuggingFace assembles a model from the contents of a Hugging Face folder.
func fromHuggingFace(ref string, config, tok []byte, weights *safetensors.Folder) (*Model, error) {
	var h hfConfig
	if err := json.Unmarshal(config, &h); err != nil {
		return nil, fmt.Errorf("%s: config.json is not a model configuration: %w", ref, err)
	}
	c, err := h.config()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", ref, err)
	}
	if c.Name == "" {
		c.Name = strings.TrimPrefix(filepath.Base(ref), "builtin:")
	}
	m := &Model{Config: c, Ref: ref, configJSON: config, tokenizerJSON: tok}
	if m.Tokenizer, err = tokenizer.FromJSON(tok, ref+"/tokenizer.json"); err != nil {
		return nil, err
	}
	bos, add := m.Tokenizer.BOS()
	m.Tokenizer = m.Tokenizer.WithSpecials(h.BOS.or(bos), h.EOS.or(m.Tokenizer.EOS()), add)
	load := loader{ref: ref, hash: sha256.New(), find: func(name string) (*kernels.Matrix, error) {
		t, ok := weights.Tensor(name)
		if !ok {
			return nil, fmt.Errorf("tensor %s is missing", name)
		}
		format, ok := map[string]kernels.Format{"F32": kernels.F32, "F16": kernels.F16, "BF16": kernels.BF16}[string(t.DType)]
		if !ok {
			return nil, fmt.Errorf("tensor %s is stored as %s: finch reads F32, F16 and BF16", name, t.DType)
		}
		return shaped(name, format, t.Shape, t.Data)
	}}
	load.hash.Write(config)
	load.hash.Write(tok)
	m.Embedding = load.matrix("model.embed_tokens.weight")
	m.OutputNorm = load.vector("model.norm.weight", c.Hidden)
	m.Head = m.Embedding
	if !c.TiedHead {
		m.Head = load.matrix("lm_head.weight")
	}
	for b := range load.blocks(c.Blocks) {
		prefix := fmt.Sprintf("model.layers.%d.", b)
		block := Block{
			AttnNorm: load.vector(prefix+"input_layernorm.weight", c.Hidden),
			MLPNorm:  load.vector(prefix+"post_attention_layernorm.weight", c.Hidden),
		}
		for k := range NumKinds {
			block.Layers[k] = load.matrix(prefix + hfNames[k] + ".weight")
		}
		m.Network.Blocks = append(m.Network.Blocks, block)
	}
	if load.err != nil {
		return nil, load.err
	}
	if err := m.validate(); err != nil {
		return nil, err
	}
	names := func(yield func(string) bool) {
		for _, t := range weights.Tensors {
			if !yield(t.Name) {
				return
			}
		}
	}
	// Old files repeat the rotary frequencies, and a tied head.
	redundant := func(name string) bool {
		return strings.HasSuffix(name, ".rotary_emb.inv_freq") || c.TiedHead && name == "lm_head.weight"
	}
	if err := load.finish(names, redundant); err != nil {
		return nil, err
	}
	m.Hash, m.Bytes = hex.EncodeToString(load.hash.Sum(nil)), load.bytes
	return m, nil
}

package model

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/finch-llm/finch/model/safetensors"
	"github.com/finch-llm/finch/model/tokenizer"
)

// tiny is the configuration of testdata/tiny-llama with some keys changed.
func tiny(t testing.TB, changes map[string]any) []byte {
	t.Helper()
	return changedConfig(t, "testdata/tiny-llama", changes)
}

// changedConfig is the config.json of a folder with some keys changed; a nil value removes one.
func changedConfig(t testing.TB, folder string, changes map[string]any) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(folder, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	var config map[string]any
	if err := json.Unmarshal(data, &config); err != nil {
		t.Fatal(err)
	}
	for key, value := range changes {
		if config[key] = value; value == nil {
			delete(config, key)
		}
	}
	if data, err = json.Marshal(config); err != nil {
		t.Fatal(err)
	}
	return data
}

func TestConfigurationsThatWouldRunWrongAreRefused(t *testing.T) {
	weights, err := safetensors.OpenFolder("testdata/tiny-llama")
	if err != nil {
		t.Fatal(err)
	}
	defer weights.Close()
	for _, c := range []struct {
		name    string
		changes map[string]any
		want    string // "" for none
	}{
		{"as it is", nil, ""},
		{"defaults", map[string]any{"head_dim": nil, "rope_theta": nil}, ""},
		{"default rope type", map[string]any{"rope_scaling": map[string]any{"rope_type": "default"}}, ""},
		{"several ends", map[string]any{"eos_token_id": []int{0, 1}}, ""},
		{"another architecture", map[string]any{"model_type": "mamba"}, `model_type "mamba" is not known`},
		{"activation", map[string]any{"hidden_act": "gelu"}, `hidden_act "gelu"`},
		{"bias", map[string]any{"attention_bias": true}, "self_attn.q_proj.bias is missing"},
		{"MLP bias", map[string]any{"mlp_bias": true}, "mlp.gate_proj.bias is missing"},
		{"Mistral's biases", map[string]any{"model_type": "mistral", "attention_bias": true}, "attention_bias is not supported: mistral"},
		{"quantized", map[string]any{"quantization_config": map[string]any{"bits": 4}}, "quantized already"},
		{"rope scaling", map[string]any{"rope_scaling": map[string]any{"rope_type": "dynamic", "factor": 8}}, `rope scaling "dynamic"`},
		{"llama3 without its factors", map[string]any{"rope_scaling": map[string]any{"rope_type": "llama3", "factor": 8}}, "make no sense"},
		{"longrope without its factors", map[string]any{"rope_scaling": map[string]any{"rope_type": "longrope", "factor": 8}}, "0 long factors for 8 frequencies"},
		{"linear without its factor", map[string]any{"rope_scaling": map[string]any{"rope_type": "linear"}}, "make no sense"},
		{"old rope scaling", map[string]any{"rope_scaling": map[string]any{"type": "linear", "factor": 8}}, ""},
		{"other attention", map[string]any{"layer_types": []string{"full_attention", "chunked_attention"}}, `"chunked_attention"`},
		{"attention of other blocks", map[string]any{"layer_types": []string{"full_attention"}}, "1 blocks of 2"},
		{"to both sides", map[string]any{"use_bidirectional_attention": true}, "use_bidirectional_attention"},
		{"no heads", map[string]any{"num_attention_heads": 0}, "num_attention_heads is 0"},
		{"odd sharing", map[string]any{"num_key_value_heads": 3}, "cannot share"},
		{"no key/value heads", map[string]any{"num_key_value_heads": 0}, "key/value heads is 0"},
		{"odd head", map[string]any{"head_dim": 15}, "needs pairs"},
		{"wrong head", map[string]any{"head_dim": 8}, "blk.0.attn_q.weight is [64, 64], the configuration says [32, 64]"},
		{"negative blocks", map[string]any{"num_hidden_layers": -1}, "blocks is -1"},
		{"more blocks", map[string]any{"num_hidden_layers": 3}, "model.layers.2.input_layernorm.weight is missing"},
		{"absurd blocks", map[string]any{"num_hidden_layers": 1 << 40}, "blocks is"},
		{"fewer blocks", map[string]any{"num_hidden_layers": 1}, "model.layers.1.input_layernorm.weight has no place"},
		{"many blocks", map[string]any{"num_hidden_layers": 100_000}, "more than any model has"},
		{"wrong hidden size", map[string]any{"hidden_size": 32}, "elements"},
		{"wrong vocabulary", map[string]any{"vocab_size": 97}, "token_embd.weight is [96, 64]"},
		{"no theta", map[string]any{"rope_theta": 0}, "must be positive"},
		{"no epsilon", map[string]any{"rms_norm_eps": 0}, "must be positive"},
		{"wrong type", map[string]any{"hidden_size": "big"}, "not a model configuration"},
		{"null", nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := fromHuggingFace("tiny", tiny(t, c.changes), &tokenizer.Files{JSON: []byte(oneToken)}, weights)
			switch {
			case c.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}

func TestOpenSaysWhatAModelIs(t *testing.T) {
	empty := t.TempDir()
	noWeights := t.TempDir()
	for _, f := range []struct{ name, text string }{{"config.json", string(tiny(t, nil))}, {"tokenizer.json", oneToken}} {
		if err := os.WriteFile(filepath.Join(noWeights, f.name), []byte(f.text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ ref, want string }{
		{"builtin:sparrow", "finch ships builtin:finchling"},
		{filepath.Join(empty, "nothing.gguf"), "no such file"},
		{empty, "config.json"},
		{noWeights, "safetensors"},
		{filepath.Join(noWeights, "config.json"), "GGUF"},
	} {
		if _, err := Open(c.ref); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Open(%q): %v, want an error with %q", c.ref, err, c.want)
		}
	}
}

func TestOpenAs(t *testing.T) {
	m, err := OpenAs(Builtin, "hf://org/name")
	if err != nil {
		t.Fatal(err)
	}
	if m.Path != Builtin || m.Ref != "hf://org/name" {
		t.Errorf("path %q, reference %q", m.Path, m.Ref)
	}
}

func TestBuiltin(t *testing.T) {
	m, err := Open(Builtin)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if m.Hidden != 256 || m.MLP != 768 || m.HeadDim != 64 || m.KVHeads != 2 || m.Vocab != 4096 || !m.TiedHead {
		t.Errorf("%+v", m.Config)
	}
	if total := m.LayerWeights() + int64(m.Vocab*m.Hidden); total < 7e6 || m.Bytes > 24<<20 {
		t.Errorf("%d weights in %d bytes", total, m.Bytes)
	}
}

// FuzzConfig looks for configurations that crash or allocate beyond what they can mean.
func FuzzConfig(f *testing.F) {
	f.Add(tiny(f, nil))
	configs, err := filepath.Glob("testdata/architectures/*/config.json")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range configs {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"model_type":"llama","num_attention_heads":1,"num_hidden_layers":65536,"rope_parameters":null}`))
	f.Add([]byte(`{"model_type":"llama","eos_token_id":[],"rope_scaling":{"type":""}}`))
	weights, err := safetensors.OpenFolder("testdata/tiny-llama")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, config []byte) {
		m, err := fromHuggingFace("fuzz", config, &tokenizer.Files{JSON: []byte(oneToken)}, weights)
		if err == nil && len(m.Network.Blocks) != m.Blocks {
			t.Errorf("%d blocks loaded of %d", len(m.Network.Blocks), m.Blocks)
		}
	})
}

// What is copied into memory is known before it is.
func TestCopiedLayers(t *testing.T) {
	for name, copied := range map[string]func(k Kind) bool{
		"llama": func(Kind) bool { return false }, "gpt2": func(Kind) bool { return true }, "mixtral": isExperts, "qwen2-moe": isExperts,
	} {
		dir := "testdata/architectures/" + name
		weights, err := safetensors.OpenFolder(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer weights.Close()
		m, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		want := int64(0)
		for b := range m.Network.Blocks {
			for k, l := range m.Network.Blocks[b].Layers {
				if l != nil && copied(Kind(k)) {
					want += int64(len(l.Data))
				}
			}
		}
		if got := m.design().copied(weights); got != want {
			t.Errorf("%s: %d bytes are copied, want %d", name, got, want)
		}
	}
}

func isExperts(k Kind) bool { return strings.HasSuffix(k.String(), "_exps") }

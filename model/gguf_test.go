package model

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/finch-llm/finch/kernels"
	"github.com/finch-llm/finch/model/gguf"
)

// asGGUF writes finchling as a GGUF file, with some metadata changed; the zero Value removes a key. The rows
// of q and k are written as they are: the file is for loading, not for running.
func asGGUF(t *testing.T, changes map[string]gguf.Value) []byte {
	t.Helper()
	m, err := Open(Builtin)
	if err != nil {
		t.Fatal(err)
	}
	meta, err := m.Metadata()
	if err != nil {
		t.Fatal(err)
	}
	for key, value := range changes {
		meta = slices.DeleteFunc(slices.Clone(meta), func(kv gguf.KV) bool { return kv.Key == key })
		if value.Encoded() != nil {
			meta = append(meta, gguf.KV{Key: key, Value: value})
		}
	}
	h := gguf.Header{Meta: meta}
	var data [][]byte
	add := func(name string, f kernels.Format, bytes []byte, dims ...uint64) {
		kind, _ := gguf.TypeOf(f)
		h.Tensors = append(h.Tensors, gguf.TensorSpec{Name: name + ".weight", Dims: dims, Type: kind})
		data = append(data, bytes)
	}
	matrix := func(name string, w *kernels.Matrix) { add(name, w.Format, w.Data, uint64(w.Cols), uint64(w.Rows)) }
	ones := bytes.Repeat([]byte{0, 0, 0x80, 0x3f}, m.Hidden)
	matrix("token_embd", m.Embedding)
	add("output_norm", kernels.F32, ones, uint64(m.Hidden))
	for b := range m.Network.Blocks {
		prefix := strings.TrimSuffix(LayerName(b, AttnQ), "attn_q")
		add(prefix+"attn_norm", kernels.F32, ones, uint64(m.Hidden))
		add(prefix+"ffn_norm", kernels.F32, ones, uint64(m.Hidden))
		for _, k := range m.Kinds() {
			matrix(LayerName(b, k), m.Network.Blocks[b].Layers[k])
		}
	}
	var file bytes.Buffer
	err = gguf.Write(&file, h, func(i int, w io.Writer) error { _, err := w.Write(data[i]); return err })
	if err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

func TestGGUFMetadata(t *testing.T) {
	for _, c := range []struct {
		name    string
		changes map[string]gguf.Value
		want    string // "" for none
	}{
		{"as it is", nil, ""},
		{"optional keys absent", map[string]gguf.Value{"llama.attention.key_length": {}, "llama.vocab_size": {}, "llama.rope.freq_base": {}}, ""},
		{"another architecture", map[string]gguf.Value{"general.architecture": gguf.ValueOf("mamba")}, `architecture "mamba"`},
		{"no architecture", map[string]gguf.Value{"general.architecture": {}}, `architecture ""`},
		{"no hidden size", map[string]gguf.Value{"llama.embedding_length": {}}, "llama.embedding_length"},
		{"heads per block", map[string]gguf.Value{"llama.attention.head_count_kv": gguf.ArrayOf([]uint32{2, 2})}, "llama.attention.head_count_kv"},
		{"theta in words", map[string]gguf.Value{"llama.rope.freq_base": gguf.ValueOf("high")}, "llama.rope.freq_base"},
		{"no epsilon", map[string]gguf.Value{"llama.attention.layer_norm_rms_epsilon": {}}, "epsilon"},
		{"rope scaling", map[string]gguf.Value{"llama.rope.scaling.type": gguf.ValueOf("dynamic")}, `rope scaling "dynamic"`},
		{"linear rope scaling", map[string]gguf.Value{"llama.rope.scaling.type": gguf.ValueOf("linear"), "llama.rope.scaling.factor": gguf.ValueOf(float32(4))}, ""},
		{"yarn", map[string]gguf.Value{"llama.rope.scaling.type": gguf.ValueOf("yarn"), "llama.rope.scaling.factor": gguf.ValueOf(float32(4))}, ""},
		{"yarn without a factor", map[string]gguf.Value{"llama.rope.scaling.type": gguf.ValueOf("yarn")}, "make no sense"},
		{"longrope without factors", map[string]gguf.Value{"llama.rope.scaling.type": gguf.ValueOf("longrope")}, "0 long factors"},
		{"partial rope", map[string]gguf.Value{"llama.rope.dimension_count": gguf.ValueOf(uint32(32))}, ""},
		{"odd rope", map[string]gguf.Value{"llama.rope.dimension_count": gguf.ValueOf(uint32(33))}, "needs pairs"},
		{"other values", map[string]gguf.Value{"llama.attention.value_length": gguf.ValueOf(uint32(32))}, "where they are the same"},
		{"experts that are not there", map[string]gguf.Value{"llama.expert_count": gguf.ValueOf(uint32(8)), "llama.expert_used_count": gguf.ValueOf(uint32(2))}, "blk.0.ffn_gate_inp.weight is missing"},
		{"no mixture", map[string]gguf.Value{"general.architecture": gguf.ValueOf("gpt2"), "gpt2.expert_count": gguf.ValueOf(uint32(8))}, `mixture of experts of architecture "gpt2"`},
		{"more blocks", map[string]gguf.Value{"llama.block_count": gguf.ValueOf(uint32(99))}, "attn_norm.weight is missing"},
		{"fewer blocks", map[string]gguf.Value{"llama.block_count": gguf.ValueOf(uint32(11))}, "blk.11.attn_norm.weight has no place"},
		{"fewer heads", map[string]gguf.Value{"llama.attention.head_count": gguf.ValueOf(uint32(2))}, "the configuration says"},
		{"no heads", map[string]gguf.Value{"llama.attention.head_count": gguf.ValueOf(uint32(0))}, "attention heads is 0"},
		{"unknown tokenizer", map[string]gguf.Value{"tokenizer.ggml.model": gguf.ValueOf("rwkv")}, "rwkv"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, err := gguf.Parse(asGGUF(t, c.changes), "test.gguf")
			if err != nil {
				t.Fatal(err)
			}
			m, err := fromGGUF("test.gguf", f)
			switch {
			case c.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case c.want == "" && (!m.RopeInterleaved || !m.TiedHead || m.Tokenizer.Decode(m.Tokenizer.Encode("Call me Ishmael.")) != "Call me Ishmael."):
				t.Errorf("read as %+v", m.Config)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}

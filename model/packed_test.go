package model_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/finch-llm/finch/compress"
	"github.com/finch-llm/finch/export"
	"github.com/finch-llm/finch/internal/testmodel"
	"github.com/finch-llm/finch/kernels"
	"github.com/finch-llm/finch/model"
	"github.com/finch-llm/finch/model/safetensors"
)

// packedSample is a packed file of two blocks: sparse layers, one of which has rows that are no whole bytes of mask, a
// quantized one, one of integer groups, and a dropped MLP.
func packedSample(t testing.TB) []byte {
	t.Helper()
	m, err := model.Open(testmodel.Folder(t, testmodel.Llama(1, 2, 32, 44, testmodel.Vocab)))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	n := m.Network.Clone()
	n.Blocks[1].DropMLP = true
	for kind, name := range map[model.Kind]string{model.FFNDown: "sparse-0.60", model.AttnV: "sparse-0.50+q4_0", model.AttnQ: "q8_0", model.AttnK: "int3-g32"} {
		level, err := compress.ParseLevel(name)
		if err != nil {
			t.Fatal(err)
		}
		dense := n.Blocks[0].Layers[kind]
		layer := compress.Layer{Name: kind.String(), Rows: dense.Rows, Cols: dense.Cols, Weights: make([]float32, dense.Rows*dense.Cols)}
		kernels.UnpackBlocks(layer.Weights, dense.Format, dense.Data)
		if n.Blocks[0].Layers[kind], err = compress.Compress(layer, level); err != nil {
			t.Fatal(err)
		}
	}
	target, err := export.For("packed", m)
	if err != nil {
		t.Fatal(err)
	}
	files, err := target.Files(n)
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	if err := files[0].Write(&file); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// parts is a safetensors file that can be changed.
type parts struct {
	safetensors.Header
	data [][]byte
}

func (p *parts) find(name string) int {
	return slices.IndexFunc(p.Tensors, func(s safetensors.TensorSpec) bool { return s.Name == name })
}

func (p *parts) remove(name string) {
	i := p.find(name)
	p.Tensors, p.data = slices.Delete(p.Tensors, i, i+1), slices.Delete(p.data, i, i+1)
}

func (p *parts) add(name string, d safetensors.DType, data []byte, shape ...int) {
	p.Tensors = append(p.Tensors, safetensors.TensorSpec{Name: name, DType: d, Shape: shape})
	p.data = append(p.data, data)
}

func repack(t *testing.T, file []byte, change func(*parts)) []byte {
	t.Helper()
	f, err := safetensors.Parse(file, "sample")
	if err != nil {
		t.Fatal(err)
	}
	p := parts{Header: safetensors.Header{Metadata: f.Metadata}}
	for i := range f.Tensors {
		p.add(f.Tensors[i].Name, f.Tensors[i].DType, bytes.Clone(f.Tensors[i].Data), f.Tensors[i].Shape...)
	}
	change(&p)
	var out bytes.Buffer
	if err := safetensors.Write(&out, p.Header, func(i int, w io.Writer) error { _, err := w.Write(p.data[i]); return err }); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestPackedMistakes(t *testing.T) {
	file := packedSample(t)
	path := filepath.Join(t.TempDir(), "file.packed")
	openBytes := func(data []byte) error {
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		m, err := model.Open(path)
		if err == nil {
			m.Close()
		}
		return err
	}
	if err := openBytes(file); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, says string
		change     func(*parts)
	}{
		{"another's file", "give the Hugging Face folder", func(p *parts) { p.Metadata = map[string]string{"format": "pt"} }},
		{"version", `version "2"`, func(p *parts) { p.Metadata["version"] = "2" }},
		{"rope", `rope is "yarn"`, func(p *parts) { p.Metadata["rope"] = "yarn" }},
		{"no description", "tensor metadata is missing", func(p *parts) { p.remove("metadata") }},
		{"bad description", "metadata: header", func(p *parts) { p.data[p.find("metadata")][0] = 'X' }},
		{"no embedding", "token_embd: it is missing", func(p *parts) { p.remove("token_embd.f32") }},
		{"no layer", "blk.1.attn_k: it is missing", func(p *parts) { p.remove("blk.1.attn_k.f32") }},
		{"no norm", "4 of its", func(p *parts) { p.remove("blk.1.attn_norm.f32") }},
		{"norm of a dropped sublayer", "blk.1.ffn_gate: it is missing", func(p *parts) { p.add("blk.1.ffn_norm.f32", safetensors.F32, make([]byte, 128), 32) }},
		{"stored twice", "1 of its", func(p *parts) { p.add("blk.0.attn_q.f16", safetensors.F16, make([]byte, 2048), 32, 32) }},
		{"unknown tensor", "1 of its", func(p *parts) { p.add("blk.2.attn_q.f16", safetensors.F16, make([]byte, 2048), 32, 32) }},
		{"type", "blk.0.attn_q.q8_0 is not the U8", func(p *parts) { p.Tensors[p.find("blk.0.attn_q.q8_0")].DType = safetensors.I8 }},
		{"shape", "blk.0.attn_q.q8_0 is not the U8 of shape [32 34]", func(p *parts) { p.Tensors[p.find("blk.0.attn_q.q8_0")].Shape = []int{34, 32} }},
		{"norm of another width", "output_norm: 64 bytes are not whole rows of 32 weights", func(p *parts) {
			p.remove("output_norm.f32")
			p.add("output_norm.f32", safetensors.F32, make([]byte, 64), 16)
		}},
		{"no mask", "bytes are not whole rows of 44 weights", func(p *parts) { p.remove("blk.0.ffn_down.mask") }},
		{"a bit of mask more", "its mask takes", func(p *parts) {
			mask := p.data[p.find("blk.0.ffn_down.mask")]
			for c := range 8 {
				if mask[0]>>c&1 == 0 {
					mask[0] |= 1 << c
					return
				}
			}
		}},
		{"mask beyond the columns", "row 0 of the mask has bits beyond its 44 columns", func(p *parts) { p.data[p.find("blk.0.ffn_down.mask")][5] |= 0x80 }},
		{"mask of another shape", "blk.0.ffn_down.mask is not the U8", func(p *parts) { p.Tensors[p.find("blk.0.ffn_down.mask")].Shape = []int{6, 32} }},
		{"other rows", "attn_output.weight is [16, 32]", func(p *parts) {
			p.remove("blk.0.attn_output.f32")
			p.add("blk.0.attn_output.f32", safetensors.F32, make([]byte, 2048), 16, 32)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := openBytes(repack(t, file, test.change))
			if err == nil || !strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), path) {
				t.Errorf("%v, want %q", err, test.says)
			}
		})
	}
	for _, n := range []int{0, 1, 8, 9, 20, len(file) / 2, len(file) - 1} {
		if err := openBytes(file[:n]); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("cut to %d bytes: %v", n, err)
		}
	}
}

// FuzzPacked opens damaged packed files, and runs what opens.
func FuzzPacked(f *testing.F) {
	file := packedSample(f)
	f.Add(file)
	f.Add(file[:len(file)/2])
	f.Add([]byte("\x02\x00\x00\x00\x00\x00\x00\x00{}"))
	for _, name := range []string{"gemma3", "gpt2", "phi3", "qwen2-moe"} {
		f.Add(asFile(f, "packed", openGolden(f, "testdata/architectures/"+name)))
	}
	path := filepath.Join(f.TempDir(), "file.packed")
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		m, err := model.Open(path)
		if err != nil {
			return
		}
		defer m.Close()
		if m.Hidden > 64 || m.MLP > 64 || m.Heads*m.HeadDim > 64 || m.Context < 2 {
			return
		}
		r := model.NewRunner(m, kernels.Paths()[0], 2)
		if err := r.Hidden(make([]float32, 2*m.Hidden), &m.Network, []int32{0, 1}, 2); err != nil && m.Vocab > 1 {
			t.Error(err)
		}
	})
}

package export

import (
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/finch-llm/finch/internal/testmodel"
	"github.com/finch-llm/finch/model"
)

// compareCompressed has the library decompress every module of one folder, and compares it with finch's weights in f32 in
// another, for pairs of folders: scales are read as f32, where their products with codes are exact.
const compareCompressed = `
import json, sys, torch
from safetensors.torch import load_file
from compressed_tensors.compressors import BaseCompressor
from compressed_tensors.quantization import QuantizationConfig
for folder, plain in zip(sys.argv[1::2], sys.argv[2::2]):
    config = json.load(open(folder + "/config.json"))["quantization_config"]
    parsed = QuantizationConfig.model_validate({k: v for k, v in config.items() if k != "quant_method"})
    have, want = load_file(folder + "/model.safetensors"), load_file(plain + "/model.safetensors")
    decoder = BaseCompressor.load_from_registry(config["format"])
    packed = 0
    for scheme in parsed.config_groups.values():
        for name in scheme.targets:
            part = {k[len(name) + 1:]: have.pop(k) for k in list(have) if k.startswith(name + ".weight_")}
            part["weight_scale"] = part["weight_scale"].float()
            got = decoder.decompress(part, scheme)["weight"].to(torch.bfloat16)
            assert torch.equal(got, want.pop(name + ".weight")), name
            packed += 1
    for name in list(have):
        assert torch.equal(have[name], want.pop(name)), name
        module = name.removesuffix(".weight")
        assert "norm" in module or "embed" in module or module.endswith(".bias") or module in config["ignore"], name
    assert not want, want.keys()
    assert packed, folder
    print(packed)
`

func TestCompressedTensorsOracle(t *testing.T) {
	python := pythonWith(t, "compressed_tensors, torch")
	for _, test := range []struct {
		source string
		levels [4]string // q, k and v; attn_output; gate and up; ffn_down
	}{
		{"huggingface", [4]string{"int4-g32", "int8-g32-sym", "int4-g32-sym", "q4_0"}},
		{"gguf", [4]string{"int8-g64", "int4-g64", "bf16", "int3-g32"}},
		{"untied", [4]string{"q8_0", "int4-g32", "int8-g32", "int4-g32"}},
	} {
		m := sources(t)[test.source]
		n := m.Network.Clone()
		for i, level := range test.levels {
			leveled, _ := candidate(t, rand.New(rand.NewPCG(1, 0)), m, &packedTarget{m: m}, level)
			for b := range n.Blocks {
				for _, k := range [][]model.Kind{{model.AttnQ, model.AttnK, model.AttnV}, {model.AttnOutput}, {model.FFNGate, model.FFNUp}, {model.FFNDown}}[i] {
					n.Blocks[b].Layers[k] = leveled.Blocks[b].Layers[k]
				}
			}
		}
		n.Blocks[0].DropAttn = true
		drop(n, 1)
		var folders []string
		for _, name := range []string{"compressed-tensors", "safetensors"} {
			format, err := Open(name, m, Provenance{})
			if err != nil {
				t.Fatal(err)
			}
			dir, _ := writeFolder(t, format, n)
			folders = append(folders, dir)
		}
		out, err := exec.Command(python, append([]string{"-c", compareCompressed}, folders...)...).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v: %s", test.source, err, out)
		}
		t.Logf("%s: %s modules", test.source, out)
	}
}

func TestCompressedTensorsRefuses(t *testing.T) {
	m := open(t, testmodel.Folder(t, testmodel.Llama(1, 2, 64, 96, testmodel.Vocab)))
	format, err := Open("compressed-tensors", m, Provenance{})
	if err != nil {
		t.Fatal(err)
	}
	at := func(level string) *model.Network {
		n, _ := candidate(t, rand.New(rand.NewPCG(1, 0)), m, &packedTarget{m: m}, level)
		return n
	}
	mixed := at("int4-g32")
	mixed.Blocks[1].Layers[model.FFNUp] = at("int8-g32").Blocks[1].Layers[model.FFNUp]
	partly := at("int4-g32")
	partly.Blocks[0].Layers[model.AttnV] = at("q4_0").Blocks[0].Layers[model.AttnV]
	for says, n := range map[string]*model.Network{
		"blk.1.ffn_gate is stored as int4-g32 and blk.1.ffn_up as int8-g32": mixed,
		"blk.0.attn_q is stored as int4-g32 and blk.0.attn_v as q4_0":       partly,
		"no layer is at a level of 4 or 8 bits":                             at("int3-g32"),
	} {
		if _, err := format.Files(n); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("want %q, got %v", says, err)
		}
	}
}

func TestPackCodes(t *testing.T) {
	if got := packCodes([]uint8{1, 2, 3, 15, 0, 0, 0, 9}, 4); !slices.Equal(got, []byte{0x21, 0xf3, 0, 0x90}) {
		t.Errorf("packed are %x", got)
	}
}

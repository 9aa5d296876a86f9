package export

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/finch-llm/finch/internal/testmodel"
	"github.com/finch-llm/finch/model"
)

func TestEvoPress(t *testing.T) {
	m := open(t, testmodel.Folder(t, testmodel.Llama(1, 3, 64, 96, testmodel.Vocab)))
	const step = 256
	for name, test := range map[string]struct {
		p      Provenance
		levels map[int]string // of the number in the file
	}{
		"bits":     {Provenance{}, map[int]string{2: "int2-g32", 3: "int3-g64", 4: "q4_0", 8: "q8_0", 6: "int6-g32-sym"}},
		"sparsity": {Provenance{Center: 0.6, StepWeights: step}, map[int]string{-2: "", 0: "", 3: ""}},
	} {
		rng := rand.New(rand.NewPCG(1, 0))
		n, want := m.Network.Clone(), map[string]int{}
		for b := range n.Blocks {
			for _, k := range m.Kinds() {
				w := n.Blocks[b].Layers[k]
				numbers := slices.Sorted(maps.Keys(test.levels))
				number := numbers[rng.IntN(len(numbers))]
				level := test.levels[number]
				if level == "" {
					level = fmt.Sprintf("sparse@%d", LadderZeros(0.6, number, step, int64(w.Rows*w.Cols)))
				}
				n.Blocks[b].Layers[k] = compressed(t, m, b, k, level)
				want[model.LayerName(b, k)] = number
			}
		}
		format, err := Open("evopress", m, test.p)
		if err != nil {
			t.Fatal(err)
		}
		text := content(t, format, n)
		if !strings.HasPrefix(string(text), fmt.Sprintf("model.layers.0.self_attn.q_proj: %d\n", want["blk.0.attn_q"])) {
			t.Errorf("%s: %.100s", name, text)
		}
		e, err := ParseEvoPress(text, m)
		if err != nil {
			t.Fatal(err)
		}
		for layer, number := range want {
			if e.Numbers[layer] != number {
				t.Errorf("%s: %s is %d, want %d", name, layer, e.Numbers[layer], number)
			}
		}
		if len(e.Numbers) != len(want) || e.DropAttn != nil {
			t.Errorf("%s: %d numbers, %v", name, len(e.Numbers), e.DropAttn)
		}
	}
}

func TestEvoPressDrops(t *testing.T) {
	m := open(t, testmodel.Folder(t, testmodel.Llama(1, 4, 64, 96, testmodel.Vocab)))
	format, err := Open("evopress", m, Provenance{})
	if err != nil {
		t.Fatal(err)
	}
	n := without(m, []int{1, 3}, []int{2, 3})
	text := content(t, format, n)
	if string(text) != "none\nattn\nmlp\nattn+mlp\n" {
		t.Errorf("%s", text)
	}
	e, err := ParseEvoPress(text, m)
	if err != nil {
		t.Fatal(err)
	}
	for b := range n.Blocks {
		if e.DropAttn[b] != n.Blocks[b].DropAttn || e.DropMLP[b] != n.Blocks[b].DropMLP {
			t.Errorf("block %d drops %v and %v", b, e.DropAttn[b], e.DropMLP[b])
		}
	}
	n.Blocks[0].Layers[model.AttnQ] = compressed(t, m, 0, model.AttnQ, "int4-g32")
	files, err := format.Files(n)
	if err != nil || len(files) != 2 || files[0].Name != "configuration.txt" || files[1].Name != "layer_drop_config.txt" {
		t.Errorf("%v, %v", files, err)
	}
}

func TestEvoPressRefuses(t *testing.T) {
	m := open(t, testmodel.Folder(t, testmodel.Llama(1, 2, 64, 96, testmodel.Vocab)))
	for text, says := range map[string]string{
		"none\n":                           "1 lines for 2 blocks",
		"none\nall\n":                      `line 2 is "all"`,
		"":                                 "0 layers have a number",
		"model.layers.0.mlp.up_proj: 4":    "1 layers have a number, ",
		"model.layers.9.mlp.up_proj: 4":    "is no layer of",
		"model.layers.0.mlp.up_proj: four": "is neither",
		strings.Repeat("model.layers.0.mlp.up_proj: 4\n", 2): "is there twice",
	} {
		if _, err := ParseEvoPress([]byte(text), m); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: want %q, got %v", text, says, err)
		}
	}
	// A layer beside a ladder of sparsities has no step that stands for it.
	format, err := Open("evopress", m, Provenance{Center: 0.6, StepWeights: 256})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := format.Files(&m.Network); err == nil || !strings.Contains(err.Error(), "blk.0.attn_q: it is on no step of the ladder") {
		t.Errorf("a dense layer on a ladder: %v", err)
	}
}

func FuzzParseEvoPress(f *testing.F) {
	m := testmodel.Llama(1, 2, 64, 96, testmodel.Vocab)
	for _, text := range []string{"none\nattn+mlp\n", "model.layers.0.mlp.up_proj: 4\n", ": 1", "\r\n\n"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		e, err := ParseEvoPress(text, m)
		if err == nil && len(e.Numbers) != 2*len(m.Kinds()) && len(e.DropAttn) != 2 {
			t.Errorf("%q gives %d numbers and %d words", text, len(e.Numbers), len(e.DropAttn))
		}
	})
}

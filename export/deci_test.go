package export

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/finch-llm/finch/compress"
	"github.com/finch-llm/finch/internal/testmodel"
	"github.com/finch-llm/finch/model"
	"github.com/finch-llm/finch/model/gguf"
)

// promised is what a search adds up for a network whose sublayers have gates of their own.
func promised(t *testing.T, target Target, n *model.Network) int64 {
	t.Helper()
	sum := target.Fixed()
	for b := range n.Blocks {
		block := &n.Blocks[b]
		for _, s := range []struct{ dropped, attn bool }{{block.DropAttn, true}, {block.DropMLP, false}} {
			if s.dropped {
				instead, err := target.Dropped(b, s.attn, !s.attn)
				if err != nil {
					t.Fatal(err)
				}
				sum += instead
				continue
			}
			sum += target.Parts(s.attn)
			for k := range model.NumKinds {
				if w := block.Layers[k]; w != nil && k.IsAttention() == s.attn {
					sum += target.Layer(compress.Info{Layer: model.LayerName(b, k), Format: w.Format, Rows: w.Rows, Cols: w.Cols})
				}
			}
		}
	}
	return sum
}

// TestGGUFLosesSublayers drops single sublayers, in whatever block comes first too, and blocks beside them.
func TestGGUFLosesSublayers(t *testing.T) {
	for name, m := range sources(t) {
		target, err := For("gguf", m)
		if err != nil {
			t.Fatal(err)
		}
		rng := rand.New(rand.NewPCG(2, 0))
		drops := func(attn, mlp []int) {
			t.Run(fmt.Sprint(name, attn, mlp), func(t *testing.T) {
				n, _ := candidate(t, rng, m, target, "q4_0", "bf16")
				for _, b := range attn {
					n.Blocks[b].DropAttn = true
				}
				for _, b := range mlp {
					n.Blocks[b].DropMLP = true
				}
				sum := promised(t, target, n)
				size, err := Size(target, n)
				lost := int64(len(attn) + len(mlp))
				instead, _ := target.Dropped(0, true, false)
				if err != nil || size > sum || size < sum-lost*1024-2*instead {
					t.Errorf("%d bytes, at most %d were promised, %v", size, sum, err)
				}
				written := write(t, target, n)
				if m.RopeInterleaved {
					sameLogits(t, m, n, written)
				} else {
					closeLogits(t, m, n, written)
				}
				sameTokenizer(t, m, written)
				sameConfig(t, m, written)
			})
		}
		drops([]int{1}, nil)
		drops(nil, []int{1})
		drops([]int{0}, nil) // whose heads llama.cpp takes the size of all from
		if m.Blocks > 10 {
			drops([]int{0, 1}, []int{0})
			drops(nil, []int{0, 1})
			drops([]int{0, 1, 4}, []int{0, 2, 4, 10})
		}
	}
}

func TestDeciMetadata(t *testing.T) {
	m := open(t, testmodel.GGUF(t, testmodel.Llama(4, 4, 64, 96, testmodel.Vocab)))
	target, err := For("gguf", m)
	if err != nil {
		t.Fatal(err)
	}
	n, _ := candidate(t, rand.New(rand.NewPCG(3, 0)), m, target, "q4_0")
	drop(n, 0)
	n.Blocks[1].DropAttn, n.Blocks[2].DropMLP, n.Blocks[3].DropAttn = true, true, true
	f, err := gguf.Parse(content(t, target, n), "file")
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string][]int64{
		"deci.attention.head_count": {1, 4, 0}, "deci.attention.head_count_kv": {1, 2, 0}, "deci.feed_forward_length": {96, 1, 96},
	} {
		if got, ok := f.Ints(key); !ok || !slices.Equal(got, want) {
			t.Errorf("%s is %d, want %d", key, got, want)
		}
	}
	for key, want := range map[string]uint64{"deci.block_count": 3, "deci.attention.key_length": 16, "deci.attention.value_length": 16} {
		if got, ok := f.Uint(key); !ok || got != want {
			t.Errorf("%s is %d, want %d", key, got, want)
		}
	}
	if arch, _ := f.String("general.architecture"); arch != "deci" {
		t.Errorf("the architecture is %q", arch)
	}
	for _, kv := range f.Meta {
		if strings.HasPrefix(kv.Key, "llama.") {
			t.Errorf("%s is left", kv.Key)
		}
	}
	shapes := map[string][]uint64{
		"blk.0.attn_q.weight": {64, 16}, "blk.0.attn_output.weight": {16, 64}, "blk.1.ffn_up.weight": {64, 1}, "blk.1.ffn_down.weight": {1, 64},
		"blk.2.ffn_down.weight": {96, 64},
	}
	for name, want := range shapes {
		if tensor, ok := f.Tensor(name); !ok || !slices.Equal(tensor.Dims, want) {
			t.Errorf("%s is %v, want %d", name, tensor, want)
		}
	}
	if _, ok := f.Tensor("blk.2.attn_q.weight"); ok {
		t.Error("block 2 has attention")
	}
}

func TestDeciHoldsNoBiasesOrExperts(t *testing.T) {
	for name, change := range map[string]func(*model.Model){"experts": func(m *model.Model) { m.Experts = 4 }, "biases": func(m *model.Model) { m.Extra = 1 }} {
		m := testmodel.Llama(1, 2, 64, 96, testmodel.Vocab)
		change(m)
		target := &ggufTarget{m: m, alignment: 32}
		if _, err := target.Dropped(1, true, false); err == nil || !strings.Contains(err.Error(), "llama model with experts or biases can lose whole blocks only") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDeciIsLlamaOnly(t *testing.T) {
	m := testmodel.Llama(1, 2, 64, 96, testmodel.Vocab)
	target := &ggufTarget{m: m, alignment: 32}
	m.Architecture = "qwen2"
	if _, err := target.Dropped(1, true, true); err != nil {
		t.Error(err)
	}
	if _, err := target.Dropped(1, true, false); err == nil || !strings.Contains(err.Error(), "qwen2 model can lose whole blocks only") {
		t.Errorf("a single sublayer: %v", err)
	}
}

// llama.cpp knows Gemma 2's largest model by how many blocks it has: it can lose none.
func TestBlocksThatLlamaCPPCounts(t *testing.T) {
	m := testmodel.Llama(1, 46, 64, 96, testmodel.Vocab)
	m.Architecture, m.AttentionSoftcap, m.FinalSoftcap = "gemma2", 50, 30
	m.HeadDim *= 2 // where 1/√head dimension and the 27B's 1/√(hidden/heads) differ
	m.AttentionScale = 1 / math.Sqrt(float64(m.Hidden/m.Heads))
	target := &ggufTarget{m: m, alignment: 32}
	if _, err := target.Dropped(1, true, true); err == nil || !strings.Contains(err.Error(), "attention scores are multiplied by") {
		t.Errorf("a block of 46: %v", err)
	}
	m.Blocks, m.AttentionScale = 42, 0
	if _, err := target.Dropped(1, true, true); err != nil {
		t.Errorf("a block of 42: %v", err)
	}
}

// A stand-in that adds something is none: such a file is refused, not run without it.
func TestStandInsAreZero(t *testing.T) {
	m := open(t, testmodel.GGUF(t, testmodel.Llama(4, 3, 64, 96, testmodel.Vocab)))
	target, err := For("gguf", m)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"blk.0.attn_output", "blk.1.ffn_down"} {
		file := content(t, target, without(m, []int{0}, []int{1}))
		f, err := gguf.Parse(file, "file")
		if err != nil {
			t.Fatal(err)
		}
		tensor, ok := f.Tensor(part + ".weight")
		if !ok {
			t.Fatalf("%s is missing", part)
		}
		copy(tensor.Data, []byte{0, 0x3c, 0x80, 0x3f}) // 1 in f32; a scale of 1 in q4_0
		path := filepath.Join(t.TempDir(), "file.gguf")
		if err := os.WriteFile(path, file, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := model.Open(path); err == nil || !strings.Contains(err.Error(), part+" has another shape") {
			t.Errorf("%s: %v", part, err)
		}
	}
}

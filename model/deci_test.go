package model

import (
	"bytes"
	"strings"
	"testing"

	"github.com/finch-llm/finch/model/gguf"
)

// deciFile is a file of the architecture deci without tensors; each number is one of uint32, or []uint32 for an array.
func deciFile(t *testing.T, blocks uint32, heads, kv, width any) *gguf.File {
	t.Helper()
	meta := []gguf.KV{
		{Key: "general.architecture", Value: gguf.ValueOf("deci")}, {Key: "deci.block_count", Value: gguf.ValueOf(blocks)},
		{Key: "deci.context_length", Value: gguf.ValueOf(uint32(7))},
	}
	for _, n := range []struct {
		key   string
		value any
	}{{"attention.head_count", heads}, {"attention.head_count_kv", kv}, {"feed_forward_length", width}} {
		switch v := n.value.(type) {
		case uint32:
			meta = append(meta, gguf.KV{Key: "deci." + n.key, Value: gguf.ValueOf(v)})
		case []uint32:
			meta = append(meta, gguf.KV{Key: "deci." + n.key, Value: gguf.ArrayOf(v)})
		}
	}
	var file bytes.Buffer
	if err := gguf.Write(&file, gguf.Header{Meta: meta}, nil); err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Parse(file.Bytes(), "deci.gguf")
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestFromDeci(t *testing.T) {
	f, without, err := fromDeci(deciFile(t, 4, []uint32{1, 4, 0, 4}, []uint32{1, 2, 0, 2}, []uint32{96, 1, 96, 96}))
	if err != nil {
		t.Fatal(err)
	}
	for b, want := range []struct{ attn, mlp, attnStandIn bool }{{true, false, true}, {false, true, false}, {true, false, false}, {}} {
		if without[b] != want {
			t.Errorf("block %d is without %+v, want %+v", b, without[b], want)
		}
	}
	for key, want := range map[string]uint64{
		"llama.attention.head_count": 4, "llama.attention.head_count_kv": 2, "llama.feed_forward_length": 96, "llama.block_count": 4, "llama.context_length": 7,
	} {
		if got, ok := f.Uint(key); !ok || got != want {
			t.Errorf("%s is %d, %v, want %d", key, got, ok, want)
		}
	}
	if arch, _ := f.String("general.architecture"); arch != "llama" {
		t.Errorf("the architecture is %q", arch)
	}
	if _, without, err := fromDeci(deciFile(t, 2, uint32(4), uint32(2), uint32(96))); err != nil || without[0] != without[1] || without[0].attn || without[0].mlp {
		t.Errorf("numbers that are the same for all blocks: %+v, %v", without, err)
	}
}

func TestFromDeciRefuses(t *testing.T) {
	four, two, wide := []uint32{4, 4}, []uint32{2, 2}, []uint32{96, 96}
	for name, test := range map[string]struct {
		blocks           uint32
		heads, kv, width any
		says             string
	}{
		"no blocks":             {0, four, two, wide, "block_count"},
		"too many blocks":       {1 << 20, uint32(4), uint32(2), uint32(96), "block_count"},
		"too few numbers":       {3, four, two, wide, "deci.attention.head_count is missing, or not a number for each of 3 blocks"},
		"no heads":              {2, nil, two, wide, "deci.attention.head_count is"},
		"no width":              {2, four, two, nil, "deci.feed_forward_length is"},
		"zeros":                 {2, []uint32{0, 0}, two, wide, "deci.attention.head_count is"},
		"an MLP without width":  {2, four, two, []uint32{96, 0}, "block 1 has no stand-in"},
		"no heads in the first": {2, []uint32{0, 4}, []uint32{0, 2}, wide, "block 0 has no stand-in"},
		"linear attention":      {2, four, []uint32{2, 0}, wide, "block 1 has 4 heads and 0 key/value heads"},
		"other shared heads":    {2, four, []uint32{2, 1}, wide, "block 1 has 4 heads and 1 key/value heads"},
	} {
		if _, _, err := fromDeci(deciFile(t, test.blocks, test.heads, test.kv, test.width)); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: want %q, got %v", name, test.says, err)
		}
	}
}

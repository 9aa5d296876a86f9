package export

import (
	"bytes"
	"fmt"
	"regexp"

	"github.com/finch-llm/finch/kernels"
	"github.com/finch-llm/finch/model"
	"github.com/finch-llm/finch/model/gguf"
)

// recipeFormat is a file for llama-quantize --tensor-type-file: a line ^blk\.3\.attn_q\.weight$=q4_k for each layer, a
// regular expression and a type. Types alone are kept: llama-quantize rounds in its own way, and drops nothing.
type recipeFormat struct{ m *model.Model }

func (t recipeFormat) Files(n *model.Network) ([]File, error) {
	var text bytes.Buffer
	for b := range n.Blocks {
		block := &n.Blocks[b]
		if block.DropAttn || block.DropMLP {
			return nil, fmt.Errorf("block %d has lost a sublayer: llama-quantize takes its types from a recipe, and drops nothing: write gguf", b)
		}
		for _, k := range t.m.Kinds() {
			if err := writeLine(&text, model.LayerName(b, k), block.Layers[k]); err != nil {
				return nil, err
			}
		}
	}
	outside := []struct {
		name string
		w    *kernels.Matrix
	}{{"token_embd", t.m.Embedding}, {"output", t.m.Head}}
	if t.m.TiedHead {
		outside = outside[:1]
	}
	for _, o := range outside {
		if err := writeLine(&text, o.name, o.w); err != nil {
			return nil, err
		}
	}
	return []File{whole("", text.Bytes())}, nil
}

func writeLine(text *bytes.Buffer, name string, w *kernels.Matrix) error {
	if _, ok := gguf.TypeOf(w.Format); !ok {
		return fmt.Errorf("%s is stored in %s, which is no type of GGUF", name, w.Format)
	}
	fmt.Fprintf(text, "^%s$=%s\n", regexp.QuoteMeta(name+".weight"), w.Format)
	return nil
}

package cmd

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/finch-llm/finch/compress"
	"github.com/finch-llm/finch/kernels"
	"github.com/finch-llm/finch/model"
	"github.com/finch-llm/finch/model/gguf"
	"github.com/finch-llm/finch/store"
)

func newInspect() *cobra.Command {
	var tensors, asJSON bool
	c := &cobra.Command{
		Use:   "inspect MODEL",
		Short: "what a model is made of: its configuration, and how its weights are stored",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			r, err := inspect(c, args[0])
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(c, r)
			}
			return r.print(c, tensors)
		},
	}
	c.Flags().BoolVar(&tensors, "tensors", false, "list every tensor of a GGUF file, every weight matrix of another model")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

type inspection struct {
	Model      string       `json:"model"`
	Properties []property   `json:"properties"`
	Types      []typeTotal  `json:"types"`
	Tensors    []tensorInfo `json:"tensors"`
}

type property struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

type typeTotal struct {
	Type          string  `json:"type"`
	Tensors       int     `json:"tensors"`
	Weights       int64   `json:"weights"`
	Bytes         int64   `json:"bytes"`
	BitsPerWeight float64 `json:"bits_per_weight"`
}

type tensorInfo struct {
	Name  string `json:"name"`
	Type  string `json:"type"`
	Shape []int  `json:"shape"`
	Bytes int64  `json:"bytes"`
}

// inspect reads no weights. A GGUF file of any architecture can be inspected, other models if finch runs them.
func inspect(c *cobra.Command, ref string) (*inspection, error) {
	r := &inspection{Model: ref}
	path, err := resolver{c}.Model(ref)
	if err != nil {
		return nil, err
	}
	if isGGUF(path) {
		f, err := gguf.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		r.gguf(f)
	} else {
		m, err := openModel(c, ref)
		if err != nil {
			return nil, err
		}
		defer m.Close()
		r.model(m)
	}
	r.total()
	return r, nil
}

// isGGUF says whether ref is a file that begins as GGUF does.
func isGGUF(ref string) bool {
	f, err := os.Open(ref)
	if err != nil {
		return false
	}
	defer f.Close()
	var magic [4]byte
	_, err = io.ReadFull(f, magic[:])
	return err == nil && string(magic[:]) == "GGUF"
}

func (r *inspection) gguf(f *gguf.File) {
	for _, kv := range f.Meta {
		r.Properties = append(r.Properties, property{kv.Key, shorten(kv.Value.Brief(4))})
	}
	for i := range f.Tensors {
		t := &f.Tensors[i]
		shape := make([]int, len(t.Dims))
		for d, n := range t.Dims {
			shape[len(shape)-1-d] = int(n)
		}
		r.Tensors = append(r.Tensors, tensorInfo{t.Name, strings.ToLower(t.Type.String()), shape, int64(len(t.Data))})
	}
}

func (r *inspection) model(m *model.Model) {
	add := func(key string, value any) { r.Properties = append(r.Properties, property{key, fmt.Sprint(value)}) }
	add("architecture", m.Architecture)
	add("name", m.Name)
	add("blocks", m.Blocks)
	add("hidden", m.Hidden)
	add("mlp", m.MLP)
	add("heads", m.Heads)
	add("key/value heads", m.KVHeads)
	add("head dimension", m.HeadDim)
	if m.Experts > 0 {
		add("experts", m.Experts)
		add("experts for each token", m.ExpertsUsed)
		add("size of an expert", m.ExpertMLP)
	}
	if m.Window > 0 {
		add("window", m.Window)
	}
	add("vocabulary", m.Vocab)
	add("context", m.Context)
	add("rope theta", m.RopeTheta)
	add("norm epsilon", m.NormEps)
	add("tied head", m.TiedHead)
	matrix := func(name string, w *kernels.Matrix) {
		format := w.Format.String()
		if w.Mask != nil {
			format = "sparse " + format
		}
		r.Tensors = append(r.Tensors, tensorInfo{name + ".weight", format, []int{w.Rows, w.Cols}, w.Bytes()})
	}
	matrix("token_embd", m.Embedding)
	for b := range m.Network.Blocks {
		block := &m.Network.Blocks[b]
		for _, k := range m.Kinds() {
			if !block.Drops(k) {
				matrix(model.LayerName(b, k), block.Layers[k])
			}
		}
	}
	if !m.TiedHead {
		matrix("output", m.Head)
	}
}

// total sums by type, in order of first appearance.
func (r *inspection) total() {
	for _, t := range r.Tensors {
		i := slices.IndexFunc(r.Types, func(o typeTotal) bool { return o.Type == t.Type })
		if i < 0 {
			i = len(r.Types)
			r.Types = append(r.Types, typeTotal{Type: t.Type})
		}
		weights := int64(1)
		for _, n := range t.Shape {
			weights *= int64(n)
		}
		o := &r.Types[i]
		o.Tensors++
		o.Weights += weights
		o.Bytes += t.Bytes
		o.BitsPerWeight = compress.BitsPerWeight(o.Bytes, o.Weights)
	}
}

const widest = 100 // characters of a property on a line

func shorten(s string) string {
	if r := []rune(s); len(r) > widest {
		return string(r[:widest]) + "…"
	}
	return s
}

func (r *inspection) print(c *cobra.Command, tensors bool) error {
	out := c.OutOrStdout()
	fmt.Fprintln(out, r.Model)
	for _, p := range r.Properties {
		fmt.Fprintf(out, "  %-42s %s\n", p.Key, strings.ReplaceAll(p.Value, "\n", "\\n"))
	}
	types := &store.Table{Columns: []string{"type", "tensors", "weights", "bytes", "bits_per_weight"}}
	for _, t := range r.Types {
		types.Rows = append(types.Rows, []any{t.Type, int64(t.Tensors), t.Weights, t.Bytes, t.BitsPerWeight})
	}
	if err := store.Render(out, types, "table"); err != nil || !tensors {
		return err
	}
	list := &store.Table{Columns: []string{"tensor", "type", "shape", "bytes"}}
	for _, t := range r.Tensors {
		list.Rows = append(list.Rows, []any{t.Name, t.Type, fmt.Sprint(t.Shape), t.Bytes})
	}
	return store.Render(out, list, "table")
}

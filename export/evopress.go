package export

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/finch-llm/finch/kernels"
	"github.com/finch-llm/finch/model"
)

// evopressFormat is the text files of EvoPress (github.com/IST-DASLab/EvoPress). A line of the first stands for a layer,
//
//	model.layers.0.self_attn.q_proj: 4
//
// with its bits or, of a ladder of sparsities, its steps above the middle; a line of the second for a block, with what it
// drops: none, attn, mlp or attn+mlp. A network that needs one of them is a single file, else there are both in a folder.
type evopressFormat struct {
	m *model.Model
	p Provenance
}

// The names that EvoPress gives its files.
const (
	evopressLevels = "configuration.txt"
	evopressDrops  = "layer_drop_config.txt"
)

// evopressWords are what a block drops: nothing, attention, MLP, both.
var evopressWords = []string{"none", "attn", "mlp", "attn+mlp"}

func (t evopressFormat) Files(n *model.Network) ([]File, error) {
	var drops, levels bytes.Buffer
	dropped, changed := false, false
	for b := range n.Blocks {
		block := &n.Blocks[b]
		word := 0
		if block.DropAttn {
			word++
		}
		if block.DropMLP {
			word += 2
		}
		dropped = dropped || word > 0
		fmt.Fprintln(&drops, evopressWords[word])
		for _, k := range t.m.Kinds() {
			w := block.Layers[k]
			if block.Drops(k) {
				w = t.m.Network.Blocks[b].Layers[k] // EvoPress has a number for every layer
			}
			changed = changed || w != t.m.Network.Blocks[b].Layers[k]
			number, err := t.number(w)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", model.LayerName(b, k), err)
			}
			fmt.Fprintf(&levels, "%s: %d\n", moduleName(t.m, b, k.String()), number)
		}
	}
	switch {
	case dropped && changed:
		return []File{whole(evopressLevels, levels.Bytes()), whole(evopressDrops, drops.Bytes())}, nil
	case dropped:
		return []File{whole("", drops.Bytes())}, nil
	}
	return []File{whole("", levels.Bytes())}, nil
}

// number is what stands for a layer: its step on the ladder, or the bits of its codes.
func (t evopressFormat) number(w *kernels.Matrix) (int64, error) {
	if t.p.StepWeights > 0 {
		weights := int64(w.Rows) * int64(w.Cols)
		above := weights - w.NonZeros() - LadderZeros(t.p.Center, 0, t.p.StepWeights, weights)
		if above%t.p.StepWeights != 0 {
			return 0, errors.New("it is on no step of the ladder of sparsities that others are on: EvoPress has no number for it")
		}
		return above / t.p.StepWeights, nil
	}
	if w.Mask != nil {
		return 0, errors.New("it is sparse, and not on a ladder of sparsities: EvoPress has no number for it")
	}
	if g, ok := w.Format.IntGroup(); ok {
		return int64(g.Bits), nil
	}
	return int64(w.Format.RowBytes(w.Cols)) * 8 / int64(w.Cols), nil // without the fraction that scales take
}

// LadderZeros is the number of zeros on a step of a ladder, whose middle is rounded up so that all middles together meet
// a budget of sparsity.
func LadderZeros(center float64, step int, stepWeights, weights int64) int64 {
	return int64(math.Ceil(center*float64(weights))) + int64(step)*stepWeights
}

// EvoPress is what a file of EvoPress says about a model: a number for every layer, in finch's names, or the sublayers that
// are dropped, by block.
type EvoPress struct {
	Numbers           map[string]int
	DropAttn, DropMLP []bool
}

// ParseEvoPress reads a file of EvoPress. Every layer of the model must have a number once, or every block a word.
func ParseEvoPress(text []byte, m *model.Model) (*EvoPress, error) {
	lines := strings.FieldsFunc(string(text), func(r rune) bool { return r == '\n' || r == '\r' })
	lines = slices.DeleteFunc(lines, func(s string) bool { return strings.TrimSpace(s) == "" })
	if len(lines) > 0 && slices.Contains(evopressWords, strings.TrimSpace(lines[0])) {
		return parseDrops(lines, m)
	}
	names := map[string]string{}
	for b := range m.Network.Blocks {
		for _, k := range m.Kinds() {
			names[moduleName(m, b, k.String())] = model.LayerName(b, k)
		}
	}
	e := &EvoPress{Numbers: map[string]int{}}
	for _, line := range lines {
		name, number, _ := strings.Cut(line, ":")
		layer, known := names[strings.TrimSpace(name)]
		n, err := strconv.Atoi(strings.TrimSpace(number))
		_, twice := e.Numbers[layer]
		switch {
		case err != nil:
			return nil, fmt.Errorf("line %.80q is neither a layer with a whole number, such as \"model.layers.0.mlp.up_proj: 4\", nor one of %s", line, strings.Join(evopressWords, ", "))
		case !known:
			return nil, fmt.Errorf("%.80q is no layer of %s, which has %d blocks: the file is for another model", strings.TrimSpace(name), m.Ref, m.Blocks)
		case twice:
			return nil, fmt.Errorf("%s is there twice", strings.TrimSpace(name))
		}
		e.Numbers[layer] = n
	}
	if len(e.Numbers) != len(names) {
		return nil, fmt.Errorf("%d layers have a number, %s has %d: the file is for another model, or not whole", len(e.Numbers), m.Ref, len(names))
	}
	return e, nil
}

func parseDrops(lines []string, m *model.Model) (*EvoPress, error) {
	if len(lines) != m.Blocks {
		return nil, fmt.Errorf("%d lines for %d blocks: the file is for another model than %s", len(lines), m.Blocks, m.Ref)
	}
	e := &EvoPress{}
	for i, line := range lines {
		word := slices.Index(evopressWords, strings.TrimSpace(line))
		if word < 0 {
			return nil, fmt.Errorf("line %d is %.80q: a block drops one of %s", i+1, line, strings.Join(evopressWords, ", "))
		}
		e.DropAttn, e.DropMLP = append(e.DropAttn, word&1 != 0), append(e.DropMLP, word&2 != 0)
	}
	return e, nil
}

package experiment

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/finch-llm/finch/compress"
	"github.com/finch-llm/finch/configs"
)

// bundle is the layers of a block that have one level, most often a single one: what a site of the search stands for. Their choices
// have the same names, in one order.
type bundle []*layer

// kind joins those of the layers: attn_q+attn_k+attn_v.
func (b bundle) kind() string {
	kinds := make([]string, len(b))
	for i, l := range b {
		kinds[i] = l.kind.String()
	}
	return strings.Join(kinds, "+")
}

// name is that of a layer, or blk.3.attn_q+attn_k+attn_v.
func (b bundle) name() string { return fmt.Sprintf("blk.%d.%s", b[0].block, b.kind()) }

// weights are the dense ones of all layers.
func (b bundle) weights() (n int64) {
	for _, l := range b {
		n += l.weights()
	}
	return n
}

// The names of sublayers, as in their gates.
const (
	attention = "attn"
	mlp       = "mlp"
)

// sublayerName names a sublayer as a gate does that governs nothing else.
func sublayerName(block int, kind string) string { return fmt.Sprintf("blk.%d.%s", block, kind) }

// join puts the layers of each block together that the rules want to have one level, and gives them their choices.
func (t *Task) join() error {
	if err := t.checkRules(); err != nil {
		return err
	}
	levels := t.sizedLevels()
	kinds := len(t.Model.Kinds())
	for b := range t.Model.Blocks {
		layers := t.layers[b*kinds : (b+1)*kinds]
		var bundles []bundle
		of := map[int]int{} // from the lists of same to the bundles
		for i := range layers {
			l := &layers[i]
			list, err := t.same(l.source.Name)
			if err != nil {
				return err
			}
			if at, ok := of[list]; ok {
				bundles[at] = append(bundles[at], l)
				continue
			}
			if list >= 0 {
				of[list] = len(bundles)
			}
			bundles = append(bundles, bundle{l})
		}
		for _, u := range bundles {
			if err := t.choose(u, levels); err != nil {
				return err
			}
		}
		t.bundles = append(t.bundles, bundles)
	}
	return nil
}

// checkRules refuses rules that are not about this model.
func (t *Task) checkRules() error {
	var layers, sublayers []string
	for i := range t.layers {
		layers = append(layers, t.layers[i].source.Name)
	}
	for b := range t.Model.Blocks {
		sublayers = append(sublayers, sublayerName(b, attention), sublayerName(b, mlp))
	}
	return t.Config.CheckRules(layers, sublayers)
}

// same is the list of same that a layer is in, or -1.
func (t *Task) same(layer string) (int, error) {
	list := -1
	for i, patterns := range t.Config.Rules.Same {
		if !configs.MatchAny(patterns, layer) {
			continue
		}
		if list >= 0 {
			return 0, t.Config.Errorf(fmt.Sprintf("same[%d]", i), "same[%d] names %s, as same[%d] does: put all that are to have one level into one list", i, layer, list)
		}
		list = i
	}
	return list, nil
}

// choose gives the layers of a bundle their choices: the levels that all of them may have, and none if they stay as they are. Levels
// that come to the same in every layer, because its rows do not divide into their blocks, are listed once.
func (t *Task) choose(u bundle, levels configs.Levels) error {
	wrong := func(format string, args ...any) error {
		return t.Config.Errorf("same", "same puts %s together: %s", u.name(), fmt.Sprintf(format, args...))
	}
	last := u[len(u)-1]
	if t.Config.Levels.Drops() && !t.Config.Search.WholeBlocks && last.kind.IsAttention() != u[0].kind.IsAttention() {
		return wrong("they are of two sublayers, either of which can be dropped without the other: write a list for each, or search.whole_blocks = true")
	}
	protected := 0
	for _, l := range u {
		if configs.MatchAny(t.Config.Rules.Protect, l.source.Name) {
			protected++
		}
	}
	switch protected {
	case len(u):
		return nil
	case 0:
	default:
		return wrong("protect names some of them, which stay as they are, and not all: write all or none into protect")
	}
	sets := make([]configs.Levels, len(u))
	for i, l := range u {
		sets[i] = levels
		for _, r := range t.Config.Rules.LevelsFor {
			if configs.MatchAny(r.Layers, l.source.Name) {
				sets[i] = configs.Levels{Names: r.Levels}
			}
		}
	}
	offered, err := u.choose(sets)
	if err != nil {
		return t.Config.Errorf("levels", "%v", err)
	}
	if offered && len(u[0].choices) == 0 {
		return wrong("no level is offered to all of them: write one list in levels_for for them all")
	}
	return nil
}

// choose chooses from a set for each layer, and says whether any of them offers something.
func (b bundle) choose(sets []configs.Levels) (offered bool, err error) {
	of := make([][]levelChoice, len(b))
	for i, l := range b {
		if of[i], err = choices(sets[i], l.weights()); err != nil {
			return false, err
		}
		offered = offered || len(of[i]) > 0
	}
	var seen [][]compress.Level // as they are stored
	for _, c := range of[0] {
		var common []levelChoice
		var stored []compress.Level
		for i, l := range b {
			if at := slices.IndexFunc(of[i], func(o levelChoice) bool { return o.name == c.name }); at >= 0 {
				common, stored = append(common, of[i][at]), append(stored, of[i][at].level.At(l.dense.Cols))
			}
		}
		same := func(other []compress.Level) bool { return slices.Equal(other, stored) }
		if len(common) < len(b) || slices.ContainsFunc(seen, same) {
			continue
		}
		seen = append(seen, stored)
		for i, l := range b {
			l.choices = append(l.choices, common[i])
		}
	}
	return offered, nil
}

// protects reports whether the rules keep sublayers of a block: by their names, or because one of their layers has to stay.
func (t *Task) protects(block int, g group) bool {
	names := []string{}
	if g.attn {
		names = append(names, sublayerName(block, attention))
	}
	if g.mlp {
		names = append(names, sublayerName(block, mlp))
	}
	for _, u := range g.bundles {
		for _, l := range u {
			names = append(names, l.source.Name)
		}
	}
	return slices.ContainsFunc(names, func(name string) bool { return configs.MatchAny(t.Config.Rules.Protect, name) })
}

// formats are how layers are stored, each once.
func formats(infos []compress.Info) string {
	var names []string
	for i := range infos {
		if name := infos[i].Format.String(); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// relativeError is the mean of those of layers by their weights: of one its own, to the last bit. It is NaN of none.
func relativeError(infos []compress.Info) float64 {
	if len(infos) == 0 {
		return math.NaN()
	}
	mean, weights := 0.0, 0.0
	for i := range infos {
		w := float64(infos[i].Weights())
		weights += w
		mean += (infos[i].RelativeError - mean) * (w / weights)
	}
	return mean
}

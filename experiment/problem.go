package experiment

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/finch-llm/finch/compress"
	"github.com/finch-llm/finch/configs"
	"github.com/finch-llm/finch/export"
	"github.com/finch-llm/finch/internal/mmap"
	"github.com/finch-llm/finch/kernels"
	"github.com/finch-llm/finch/model"
	"github.com/finch-llm/finch/search"
)

// Problem is a search space over a model, and what every choice in it stands for.
type Problem struct {
	*Task
	Space *search.Space

	sites []site                           // parallel to Space.Sites
	fixed cost                             // of all that is not a site
	stay  struct{ attn, mlp int64 }        // sublayers without a gate
	keys  map[*kernels.Matrix]compress.Key // of the built levels; nil in estimates
}

// site is some layers with their choices, or a gate with two.
type site struct {
	block     int
	layers    bundle // none: a gate
	attn, mlp bool   // a gate: which sublayers it governs
	choices   []choice
}

// choice is one level at one site.
type choice struct {
	name     string
	matrices []*kernels.Matrix // of each layer; nil in estimates
	infos    []compress.Info   // of each layer
	cost     cost
}

// cost is what finch counts about a model or a part of it.
type cost struct {
	file, stored, nonzeros int64 // bytes of the target file; bytes of the layers' payloads; weights that are not zero
	latency                int64 // nanoseconds of a pass; 0 without a table
}

func (c *cost) add(o cost) {
	c.file += o.file
	c.stored += o.stored
	c.nonzeros += o.nonzeros
	c.latency += o.latency
}

// represent says how a layer is stored at a level.
type represent func(*layer, levelChoice) (*kernels.Matrix, compress.Info, error)

// problem lays out the search space: for each block its gates, if sublayers may be dropped, each followed by its layers.
// Layers that have one level are one site. Those without a choice are none; what they cost is part of their gate's cost, or of the fixed cost.
func (t *Task) problem(r represent) (*Problem, error) {
	p := &Problem{Task: t, Space: &search.Space{}, fixed: cost{file: t.target.Fixed(), latency: t.latency.fixed()}}
	for b, bundles := range t.bundles {
		first := slices.IndexFunc(bundles, func(u bundle) bool { return !u[0].kind.IsAttention() })
		if first < 0 {
			first = len(bundles) // all layers are in one
		}
		groups := []group{{attention, bundles[:first], true, false}, {mlp, bundles[first:], false, true}}
		if t.Config.Search.WholeBlocks {
			groups = []group{{"block", bundles, true, true}}
		}
		for _, g := range groups {
			if err := p.addGroup(b, g, r); err != nil {
				return nil, err
			}
		}
	}
	p.constrain()
	return p, nil
}

// group is layers that one gate drops together.
type group struct {
	kind      string
	bundles   []bundle
	attn, mlp bool
}

func (p *Problem) addGroup(block int, g group, r represent) error {
	var rest cost // of the group, apart from its sites
	if g.attn {
		rest.file += p.target.Parts(true)
	}
	if g.mlp {
		rest.file += p.target.Parts(false)
	}
	gate := -1
	if p.Config.Levels.Drops() && !p.protects(block, g) {
		gate = len(p.sites)
		name := sublayerName(block, g.kind)
		if g.kind == "block" {
			name = fmt.Sprintf("blk.%d", block)
		}
		p.sites = append(p.sites, site{block: block, attn: g.attn, mlp: g.mlp})
		p.Space.Sites = append(p.Space.Sites, search.Site{Name: name, Kind: g.kind, Block: block, Gate: -1})
	}
	for _, u := range g.bundles {
		if len(u[0].choices) == 0 {
			for _, l := range u {
				rest.add(p.cost(compress.Info{
					Layer: l.source.Name, Format: l.dense.Format, Rows: l.dense.Rows, Cols: l.dense.Cols, Bytes: l.dense.Bytes(), NonZeros: l.dense.NonZeros(),
				}))
			}
			continue
		}
		s := site{block: block, layers: u}
		for c := range u[0].choices {
			each := choice{name: u[0].choices[c].name}
			for _, l := range u {
				m, info, err := r(l, l.choices[c])
				if err != nil {
					return err
				}
				each.matrices, each.infos = append(each.matrices, m), append(each.infos, info)
				each.cost.add(p.cost(info))
			}
			s.choices = append(s.choices, each)
		}
		p.sites = append(p.sites, s)
		p.Space.Sites = append(p.Space.Sites, search.Site{Name: u.name(), Kind: u.kind(), Block: block, Weights: u.weights(), Gate: gate})
	}
	if gate < 0 {
		p.fixed.add(rest)
		if g.attn {
			p.stay.attn++
		}
		if g.mlp {
			p.stay.mlp++
		}
		return nil
	}
	dropped, err := p.target.Dropped(block, g.attn, g.mlp)
	if err != nil {
		return p.Config.Errorf("levels", "target %q: %v", p.Config.Target, err)
	}
	p.sites[gate].choices = []choice{search.Drop: {name: "drop", cost: cost{file: dropped}}, search.Keep: {name: "keep", cost: rest}}
	return nil
}

// cost counts a layer as it is stored.
func (p *Problem) cost(info compress.Info) cost {
	return cost{file: p.target.Layer(info), stored: info.Bytes, nonzeros: info.NonZeros, latency: p.latency.of(info.Layer, info.Level)}
}

// bound is one constraint: its limit, what is fixed, and what a choice at a site costs.
type bound struct {
	search.Constraint
	of func(s *site, level int) int64
}

// bounds translates the budget. The first bound orders the levels of every site.
func (p *Problem) bounds() []bound {
	weights := p.Model.LayerWeights()
	b := p.Config.Budget
	var list []bound
	if b.Bytes > 0 {
		list = append(list, bound{search.Constraint{Name: "bytes of the " + p.Config.Target + " file", Limit: b.Bytes, Fixed: p.fixed.file},
			func(s *site, l int) int64 { return s.choices[l].cost.file }})
	}
	if b.BitsPerWeight > 0 {
		limit := int64(math.Floor(b.BitsPerWeight * float64(weights)))
		list = append(list, bound{search.Constraint{Name: "bits of the layers", Limit: limit, Fixed: 8 * p.fixed.stored},
			func(s *site, l int) int64 { return 8 * s.choices[l].cost.stored }})
	}
	if b.Sparsity > 0 {
		limit := weights - int64(math.Ceil(b.Sparsity*float64(weights)))
		list = append(list, bound{search.Constraint{Name: "non-zero weights", Limit: limit, Fixed: p.fixed.nonzeros},
			func(s *site, l int) int64 { return s.choices[l].cost.nonzeros }})
	}
	if b.Drop > 0 {
		limit := int64(p.Model.Blocks) - int64(math.Round(b.Drop*float64(p.Model.Blocks)))
		kept := func(governs func(*site) bool) func(*site, int) int64 {
			return func(s *site, l int) int64 {
				if l == search.Keep && governs(s) {
					return 1
				}
				return 0
			}
		}
		list = append(list,
			bound{search.Constraint{Name: "kept attention sublayers", Limit: limit, Fixed: p.stay.attn}, kept(func(s *site) bool { return s.attn })},
			bound{search.Constraint{Name: "kept MLP sublayers", Limit: limit, Fixed: p.stay.mlp}, kept(func(s *site) bool { return s.mlp })})
	}
	if b.LatencyMS > 0 {
		list = append(list, bound{search.Constraint{Name: "nanoseconds of a pass", Limit: int64(b.LatencyMS * 1e6), Fixed: p.fixed.latency},
			func(s *site, l int) int64 { return s.choices[l].cost.latency }})
	}
	return list
}

// constrain sorts the choices of every layer from the cheapest and gives the space its levels and constraints.
func (p *Problem) constrain() {
	bounds := p.bounds()
	for _, b := range bounds {
		p.Space.Constraints = append(p.Space.Constraints, b.Constraint)
	}
	for i := range p.sites {
		s := &p.sites[i]
		if s.layers != nil {
			first := bounds[0].of
			order := make([]int, len(s.choices))
			for l := range order {
				order[l] = l
			}
			slices.SortStableFunc(order, func(a, b int) int {
				return cmp.Or(cmp.Compare(first(s, a), first(s, b)),
					cmp.Compare(s.choices[a].cost.stored, s.choices[b].cost.stored),
					cmp.Compare(relativeError(s.choices[b].infos), relativeError(s.choices[a].infos)))
			})
			sorted := make([]choice, len(order))
			for l, o := range order {
				sorted[l] = s.choices[o]
			}
			s.choices = sorted
		}
		for l := range s.choices {
			level := search.Level{Name: s.choices[l].name}
			for _, b := range bounds {
				level.Costs = append(level.Costs, b.of(s, l))
			}
			p.Space.Sites[i].Levels = append(p.Space.Sites[i].Levels, level)
		}
	}
}

// count is what a candidate costs, its file measured and not added up: after lost blocks a file may be a little smaller
// than the sum that the search is bound by. Where the target cannot hold it, the sum comes with the error.
func (p *Problem) count(g search.Genome) (cost, error) {
	total := p.fixed
	for i, level := range g {
		if gate := p.Space.Sites[i].Gate; gate >= 0 && g[gate] == search.Drop {
			continue
		}
		total.add(p.sites[i].choices[level].cost)
	}
	size, err := export.Size(p.target, p.Network(g))
	if err != nil {
		return total, err
	}
	total.file = size
	return total, nil
}

// bitsPerWeight is that of a candidate that costs c, over all layers of the model.
func (p *Problem) bitsPerWeight(c cost) float64 {
	return compress.BitsPerWeight(c.stored, p.Model.LayerWeights())
}

// Network is the compressed network that a candidate stands for. The weights are shared, not copied.
func (p *Problem) Network(g search.Genome) *model.Network {
	n := p.Model.Network.Clone()
	for i, level := range g {
		s := &p.sites[i]
		b := &n.Blocks[s.block]
		for k, l := range s.layers {
			b.Layers[l.kind] = s.choices[level].matrices[k]
		}
		if s.layers == nil && level == search.Drop {
			b.DropAttn = b.DropAttn || s.attn
			b.DropMLP = b.DropMLP || s.mlp
		}
	}
	return n
}

// Touch reads every level into memory, as a search does in time, and returns how many bytes they are.
func (p *Problem) Touch() (bytes int64) {
	for i := range p.sites {
		for _, c := range p.sites[i].choices {
			for _, m := range c.matrices {
				bytes += mmap.Touch(m.Data) + mmap.Touch(m.Mask)
			}
		}
	}
	return bytes
}

// describeBudget writes a budget for people.
func describeBudget(b *configs.Budget) string {
	var parts []string
	add := func(set bool, format string, args ...any) {
		if set {
			parts = append(parts, fmt.Sprintf(format, args...))
		}
	}
	add(b.Bytes > 0, "%d bytes", b.Bytes)
	add(b.BitsPerWeight > 0, "%v bits per weight", b.BitsPerWeight)
	add(b.Sparsity > 0, "%v %% zeros", 100*b.Sparsity)
	add(b.Drop > 0, "%v %% of sublayers dropped", 100*b.Drop)
	add(b.LatencyMS > 0, "%v ms a pass", b.LatencyMS)
	return strings.Join(parts, ", ")
}

// settings translates the search part of the configuration.
func settings(s *configs.Search) search.Settings {
	return search.Settings{
		Generations: s.Generations, Offspring: s.Offspring, Survivors: s.Survivors, Tokens: s.Tokens,
		Start: search.Start{Candidates: s.Starts, Tokens: s.StartTokens}, Group: s.Group,
	}
}

// dense counts the uncompressed model.
func (p *Problem) dense() (total cost, err error) {
	for i := range p.layers {
		m := p.layers[i].dense
		total.add(cost{stored: m.Bytes(), nonzeros: m.NonZeros()})
	}
	total.file, err = export.Size(p.target, &p.Model.Network)
	return total, err
}

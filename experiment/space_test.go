package experiment

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/finch-llm/finch/compress"
	"github.com/finch-llm/finch/configs"
	"github.com/finch-llm/finch/export"
	"github.com/finch-llm/finch/kernels"
	"github.com/finch-llm/finch/model"
	"github.com/finch-llm/finch/search"
)

// bytes of n weights in blocks of 32.
func blocks(n, size int64) int64 { return n / 32 * size }

func TestSpaceOfBits(t *testing.T) {
	place := newPlace(t)
	p := build(t, place.session(t, "a.db"), place.experiment(t, `levels = ["q8_0", "q4_k", "q4_0", "q5_0"]
budget = { bits_per_weight = 5.3 }
target = "gguf"`))
	if len(p.Space.Sites) != 3*7 {
		t.Fatalf("%d sites", len(p.Space.Sites))
	}
	// Rows of 64 and 96 do not hold q4_k's blocks of 256: it falls back to q5_0, which is then listed once, and the levels
	// are sorted by their cost.
	for i, s := range p.Space.Sites {
		kind := p.Model.Kinds()[i%7]
		weights := []int64{tinyQ, tinyK, tinyV, tinyO, tinyMLP, tinyMLP, tinyMLP}[i%7]
		if s.Name != model.LayerName(i/7, kind) || s.Kind != kind.String() || s.Block != i/7 || s.Gate != -1 || s.Weights != weights {
			t.Errorf("site %d is %+v", i, s)
		}
		want := []search.Level{
			{Name: "q4_0", Costs: []int64{8 * blocks(weights, 18)}},
			{Name: "q4_k", Costs: []int64{8 * blocks(weights, 22)}},
			{Name: "q8_0", Costs: []int64{8 * blocks(weights, 34)}},
		}
		if !slices.EqualFunc(s.Levels, want, sameLevel) {
			t.Errorf("%s has levels %v, want %v", s.Name, s.Levels, want)
		}
	}
	want := search.Constraint{Name: "bits of the layers", Limit: int64(math.Floor(5.3 * 3 * tinyBlock)), Fixed: 0}
	if len(p.Space.Constraints) != 1 || p.Space.Constraints[0] != want {
		t.Errorf("constraints %+v, want %+v", p.Space.Constraints, want)
	}
	// All at q4_0: 4.5 bits per weight. The file: everything else as in the model, data of tensors a multiple of 32 bytes.
	total, err := p.count(make(search.Genome, 21))
	if err != nil {
		t.Fatal(err)
	}
	if total.stored != blocks(3*tinyBlock, 18) || total.nonzeros != 3*tinyBlock || p.bitsPerWeight(total) != 4.5 {
		t.Errorf("cost %+v, %g bits per weight", total, p.bitsPerWeight(total))
	}
	if dense, err := p.dense(); err != nil || dense.file-total.file != 3*tinyBlock*4-total.stored || dense.stored != 3*tinyBlock*4 {
		t.Errorf("dense %+v, at q4_0 %+v, %v", dense, total, err)
	}
}

func sameLevel(a, b search.Level) bool { return a.Name == b.Name && slices.Equal(a.Costs, b.Costs) }

func TestSpaceOfGates(t *testing.T) {
	place := newPlace(t)
	s := place.session(t, "a.db")
	p := build(t, s, place.experiment(t, `levels = ["q4_0", "q8_0", "drop"]
budget = { drop = 0.34, bits_per_weight = 6 }
target = "packed"`))
	// A gate before the layers of each sublayer.
	if len(p.Space.Sites) != 3*9 {
		t.Fatalf("%d sites", len(p.Space.Sites))
	}
	for b := range 3 {
		sites := p.Space.Sites[9*b : 9*b+9]
		for i, kind := range []string{"attn", "attn_q", "attn_k", "attn_v", "attn_output", "mlp", "ffn_gate", "ffn_up", "ffn_down"} {
			gate := 9 * b
			if i > 5 {
				gate += 5
			}
			if i == 0 || i == 5 {
				gate = -1
			}
			if site := sites[i]; site.Kind != kind || site.Gate != gate || site.Name != fmt.Sprintf("blk.%d.%s", b, kind) || site.IsGate() != (gate == -1) {
				t.Errorf("site %d of block %d is %+v", i, b, site)
			}
		}
		// Costs: bits of the layers, kept attention sublayers, kept MLP sublayers.
		for i, want := range map[int][]int64{0: {0, 1, 0}, 5: {0, 0, 1}} {
			if keep, drop := sites[i].Levels[search.Keep].Costs, sites[i].Levels[search.Drop].Costs; !slices.Equal(keep, want) || !slices.Equal(drop, []int64{0, 0, 0}) {
				t.Errorf("gate %s costs %v when kept and %v when dropped", sites[i].Name, keep, drop)
			}
		}
		if got := sites[1].Levels[1].Costs; !slices.Equal(got, []int64{8 * blocks(tinyQ, 34), 0, 0}) {
			t.Errorf("attn_q at q8_0 costs %v", got)
		}
	}
	// 0.34 · 3 blocks round to 1 dropped.
	for i, want := range []search.Constraint{
		{Name: "bits of the layers", Limit: 6 * 3 * tinyBlock}, {Name: "kept attention sublayers", Limit: 2}, {Name: "kept MLP sublayers", Limit: 2},
	} {
		if p.Space.Constraints[i] != want {
			t.Errorf("constraint %+v, want %+v", p.Space.Constraints[i], want)
		}
	}
	// A dropped sublayer has no layers and no norm.
	g := make(search.Genome, 27)
	for b := range 3 {
		g[9*b], g[9*b+5] = search.Keep, search.Keep
	}
	all, err := p.count(g)
	if err != nil {
		t.Fatal(err)
	}
	g[9] = search.Drop
	without, err := p.count(g)
	if err != nil {
		t.Fatal(err)
	}
	target := p.target
	file := target.Parts(true)
	for _, weights := range []int64{tinyQ, tinyK, tinyV, tinyO} {
		file += target.Layer(compress.Info{Format: kernels.Q4_0, Rows: int(weights / 64), Cols: 64, Bytes: blocks(weights, 18)})
	}
	if all.stored-without.stored != blocks(tinyAttn, 18) || all.nonzeros-without.nonzeros != tinyAttn || all.file-without.file != file {
		t.Errorf("an attention sublayer costs %+v less %+v, want %d bytes", all, without, file)
	}
	n := p.Network(g)
	if n.Blocks[0].DropAttn || !n.Blocks[1].DropAttn || n.Blocks[1].DropMLP || p.Model.Network.Blocks[1].DropAttn {
		t.Error("the wrong sublayer is dropped")
	}
}

func TestSpaceOfWholeBlocks(t *testing.T) {
	place := newPlace(t)
	p := build(t, place.session(t, "a.db"), place.experiment(t, `levels = ["drop"]
budget = { drop = 0.34 }
target = "gguf"
search = { whole_blocks = true }`))
	if len(p.Space.Sites) != 3 {
		t.Fatalf("%d sites", len(p.Space.Sites))
	}
	for b, site := range p.Space.Sites {
		if site.Name != fmt.Sprintf("blk.%d", b) || site.Kind != "block" || !slices.Equal(site.Levels[search.Keep].Costs, []int64{1, 1}) {
			t.Errorf("%+v", site)
		}
	}
	g := search.Genome{search.Keep, search.Drop, search.Keep}
	total, err := p.count(g)
	if err != nil || total.stored != 2*tinyBlock*4 || total.nonzeros != 2*tinyBlock {
		t.Errorf("two blocks of f32 cost %+v, %v", total, err)
	}
	if n := p.Network(g); !n.Blocks[1].DropAttn || !n.Blocks[1].DropMLP {
		t.Error("the block is not dropped")
	}
	// What is recorded of the file is its size; what the search was bound by may be a little more.
	sum := p.fixed.file + p.sites[0].choices[search.Keep].cost.file + p.sites[2].choices[search.Keep].cost.file
	if total.file > sum || total.file < sum-1024 {
		t.Errorf("the file has %d bytes, the sum is %d", total.file, sum)
	}
}

func TestSpaceOfBytes(t *testing.T) {
	place := newPlace(t)
	for _, target := range []string{"gguf", "packed"} {
		p := build(t, place.session(t, "a.db"), place.experiment(t, `levels = ["q4_0", "q8_0", "f16"]
budget = { bytes = "400kB" }
target = "`+target+`"`))
		want := search.Constraint{Name: "bytes of the " + target + " file", Limit: 400_000, Fixed: p.target.Fixed() + 3*p.target.Parts(true) + 3*p.target.Parts(false)}
		if p.Space.Constraints[0] != want {
			t.Errorf("%+v, want %+v", p.Space.Constraints[0], want)
		}
		// What the space adds up is the exact size of the file.
		for _, level := range []uint8{0, 1, 2} {
			g := make(search.Genome, len(p.Space.Sites))
			for i := range g {
				g[i] = level
			}
			total, err := p.count(g)
			if sum := p.Space.Cost(g)[0]; err != nil || sum != total.file {
				t.Errorf("%s at level %d: the space says %d, the file has %d, %v", target, level, sum, total.file, err)
			}
		}
	}
}

func TestSpaceOfSparsity(t *testing.T) {
	place := newPlace(t)
	p := build(t, place.session(t, "a.db"), place.experiment(t, `levels = { sparse = { step_weights = 128, count = 3 } }
budget = { sparsity = 0.6 }`))
	want := search.Constraint{Name: "non-zero weights", Limit: 3*tinyBlock - 3*tinyBlock*6/10}
	if p.Space.Constraints[0] != want {
		t.Errorf("%+v, want %+v", p.Space.Constraints[0], want)
	}
	for i, s := range p.Space.Sites {
		if len(s.Levels) != 7 {
			t.Fatalf("%s has %d levels", s.Name, len(s.Levels))
		}
		for l, level := range s.Levels {
			// From +3, the sparsest, to −3; the centre is the ceiling of 60 %.
			step := int64(3 - l)
			zeros := (s.Weights*6+9)/10 + 128*step
			info := p.sites[i].choices[l].infos[0]
			if level.Name != fmt.Sprintf("sparse-0.6%+d", step) || level.Costs[0] != s.Weights-zeros || info.NonZeros != level.Costs[0] || !info.Sparse {
				t.Errorf("%s: level %d is %+v, want %d zeros", s.Name, l, level, zeros)
			}
		}
	}
	// All at the centre meet the budget, and so does every exchange of steps.
	g := make(search.Genome, len(p.Space.Sites))
	for i := range g {
		g[i] = 3
	}
	centre := p.Space.Cost(g)[0]
	if centre > want.Limit || centre < want.Limit-int64(len(g)) {
		t.Errorf("the centres have %d non-zeros, the limit is %d", centre, want.Limit)
	}
	g[0], g[5] = 1, 5
	if p.Space.Cost(g)[0] != centre {
		t.Error("two steps up in one layer and two down in another change the total")
	}
}

// Without step_weights a step is an eighth of the smallest layer, also for a winner that is restored.
func TestLadderSizedToTheModel(t *testing.T) {
	place := newPlace(t)
	e := place.experiment(t, `levels = { sparse = { count = 2 } }
budget = { sparsity = 0.6 }`)
	task := prepare(t, place.session(t, "a.db"), e)
	for _, l := range task.layers {
		weights := int64(l.dense.Rows) * int64(l.dense.Cols)
		for i := range l.choices[1:] {
			if a, b := l.choices[i].level.Zeros(weights), l.choices[i+1].level.Zeros(weights); a-b != tinyK/8 {
				t.Errorf("%s: %s and %s are %d weights apart, want %d", l.source.Name, l.choices[i].name, l.choices[i+1].name, a-b, tinyK/8)
			}
		}
	}
	if e.Levels.Sparse.StepWeights != 0 {
		t.Error("the experiment itself has changed, and with it the run that it names")
	}
}

func TestLadder(t *testing.T) {
	for _, test := range []struct {
		name       string
		center     float64
		step       int64
		count      int
		weights    int64
		most, last int64 // zeros of the first and last level
		levels     int
	}{
		{"whole", 0.60, 100, 8, 4096, 2458 + 800, 2458 - 800, 17},
		{"exact centre", 0.50, 1, 1, 4096, 2049, 2047, 3},
		{"clipped at 95 %", 0.90, 100, 8, 1000, 900, 100, 9},
		{"clipped at none", 0.10, 100, 8, 1000, 900, 0, 10},
		{"exactly 95 %", 0.90, 50, 2, 1000, 950, 800, 4},
		{"step larger than the layer", 0.60, 5000, 4, 1000, 600, 600, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			list := ladder(&configs.Ladder{Center: test.center, StepWeights: test.step, Count: test.count}, test.weights)
			if len(list) != test.levels {
				t.Fatalf("%d levels, want %d", len(list), test.levels)
			}
			if most, last := list[0].level.Zeros(test.weights), list[len(list)-1].level.Zeros(test.weights); most != test.most || last != test.last {
				t.Errorf("from %d to %d zeros, want %d to %d", most, last, test.most, test.last)
			}
			for i := range list[1:] {
				if a, b := list[i].level.Zeros(test.weights), list[i+1].level.Zeros(test.weights); a-b != test.step {
					t.Errorf("%s and %s are %d weights apart", list[i].name, list[i+1].name, a-b)
				}
			}
			if !slices.ContainsFunc(list, func(c levelChoice) bool { return strings.HasSuffix(c.name, "+0") }) {
				t.Error("the centre is missing")
			}
		})
	}
}

func TestChoices(t *testing.T) {
	names := func(cols int, levels ...string) (out []string) {
		t.Helper()
		l := &layer{dense: &kernels.Matrix{Rows: 32, Cols: cols}}
		if _, err := (bundle{l}).choose([]configs.Levels{{Names: levels}}); err != nil {
			t.Fatal(err)
		}
		for _, c := range l.choices {
			out = append(out, c.name)
		}
		return out
	}
	all := []string{"q2_k", "q3_k", "iq4_nl", "q4_k", "q5_0", "q6_k", "q8_0", "drop", "sparse-0.50", "sparse-0.60"}
	for _, test := range []struct {
		cols int
		want []string
	}{
		{512, []string{"q2_k", "q3_k", "iq4_nl", "q4_k", "q5_0", "q6_k", "q8_0", "sparse-0.50", "sparse-0.60"}},
		{96, []string{"q2_k", "q4_k", "q6_k", "sparse-0.50", "sparse-0.60"}}, // iq4_nl, q5_0, q8_0
		{90, []string{"q2_k", "sparse-0.50", "sparse-0.60"}},                 // f16
	} {
		if got := names(test.cols, all...); !slices.Equal(got, test.want) {
			t.Errorf("rows of %d: %v, want %v", test.cols, got, test.want)
		}
	}
}

// The estimates of a plan are those of the built levels, but for the padding of sparse quantized rows.
func TestEstimates(t *testing.T) {
	place := newPlace(t)
	s := place.session(t, "a.db")
	e := place.experiment(t, `levels = ["q4_0", "q4_k", "sparse-0.50", "sparse-0.60+f32", "sparse-0.50+q4_0", "drop"]
budget = { bytes = "400kB" }
target = "packed"`)
	task := prepare(t, s, e)
	estimated, err := task.problem(task.estimate)
	if err != nil {
		t.Fatal(err)
	}
	built := build(t, s, e)
	if len(estimated.sites) != len(built.sites) || estimated.fixed != built.fixed {
		t.Fatalf("%d sites, estimated %d; fixed %+v, estimated %+v", len(built.sites), len(estimated.sites), built.fixed, estimated.fixed)
	}
	for i := range built.sites {
		for _, is := range built.sites[i].choices {
			at := slices.IndexFunc(estimated.sites[i].choices, func(c choice) bool { return c.name == is.name })
			was := estimated.sites[i].choices[at]
			if is.name == "sparse-0.50+q4_0" {
				if was.cost.stored > is.cost.stored || was.cost.nonzeros != is.cost.nonzeros {
					t.Errorf("site %d at %s: %+v, estimated %+v", i, is.name, is.cost, was.cost)
				}
			} else if was.cost != is.cost {
				t.Errorf("site %d at %s: %+v, estimated %+v", i, is.name, is.cost, was.cost)
			}
		}
	}
}

func TestPrepareRefuses(t *testing.T) {
	place := newPlace(t)
	s := place.session(t, "a.db")
	for _, test := range []struct{ name, lines, position, says string }{
		{"bits", "levels = [\"q4_0\", \"q8_0\"]\nbudget = { bits_per_weight = 4.4 }", "tiny.toml:12:", "no feasible genome"},
		{"bytes", "levels = [\"q4_0\", \"q8_0\"]\n\nbudget = { bytes = 1000 }", "tiny.toml:13:", "no feasible genome"},
		{"sparsity", "levels = [\"q4_0\", \"sparse-0.50\"]\ntarget = \"packed\"\nbudget = { sparsity = 0.5, bits_per_weight = 4.6 }", "tiny.toml:13:", "no feasible genome"},
		{"no model", "model = \"nowhere\"\nlevels = [\"q4_0\", \"q8_0\"]\nbudget = { bits_per_weight = 5 }", "tiny.toml:11:", "nowhere"},
		{"short text", "levels = [\"q4_0\", \"q8_0\"]\ncalibration = { tokens = 100000 }\nbudget = { bits_per_weight = 5 }", "tiny.toml:12:", "give a longer text"},
		{"long sequences", "levels = [\"q4_0\", \"q8_0\"]\nevaluation = { tokens = 1024, sequence = 1024 }\nbudget = { bits_per_weight = 5 }", "tiny.toml:12:", "exceed the model's context"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := s.Prepare(place.experiment(t, test.lines))
			var c *configs.Error
			if !errors.As(err, &c) || c.File != "tiny.toml" || c.Line == 0 {
				t.Errorf("%v has no place in the file", err)
			}
			fails(t, err, test.position, test.says)
		})
	}
}

// A packed winner is no model to search over again.
func TestPrepareRefusesCompressedModels(t *testing.T) {
	place := newPlace(t)
	s := place.session(t, "a.db")
	p := build(t, s, place.experiment(t, `levels = ["sparse-0.50", "drop"]
budget = { bytes = "400kB" }
target = "packed"`))
	g := make(search.Genome, len(p.Space.Sites)) // everything is dropped
	for _, keep := range []uint8{search.Drop, search.Keep} {
		g[0] = keep
		place.model = export1(t, p, g, "packed")
		_, err := s.Prepare(place.experiment(t, "levels = [\"q4_0\", \"q8_0\"]\nbudget = { bits_per_weight = 5 }"))
		fails(t, err, "tiny.toml:2:", "is dropped or sparse already")
	}
}

func TestTargetsAreKnown(t *testing.T) {
	for _, name := range []string{configs.GGUF, configs.Packed, configs.Safetensors} {
		m, err := model.Open(newPlace(t).model)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := export.For(name, m); err != nil {
			t.Error(err)
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
}

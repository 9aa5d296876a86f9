package experiment

import (
	"context"
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
	"github.com/finch-llm/finch/store"
)

const tinyRules = `levels = ["q4_0", "q4_k", "q8_0", "drop"]
same = ["attn_q", "attn_k", "attn_v"]
protect = ["blk.1.attn_output", "blk.2.mlp", "blk.0.*"]
budget = { bits_per_weight = 15.5 }
target = "packed"
[[experiment.levels_for]]
layers = ["ffn_*"]
levels = ["q4_0", "q5_0"]
[[experiment.levels_for]]
layers = ["ffn_down"]
levels = ["q8_0"]`

func TestSpaceOfRules(t *testing.T) {
	place := newPlace(t)
	p := build(t, place.session(t, "a.db"), place.experiment(t, strings.Replace(tinyRules, "15.5", "15, drop = 0.34", 1)))
	const qkv = tinyQ + tinyK + tinyV
	want := []struct {
		name, kind string
		gate       int // of the same space, or -1
		weights    int64
		levels     []string
	}{
		// Block 0 stays. In block 1 attention stays, because its output does, and all but that has levels.
		{"blk.1.attn_q+attn_k+attn_v", "attn_q+attn_k+attn_v", -1, qkv, []string{"q4_0", "q4_k", "q8_0"}},
		{"blk.1.mlp", "mlp", -1, 0, []string{"drop", "keep"}},
		{"blk.1.ffn_gate", "ffn_gate", 1, tinyMLP, []string{"q4_0", "q5_0"}},
		{"blk.1.ffn_up", "ffn_up", 1, tinyMLP, []string{"q4_0", "q5_0"}},
		{"blk.1.ffn_down", "ffn_down", 1, tinyMLP, []string{"q8_0"}},
		// In block 2 the MLP stays, with its levels.
		{"blk.2.attn", "attn", -1, 0, []string{"drop", "keep"}},
		{"blk.2.attn_q+attn_k+attn_v", "attn_q+attn_k+attn_v", 5, qkv, []string{"q4_0", "q4_k", "q8_0"}},
		{"blk.2.attn_output", "attn_output", 5, tinyO, []string{"q4_0", "q4_k", "q8_0"}},
		{"blk.2.ffn_gate", "ffn_gate", -1, tinyMLP, []string{"q4_0", "q5_0"}},
		{"blk.2.ffn_up", "ffn_up", -1, tinyMLP, []string{"q4_0", "q5_0"}},
		{"blk.2.ffn_down", "ffn_down", -1, tinyMLP, []string{"q8_0"}},
	}
	if len(p.Space.Sites) != len(want) {
		t.Fatalf("%d sites, want %d", len(p.Space.Sites), len(want))
	}
	for i, w := range want {
		s := p.Space.Sites[i]
		var levels []string
		for _, l := range s.Levels {
			levels = append(levels, l.Name)
		}
		if s.Name != w.name || s.Kind != w.kind || s.Gate != w.gate || s.Weights != w.weights || !slices.Equal(levels, w.levels) {
			t.Errorf("site %d is %+v, want %+v", i, s, w)
		}
	}
	// What layers cost together is what they cost apart, and what stays is counted as it is.
	if got := p.Space.Sites[0].Levels[2].Costs; !slices.Equal(got, []int64{8 * blocks(qkv, 34), 0, 0}) {
		t.Errorf("q, k and v at q8_0 cost %v", got)
	}
	for c, fixed := range []int64{32 * (tinyBlock + tinyO), 2, 2} { // f32
		if got := p.Space.Constraints[c].Fixed; got != fixed {
			t.Errorf("of %s %d are fixed, want %d", p.Space.Constraints[c].Name, got, fixed)
		}
	}
	sites, levels := p.records()
	at := slices.IndexFunc(levels, func(l store.Level) bool { return l.Site == 0 && l.Name == "q8_0" })
	if l := levels[at]; sites[0].Name != want[0].name || l.Format != "q8_0" || l.Bytes != blocks(qkv, 34) || l.Nonzeros != qkv || l.BitsPerWeight != 8.5 || !(l.RelativeError > 0) {
		t.Errorf("recorded as %+v with level %+v", sites[0], l)
	}
}

// Every candidate of a search keeps the rules, and so do the baseline and the winner that is restored from the record. A run that was
// stopped ends with the record of one that was not.
func TestRulesAreKept(t *testing.T) {
	place := newPlace(t)
	for _, method := range []string{"evopress", "genetic", "random", "dp", "annealing"} {
		t.Run(method, func(t *testing.T) {
			place.dir = t.TempDir()
			lines := strings.Replace(tinyRules, "target", fmt.Sprintf("search = { method = %q, generations = 8 }\ntarget", method), 1)
			s := place.session(t, "a.db")
			p := build(t, s, place.experiment(t, lines))
			id := run1(t, s, p)
			table, err := s.DB.Query(context.Background(), "SELECT genome FROM candidates UNION SELECT genome FROM results WHERE role <> 'dense'", nil)
			if err != nil || len(table.Rows) < 5 {
				t.Fatalf("%d genomes, %v", len(table.Rows), err)
			}
			for _, row := range table.Rows {
				g, err := search.ParseGenome(row[0].(string))
				if err != nil {
					t.Fatal(err)
				}
				keepsRules(t, p, p.Network(g))
			}
			r, err := s.DB.Run(context.Background(), id)
			if err != nil {
				t.Fatal(err)
			}
			w, err := s.Winner(context.Background(), &r)
			if err != nil {
				t.Fatal(err)
			}
			keepsRules(t, p, w.Network)
			for _, format := range []string{"packed", "safetensors"} {
				writer, err := export.Open(format, w.Model, export.Provenance{})
				if err != nil {
					t.Fatal(err)
				}
				if _, err := writer.Files(w.Network); err != nil {
					t.Errorf("%s: %v", format, err)
				}
			}
			stopped := place.session(t, "b.db")
			ctx, stop := context.WithCancel(context.Background())
			defer stop()
			stopped.Progress = &watch{after: 1, stop: stop}
			if _, err := stopped.Run(ctx, build(t, stopped, place.experiment(t, lines)), 7); !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			again := place.session(t, "b.db")
			if got, want := fingerprint(t, again, run1(t, again, build(t, again, place.experiment(t, lines)))), fingerprint(t, s, id); got != want {
				t.Errorf("stopped and resumed: fingerprint %s, want %s", got, want)
			}
			sound(t, again)
		})
	}
}

// keepsRules checks a network against tinyRules.
func keepsRules(t *testing.T, p *Problem, n *model.Network) {
	t.Helper()
	dense := p.Model.Network
	for b := range n.Blocks {
		block := &n.Blocks[b]
		if b < 2 && block.DropAttn || b != 1 && block.DropMLP {
			t.Errorf("block %d has lost a sublayer that was protected", b)
		}
		for _, k := range p.Model.Kinds() {
			w := block.Layers[k]
			if b == 0 || b == 1 && k == model.AttnOutput {
				if w != dense.Blocks[b].Layers[k] {
					t.Errorf("%s was protected and is %s", model.LayerName(b, k), w.Format)
				}
				continue
			}
			if block.Drops(k) {
				continue
			}
			if k == model.AttnK || k == model.AttnV {
				if q := block.Layers[model.AttnQ]; q.Format != w.Format {
					t.Errorf("%s is %s beside a q of %s", model.LayerName(b, k), w.Format, q.Format)
				}
			}
			// q4_k falls back to q5_0 here
			allowed := []kernels.Format{kernels.Q4_0, kernels.Q5_0, kernels.Q8_0}
			switch k {
			case model.FFNGate, model.FFNUp:
				allowed = allowed[:2]
			case model.FFNDown:
				allowed = allowed[2:]
			}
			if !slices.Contains(allowed, w.Format) {
				t.Errorf("%s is %s", model.LayerName(b, k), w.Format)
			}
		}
	}
}

// Engines that read q, k and v as one matrix load what same has put together, whatever the search made of it.
func TestSameMakesExportsWhole(t *testing.T) {
	place := newPlace(t)
	const levels = `levels = ["int4-g32", "int8-g32"]
budget = { bits_per_weight = 6.5 }
target = "packed"
`
	for _, test := range []struct{ name, same, fails string }{
		{"apart", "", "so they need the same level"},
		{"together", `same = [["attn_q", "attn_k", "attn_v"], ["ffn_gate", "ffn_up"]]`, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			place.dir = t.TempDir()
			s := place.session(t, "a.db")
			r, err := s.DB.Run(context.Background(), run1(t, s, build(t, s, place.experiment(t, levels+test.same))))
			if err != nil {
				t.Fatal(err)
			}
			w, err := s.Winner(context.Background(), &r)
			if err != nil {
				t.Fatal(err)
			}
			writer, err := export.Open("compressed-tensors", w.Model, export.Provenance{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := writer.Files(w.Network); test.fails == "" && err != nil {
				t.Error(err)
			} else if test.fails != "" {
				fails(t, err, test.fails)
			}
			if writer, err = export.Open("evopress", w.Model, export.Provenance{}); err != nil {
				t.Fatal(err)
			}
			files, err := writer.Files(w.Network)
			if err != nil {
				t.Fatal(err)
			}
			var text strings.Builder
			if err := files[0].Write(&text); err != nil {
				t.Fatal(err)
			}
			if e, err := export.ParseEvoPress([]byte(text.String()), w.Model); err != nil || len(e.Numbers) != 3*7 { // each layer by its own name
				t.Errorf("%v of\n%s", err, &text)
			}
		})
	}
}

// Methods that rank sublayers, or look for a run of blocks, pass over those that stay.
func TestDepthUnderRules(t *testing.T) {
	place := newPlace(t)
	for _, method := range []string{"evopress", "shortgpt", "shortened", "shortened-iterative", "sliding-window", "subcloning", "greedy", "uniform"} {
		for _, protect := range []string{`"blk.2.attn_q", "blk.2.mlp"`, `"blk.1.*"`} {
			t.Run(method+" "+protect, func(t *testing.T) {
				place.dir = t.TempDir()
				s := place.session(t, "a.db")
				r, err := s.DB.Run(context.Background(), run1(t, s, build(t, s, place.experiment(t, fmt.Sprintf("levels = [\"drop\"]\nbudget = { drop = 0.34 }\nprotect = [%s]\nsearch = { method = %q }", protect, method)))))
				if err != nil {
					t.Fatal(err)
				}
				w, err := s.Winner(context.Background(), &r)
				if err != nil {
					t.Fatal(err)
				}
				stays, dropped := protect[5]-'0', [2]int{}
				for b, block := range w.Network.Blocks {
					if b == int(stays) && (block.DropAttn || block.DropMLP) {
						t.Errorf("block %d has lost a sublayer", b)
					}
					if block.DropAttn {
						dropped[0]++
					}
					if block.DropMLP {
						dropped[1]++
					}
				}
				if dropped != [2]int{1, 1} {
					t.Errorf("%d attention and MLP sublayers are dropped", dropped)
				}
				sound(t, s)
			})
		}
	}
}

func TestRelativeErrorOfSeveral(t *testing.T) {
	one := compress.Info{Rows: 7, Cols: 13, RelativeError: 0.1234567890123}
	if got := relativeError([]compress.Info{one}); got != one.RelativeError {
		t.Errorf("of one layer %v, its own is %v", got, one.RelativeError)
	}
	two := []compress.Info{{Rows: 1, Cols: 30, RelativeError: 0.5}, {Rows: 1, Cols: 10, RelativeError: 0.1}}
	if got := relativeError(two); math.Abs(got-0.4) > 1e-15 {
		t.Errorf("of 30 weights at 0.5 and 10 at 0.1: %v", got)
	}
	if got := relativeError(nil); !math.IsNaN(got) {
		t.Errorf("of a gate: %v", got)
	}
}

func TestRulesThatCannotBe(t *testing.T) {
	place := newPlace(t)
	s := place.session(t, "a.db")
	const levels = "levels = [\"q4_0\", \"q8_0\"]\nbudget = { bits_per_weight = 9 }\n"
	const dropping = "levels = [\"q4_0\", \"q8_0\", \"drop\"]\nbudget = { drop = 0.67 }\n"
	for _, test := range []struct{ name, lines, position, says string }{
		{"nothing is named", levels + `protect = ["attn_w"]`, "tiny.toml:13:12:", `did you mean "attn_q"?`},
		{"in two lists", levels + `same = [["attn_q", "attn_k"], ["attn_v", "attn_*"]]`, "tiny.toml:13:31:", "same[1] names blk.0.attn_q, as same[0] does"},
		{"of two sublayers", dropping + `same = ["attn_output", "ffn_up"]`, "tiny.toml:13:1:", "blk.0.attn_output+ffn_up together: they are of two sublayers"},
		{"half of it protected", levels + "same = [\"attn_q\", \"attn_k\"]\nprotect = [\"blk.1.attn_q\"]", "tiny.toml:13:1:", "protect names some of them"},
		{"no level in common", levels + "same = [\"ffn_*\"]\nlevels_for = [{ layers = [\"ffn_up\"], levels = [\"q5_0\"] }]", "tiny.toml:13:1:", "no level is offered to all of them"},
		{"nothing is left", levels + `protect = ["*"]`, "tiny.toml:13:1:", "leaves nothing to choose"},
		{"more is dropped than may be", dropping + `protect = ["blk.0.attn", "blk.1.attn_v"]`, "tiny.toml:12:1:", "kept attention sublayers comes to 2 and the limit is 1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := s.Prepare(place.experiment(t, test.lines))
			var c *configs.Error
			if !errors.As(err, &c) || c.Line == 0 {
				t.Errorf("%v has no place in the file", err)
			}
			fails(t, err, test.position, test.says)
		})
	}
	// Where attention and MLP are dropped together, or not at all, they can have one level.
	prepare(t, s, place.experiment(t, dropping+"same = [\"*\"]\nsearch = { whole_blocks = true }"))
	task := prepare(t, s, place.experiment(t, levels+`same = ["*"]`))
	if len(task.bundles[0]) != 1 || len(task.bundles[0][0]) != 7 {
		t.Errorf("bundles of a block: %v", task.bundles[0])
	}
}

package experiment

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/finch-llm/finch/compress"
	"github.com/finch-llm/finch/evaluator"
	"github.com/finch-llm/finch/export"
	"github.com/finch-llm/finch/internal/testmodel"
	"github.com/finch-llm/finch/model"
	"github.com/finch-llm/finch/search"
	"github.com/finch-llm/finch/store"
)

// export1 writes a candidate to a file whose size must be the one that the problem counts.
func export1(t *testing.T, p *Problem, g search.Genome, format string) (path string) {
	t.Helper()
	target, err := export.For(format, p.Model)
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "candidate."+format)
	size := writeNetwork(t, target, p.Network(g), path)
	if format == p.Config.Target {
		if total, err := p.count(g); err != nil || size != total.file {
			t.Errorf("the %s file has %d bytes, %d were counted, %v", format, size, total.file, err)
		}
	}
	return path
}

func writeNetwork(t *testing.T, target export.Target, n *model.Network, path string) (size int64) {
	t.Helper()
	files, err := target.Files(n)
	if err != nil || len(files) != 1 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	var file bytes.Buffer
	if err := files[0].Write(&file); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, file.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return int64(file.Len())
}

// rescore opens a model file and scores it as the experiment scores its winner.
func rescore(t *testing.T, s *Session, p *Task, path string) evaluator.Score {
	t.Helper()
	m, err := model.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	e, err := evaluator.New(m, evaluator.Options{Path: s.Path, Workers: 2, Context: p.Evaluation.Sequence, Teacher: p.Model})
	if err != nil {
		t.Fatal(err)
	}
	scores, err := e.Score(context.Background(), []*model.Network{&m.Network}, p.Evaluation.Whole())
	if err != nil {
		t.Fatal(err)
	}
	return scores[0]
}

// TestWinnerShips runs small experiments, restores their winners from what was recorded, writes them, opens the files and
// scores these: the size and the KL are those that the run recorded, bit for bit. Only where rows of q and k are rearranged
// for a GGUF are products summed in another order.
func TestWinnerShips(t *testing.T) {
	tiny := newPlace(t)
	folder := tiny.model
	file := testmodel.GGUF(t, testmodel.Llama(2, 3, 64, 96, testmodel.Vocab))
	const small = `calibration = { data = "builtin:calibration", tokens = 1024, sequence = 128 }
evaluation = { data = "builtin:evaluation", tokens = 512, sequence = 128 }
search = { generations = 1, offspring = 2, survivors = [1], tokens = [128], starts = 2 }
`
	for _, test := range []struct {
		name, model, lines string
		same               []string // formats that keep every bit of the scores
		near               []string
	}{
		{"finchling bits", model.Builtin, small + "levels = [\"q4_0\", \"q8_0\"]\nbudget = { bits_per_weight = 6 }\ntarget = \"gguf\"", []string{"packed"}, []string{"gguf"}},
		{"finchling joint", model.Builtin, small + "levels = [\"q4_0\", \"q8_0\", \"sparse-0.50+q4_0\", \"sparse-0.70\", \"drop\"]\nbudget = { bytes = \"5.5MB\" }\ntarget = \"packed\"",
			[]string{"packed"}, nil},
		{"finchling rules", model.Builtin, small + `levels = ["q4_0", "q5_0", "q8_0", "drop"]
same = ["attn_q", "attn_k", "attn_v"]
protect = ["blk.0.*", "attn_output", "blk.3.mlp"]
levels_for = [{ layers = ["ffn_*"], levels = ["q4_0", "q4_1"] }, { layers = ["ffn_down"], levels = ["q6_k"] }]
budget = { bytes = "8MB" }
target = "packed"`, []string{"packed"}, nil},
		{"folder rules", folder, `levels = ["q4_k", "q5_0", "q8_0"]
same = [["attn_q", "attn_k", "attn_v"], ["ffn_*"]]
protect = ["blk.1.*"]
budget = { bytes = 250000 }`, []string{"packed"}, []string{"gguf"}},
		{"folder ladder with rules", folder, `levels = { sparse = { step_weights = 256, count = 3 } }
same = ["attn_q", "attn_k", "attn_v"]
levels_for = [{ layers = ["ffn_down"], levels = ["f16", "sparse-0.50"] }]
budget = { sparsity = 0.4 }
target = "packed"`, []string{"packed"}, nil},
		{"folder bits", folder, "levels = [\"q4_0\", \"q4_k\", \"f16\"]\nbudget = { bytes = 150000 }", []string{"packed"}, []string{"gguf"}},
		{"folder ladder", folder, "levels = { sparse = { step_weights = 256, count = 3 } }\nbudget = { sparsity = 0.6 }", []string{"packed"}, []string{"gguf"}},
		{"folder ladder sized to it", folder, "levels = { sparse = { count = 2 } }\nbudget = { sparsity = 0.6 }", []string{"packed"}, nil},
		{"gguf bits", file, "levels = [\"q4_0\", \"q5_1\", \"bf16\"]\nbudget = { bits_per_weight = 7 }", []string{"packed", "gguf"}, nil},
		{"gguf integers", file, "levels = [\"int2-g32\", \"int3-g64\", \"int4-g32-sym\"]\nbudget = { bits_per_weight = 3.6 }\ntarget = \"packed\"", []string{"packed"}, nil},
		{"gguf blocks", file, "levels = [\"q4_0\", \"q8_0\", \"drop\"]\nbudget = { drop = 0.34, bits_per_weight = 5 }\ntarget = \"gguf\"\nsearch = { whole_blocks = true }",
			[]string{"packed", "gguf"}, nil},
		{"gguf sublayers", file, "levels = [\"q4_0\", \"q8_0\", \"drop\"]\nbudget = { drop = 0.34, bits_per_weight = 5 }\ntarget = \"gguf\"", []string{"packed", "gguf"}, nil},
		{"gguf sublayers in bytes", file, "levels = [\"q4_0\", \"q8_0\", \"drop\"]\nbudget = { bytes = 110000 }\ntarget = \"gguf\"", []string{"packed", "gguf"}, nil},
		{"gguf depth", file, "levels = [\"drop\"]\nbudget = { drop = 0.34 }\ntarget = \"packed\"", []string{"packed"}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			place := tiny
			place.dir, place.model = t.TempDir(), test.model
			s := place.session(t, "a.db")
			p := build(t, s, place.experiment(t, test.lines))
			id := run1(t, s, p)
			r, err := s.DB.Run(context.Background(), id)
			if err != nil {
				t.Fatal(err)
			}
			// Another process, for which some levels have to be built again.
			later := place.session(t, "a.db")
			entries, err := os.ReadDir(later.Levels)
			if err != nil {
				t.Fatal(err)
			}
			for i, e := range entries {
				if i%2 == 0 {
					if err := os.Remove(filepath.Join(later.Levels, e.Name())); err != nil {
						t.Fatal(err)
					}
				}
			}
			w, err := later.Winner(context.Background(), &r)
			if err != nil {
				t.Fatal(err)
			}
			for i, format := range append(test.same, test.near...) {
				target, err := export.For(format, w.Model)
				if err != nil {
					t.Fatal(err)
				}
				path := filepath.Join(place.dir, "winner."+format)
				size := writeNetwork(t, target, w.Network, path)
				if format == r.Target && size != w.Result.FileBytes {
					t.Errorf("the %s file has %d bytes, %d were recorded", format, size, w.Result.FileBytes)
				}
				score := rescore(t, s, p.Task, path)
				kl := score.KLInterval().Mean
				t.Logf("%s: %d bytes, KL %v, recorded %v", format, size, kl, w.Result.KL)
				if i < len(test.same) && kl != w.Result.KL || !(math.Abs(kl-w.Result.KL) <= 0.02*w.Result.KL) {
					t.Errorf("the %s file has KL %v, recorded was %v", format, kl, w.Result.KL)
				}
			}
		})
	}
}

func TestWinnerRefuses(t *testing.T) {
	place := newPlace(t)
	s := place.session(t, "a.db")
	p := build(t, s, place.experiment(t, "levels = [\"q4_0\", \"q8_0\"]\nbudget = { bits_per_weight = 6 }"))
	id := run1(t, s, p)
	ctx := context.Background()
	good, err := s.DB.Run(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, says string
		change     func(*store.Run)
	}{
		{"no such run", "no winner yet", func(r *store.Run) { r.ID = 99 }},
		{"another model", "has changed since run 1", func(r *store.Run) { r.ModelHash = "abc" }},
		{"no model", "nowhere", func(r *store.Run) { r.Model = "nowhere" }},
		{"another version's settings", "another form", func(r *store.Run) { r.Config = `{"model":"x"}` }},
	} {
		r := good
		test.change(&r)
		_, err := s.Winner(ctx, &r)
		if fails(t, err, test.says); t.Failed() {
			t.Errorf("%s", test.name)
		}
	}
	// A level that is another one than was scored, under its name.
	sites, levels, err := s.chosen(ctx, id, fmt.Sprintf("%042x", 0))
	if err != nil {
		t.Fatal(err)
	}
	levels[3].RelativeError *= 1.0001
	_, _, err = s.assemble(ctx, p.Task, sites, levels)
	fails(t, err, "another version of finch compressed it")
	levels[3].Name = "q3_k"
	_, _, err = s.assemble(ctx, p.Task, sites, levels)
	fails(t, err, "blk.0.attn_output has level q3_k")
	if _, err := compress.ParseLevel(levels[3].Name); err != nil {
		t.Error(err)
	}
}

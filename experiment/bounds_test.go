package experiment

import (
	"context"
	"fmt"
	"testing"

	"github.com/finch-llm/finch/internal/testmodel"
	"github.com/finch-llm/finch/model"
	"github.com/finch-llm/finch/search"
)

// With several bounds every candidate that can win meets them all, and so does the baseline.
func TestSeveralBounds(t *testing.T) {
	place := newPlace(t)
	file := testmodel.GGUF(t, testmodel.Llama(2, 3, 64, 96, testmodel.Vocab))
	const small = `calibration = { data = "builtin:calibration", tokens = 1024, sequence = 128 }
evaluation = { data = "builtin:evaluation", tokens = 512, sequence = 128 }
`
	for _, test := range []struct{ name, model, lines string }{
		{"bytes and bits", file, "levels = [\"q4_0\", \"q5_0\", \"q8_0\"]\nbudget = { bytes = 150000, bits_per_weight = 5.5 }"},
		{"bits and zeros", file, "levels = [\"q4_0\", \"q8_0\", \"sparse-0.50+q4_0\", \"sparse-0.70+q8_0\"]\nbudget = { bits_per_weight = 4.4, sparsity = 0.3 }"},
		{"bytes, zeros and drops", file, "levels = [\"q4_0\", \"q8_0\", \"sparse-0.50+q4_0\", \"drop\"]\nbudget = { bytes = 110000, sparsity = 0.5, drop = 0.34 }"},
		{"all, of finchling", model.Builtin, small + "levels = [\"q4_0\", \"q8_0\", \"sparse-0.50+q4_0\", \"sparse-0.50\", \"drop\"]\nbudget = { bytes = \"5.3MB\", bits_per_weight = 3.6, sparsity = 0.3, drop = 0.1 }"},
		{"zeros in a GGUF", file, "levels = [\"q4_0\", \"q8_0\", \"sparse-0.50\"]\nbudget = { sparsity = 0.2, bytes = 300000 }\ntarget = \"gguf\""},
	} {
		for _, method := range []string{"evopress", "genetic", "dp", "lagrangian", "uniform"} {
			if test.model == model.Builtin && method != "evopress" {
				continue // the others are slow there
			}
			t.Run(test.name+" by "+method, func(t *testing.T) {
				place := place
				place.dir, place.model = t.TempDir(), test.model
				s := place.session(t, "a.db")
				probes := method == "dp" || method == "lagrangian"
				generations := 6
				if probes {
					generations = 80 // to afford them
				}
				p := build(t, s, place.experiment(t, fmt.Sprintf("%s\nsearch = { method = %q, generations = %d, offspring = 4, survivors = [1], tokens = [128], starts = 2 }",
					test.lines, method, generations)))
				table, err := s.DB.Query(context.Background(), `SELECT genome FROM candidates WHERE run_id = :run AND (stage > 0 OR NOT :probes)
					UNION SELECT genome FROM results WHERE run_id = :run AND role <> 'dense'`, map[string]any{"run": run1(t, s, p), "probes": probes})
				if err != nil || len(table.Rows) == 0 {
					t.Fatalf("%d genomes, %v", len(table.Rows), err)
				}
				b := p.Config.Budget
				for _, row := range table.Rows {
					g, err := search.ParseGenome(row[0].(string))
					if err != nil {
						t.Fatal(err)
					}
					total, err := p.count(g)
					if err != nil {
						t.Fatal(err)
					}
					attn, mlp := 0, 0
					for _, block := range p.Network(g).Blocks {
						if block.DropAttn {
							attn++
						}
						if block.DropMLP {
							mlp++
						}
					}
					zeros := 1 - float64(total.nonzeros)/float64(p.Model.LayerWeights())
					least := int(b.Drop*float64(p.Model.Blocks) + 0.5)
					if b.Bytes > 0 && total.file > b.Bytes || b.BitsPerWeight > 0 && p.bitsPerWeight(total) > b.BitsPerWeight || zeros < b.Sparsity || attn < least || mlp < least {
						t.Errorf("%d bytes, %v bits, %v zeros, %d and %d sublayers dropped: over %s", total.file, p.bitsPerWeight(total), zeros, attn, mlp, describeBudget(&b))
					}
				}
				sound(t, s)
			})
		}
	}
}

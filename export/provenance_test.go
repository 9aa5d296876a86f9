package export

import (
	"math"
	"strings"
	"testing"

	"github.com/finch-llm/finch/internal/testmodel"
	"github.com/finch-llm/finch/model/gguf"
)

// A file says where it comes from and is as large as one that does not know.
func TestProvenance(t *testing.T) {
	source := testmodel.Llama(4, 2, 64, 96, testmodel.Vocab)
	m := open(t, testmodel.GGUF(t, source, gguf.KV{Key: "finch.run", Value: gguf.ValueOf(uint64(99))}, gguf.KV{Key: "finch.old", Value: gguf.ValueOf("x")}))
	known := Provenance{
		Version: "v1.2.3", Experiment: "bits-3.5", Run: 7, Seed: math.MaxUint64, Method: "evopress", Budget: "3.5 bits per weight",
		Model: strings.Repeat("ab", 32), Levels: strings.Repeat("cd", 32), KL: 0.125,
	}
	sizes := map[int]bool{}
	for name, p := range map[string]Provenance{
		"nothing": {}, "all": known, "no KL": {Run: 7, KL: math.NaN()}, "short": {Version: "v", Experiment: "e", KL: 1},
	} {
		format, err := Open("gguf", m, p)
		if err != nil {
			t.Fatal(err)
		}
		file := content(t, format, &m.Network)
		sizes[len(file)] = true
		f, err := gguf.Parse(file, name)
		if err != nil {
			t.Fatal(err)
		}
		run, ok := f.Uint("finch.run")
		if run != uint64(p.Run) || ok != (p.Run > 0) {
			t.Errorf("%s: finch.run is %d, %v", name, run, ok)
		}
		if _, ok := f.Float("finch.kl"); ok != (name == "all") {
			t.Errorf("%s: KL is there: %v", name, ok)
		}
		if _, ok := f.Get("finch.old"); ok {
			t.Errorf("%s: the provenance of the source is left", name)
		}
		if name != "all" {
			continue
		}
		for key, want := range map[string]string{
			"version": "v1.2.3", "experiment": "bits-3.5", "method": "evopress", "budget": "3.5 bits per weight", "model": known.Model, "levels": known.Levels,
		} {
			if got, _ := f.String("finch." + key); got != want {
				t.Errorf("finch.%s is %q, want %q", key, got, want)
			}
		}
		if seed, _ := f.Uint("finch.seed"); seed != known.Seed {
			t.Errorf("finch.seed is %d", seed)
		}
	}
	if len(sizes) != 1 {
		t.Errorf("the sizes are %v", sizes)
	}
	if _, err := Open("gguf", m, Provenance{Experiment: strings.Repeat("x", 1000)}); err == nil {
		t.Error("a provenance that is too long is written")
	}
}

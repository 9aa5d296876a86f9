package compress

import (
	"math"
	"testing"
)

// known has output errors by level and statistics.
func known(errors map[Key]map[string]float64) *Measures { return &Measures{outputs: errors} }

func TestDominatedByWeights(t *testing.T) {
	level := func(layer, weights string, bytes int64, err float64) Stored {
		return Stored{Info: Info{Layer: layer, Level: "other", Bytes: bytes, RelativeError: err}, Weights: weights}
	}
	this := level("a", "w", 10, 0.5)
	this.Level = "this"
	for name, c := range map[string]struct {
		by   Stored
		want bool
	}{
		"smaller and better":   {level("a", "w", 9, 0.4), true},
		"as small and better":  {level("a", "w", 10, 0.4), true},
		"smaller and as good":  {level("a", "w", 9, 0.5), true},
		"the same":             {level("a", "w", 10, 0.5), false},
		"smaller and worse":    {level("a", "w", 9, 0.6), false},
		"larger and better":    {level("a", "w", 11, 0.4), false},
		"of another layer":     {level("b", "w", 9, 0.4), false},
		"of other weights":     {level("a", "v", 9, 0.4), false},
		"smaller and not much": {level("a", "w", 9, 0.500001), false},
	} {
		t.Run(name, func(t *testing.T) {
			for _, r := range Ladders([]Stored{c.by, this}, known(nil)) {
				if r.JudgedBy != ByWeights || r.Statistics != "" || !math.IsNaN(r.OutputError) || !math.IsNaN(r.Seconds) {
					t.Errorf("%+v", r)
				}
				switch {
				case r.Level == "other" && r.DominatedBy != nil:
					t.Errorf("the other one is dominated by %s", r.DominatedBy.Level)
				case r.Level == "this" && (r.DominatedBy != nil) != c.want:
					t.Errorf("dominated: %t, want %t", r.DominatedBy != nil, c.want)
				}
			}
		})
	}
}

// Plain and fitted levels are compared by their outputs, as soon as those of all are known, and fitted ones by nothing else.
func TestDominatedByOutputs(t *testing.T) {
	level := func(name, fitted string, bytes int64, weights float64) Stored {
		return Stored{Info: Info{Layer: "a", Level: name, Bytes: bytes, RelativeError: weights}, Weights: "w", Calibration: fitted, Key: Key(name)}
	}
	plain, better, gptq := level("plain", "", 10, 0.5), level("better", "", 12, 0.4), level("gptq", "text", 10, 0.6)
	on := func(text string, plain, better, gptq float64) map[Key]map[string]float64 {
		return map[Key]map[string]float64{"plain": {text: plain}, "better": {text: better}, "gptq": {text: gptq}}
	}
	missing := on("text", 0.2, 0.15, 0.1)
	delete(missing, "plain")
	for name, c := range map[string]struct {
		levels []Stored
		known  map[Key]map[string]float64
		want   string // statistics/level, judge, what dominates
	}{
		"all are known": {[]Stored{plain, gptq, better}, on("text", 0.2, 0.15, 0.1),
			"text/plain output_error gptq; text/gptq output_error ; text/better output_error gptq; "},
		"one is not": {[]Stored{plain, gptq, better}, missing,
			"text/plain relative_error ; text/gptq  ; text/better relative_error ; "},
		"on another text": {[]Stored{plain, gptq, better}, on("other", 0.2, 0.15, 0.1),
			"text/plain relative_error ; text/gptq  ; text/better relative_error ; "},
		"plain ones": {[]Stored{plain, better}, on("text", 0.2, 0.3, 0),
			"text/plain output_error ; text/better output_error plain; "},
		"fitted to two texts": {[]Stored{plain, gptq, level("late", "zz", 11, 0.7)},
			map[Key]map[string]float64{"plain": {"text": 0.2, "zz": 0.3}, "gptq": {"text": 0.1}, "late": {"zz": 0.3}},
			"text/plain output_error gptq; text/gptq output_error ; zz/plain output_error ; zz/late output_error plain; "},
	} {
		t.Run(name, func(t *testing.T) {
			got := ""
			for _, r := range Ladders(c.levels, known(c.known)) {
				by := ""
				if r.DominatedBy != nil {
					by = r.DominatedBy.Level
				}
				got += r.Statistics + "/" + r.Level + " " + string(r.JudgedBy) + " " + by + "; "
			}
			if got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

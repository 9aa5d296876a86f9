package experiment

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/finch-llm/finch/compress"
	"github.com/finch-llm/finch/configs"
	"github.com/finch-llm/finch/internal/testmodel"
	"github.com/finch-llm/finch/store"
)

// wide is a place with a model whose rows divide into every block.
func wide(t *testing.T) place {
	p := newPlace(t)
	p.model = testmodel.Folder(t, testmodel.Llama(1, 2, 256, 512, testmodel.Vocab))
	return p
}

func (p place) wish(w Wish) Wish {
	w.Name, w.Model, w.Data, w.HeldOut = "small", p.model, p.text, "builtin:evaluation"
	if w.TimeLimit == 0 {
		w.TimeLimit = time.Hour
	}
	return w
}

// composed reads the experiment that a wish makes.
func composed(t *testing.T, s *Session, w Wish) *configs.Experiment {
	t.Helper()
	text, err := s.Compose(context.Background(), w)
	if err != nil {
		t.Fatal(err)
	}
	decoder := configs.Decoder{Methods: []string{"evopress"}, Level: func(name string) (configs.Trait, error) {
		if _, err := compress.ParseLevel(name); err != nil {
			return configs.Trait{}, err
		}
		return configs.ParseLevel(name)
	}}
	f, err := decoder.Parse(text, "small.toml")
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return &f.Experiments[0]
}

func TestCompose(t *testing.T) {
	p := wide(t)
	s := p.session(t, "finch.db")
	e := composed(t, s, p.wish(Wish{BitsPerWeight: 3.3}))
	if e.Name != "small" || e.Model != p.model || e.Target != configs.GGUF || e.Budget != (configs.Budget{BitsPerWeight: 3.3}) || e.Search.Start != configs.StartUniform {
		t.Errorf("%+v", e)
	}
	// Those next to 3.3 bits, in whichever variant the time allows.
	for _, name := range []string{"q2_k", "iq3_xxs", "iq3_s", "q3_k", "iq4_xs"} {
		if !slices.ContainsFunc(e.Levels.Names, func(n string) bool { return strings.TrimPrefix(n, "imatrix-") == name }) {
			t.Errorf("no %s among %q", name, e.Levels.Names)
		}
	}
	for _, name := range []string{"q6_k", "q8_0"} { // further than five above
		if slices.ContainsFunc(e.Levels.Names, func(n string) bool { return strings.HasSuffix(n, name) }) {
			t.Errorf("%s among %q", name, e.Levels.Names)
		}
	}
	if n := len(e.Levels.Names); n < beside || n > 2*beside {
		t.Errorf("%d levels", n)
	}
	if _, err := s.Prepare(e); err != nil {
		t.Errorf("what was composed cannot be run: %v", err)
	}
	if e.Calibration.Tokens%e.Calibration.Sequence != 0 || e.Calibration.Tokens < 2*e.Calibration.Sequence {
		t.Errorf("%+v", e.Calibration)
	}
}

// TestComposeFallback has rows that most blocks do not divide: levels that come to the same are offered once.
func TestComposeFallback(t *testing.T) {
	p := newPlace(t)
	e := composed(t, p.session(t, "finch.db"), p.wish(Wish{BitsPerWeight: 5}))
	var formats []string
	for _, name := range e.Levels.Names {
		level, err := compress.ParseLevel(name)
		if err != nil {
			t.Fatal(err)
		}
		formats = append(formats, level.Format(64).String())
	}
	if sorted := slices.Sorted(slices.Values(formats)); len(slices.Compact(slices.Clone(sorted))) != len(sorted) || len(sorted) < 3 {
		t.Errorf("%q are stored as %q", e.Levels.Names, formats)
	}
}

// TestUnreachable asks for what no levels come to, and for what the error says can be had.
func TestUnreachable(t *testing.T) {
	p := wide(t)
	s := p.session(t, "finch.db")
	fails := func(w Wish) (smallest, largest int64) {
		_, err := s.Compose(context.Background(), p.wish(w))
		var unreachable *UnreachableError
		if !errors.As(err, &unreachable) {
			t.Fatalf("%+v: got %v", w, err)
		}
		m := regexp.MustCompile(`from (\d+) to (\d+) bytes`).FindStringSubmatch(err.Error())
		if m == nil {
			t.Fatalf("%v names no sizes", err)
		}
		smallest, _ = strconv.ParseInt(m[1], 10, 64)
		largest, _ = strconv.ParseInt(m[2], 10, 64)
		return smallest, largest
	}
	smallest, largest := fails(Wish{Bytes: 1000})
	for _, w := range []Wish{{Bytes: smallest - 1}, {Bytes: largest + 1}, {BitsPerWeight: 1}, {BitsPerWeight: 16}} {
		if a, b := fails(w); a != smallest || b != largest {
			t.Errorf("%+v: from %d to %d, and from %d to %d before", w, a, b, smallest, largest)
		}
	}
	for _, bytes := range []int64{smallest, largest} {
		if _, err := s.Prepare(composed(t, s, p.wish(Wish{Bytes: bytes}))); err != nil {
			t.Errorf("%d bytes, which the error offers: %v", bytes, err)
		}
	}
}

func TestComposeNeedsTwoTexts(t *testing.T) {
	p := newPlace(t)
	w := p.wish(Wish{BitsPerWeight: 5})
	w.HeldOut = w.Data
	if _, err := p.session(t, "finch.db").Compose(context.Background(), w); err == nil || !strings.Contains(err.Error(), "two texts") {
		t.Errorf("got %v", err)
	}
}

// TestPace spends as many tokens as there are, in the most careful scheme that they allow.
func TestPace(t *testing.T) {
	p := newPlace(t)
	s := p.session(t, "finch.db")
	task, err := s.compose(p.wish(Wish{BitsPerWeight: 5}))
	if err != nil {
		t.Fatal(err)
	}
	offspring := 0
	for _, tokens := range []float64{-1e9, 0, 1e5, 1e6, 1e7, 1e9, 1e12} {
		task.pace(tokens)
		set := settings(&task.Config.Search)
		if set.Generations < leastGenerations || set.Generations > mostGenerations || set.Offspring < offspring {
			t.Errorf("%g tokens: %+v", tokens, set)
		}
		if total := float64(set.TotalTokens()); set.Generations > leastGenerations && total > tokens {
			t.Errorf("%g tokens are to be spent, %g are planned", tokens, total)
		}
		offspring = set.Offspring
	}
	if offspring != schemes[0].offspring {
		t.Errorf("with all the time in the world, %d offspring", offspring)
	}
}

// TestStartUniform begins where the baseline is.
func TestStartUniform(t *testing.T) {
	p := newPlace(t)
	s := p.session(t, "finch.db")
	e := p.experiment(t, "levels = [\"q4_0\", \"q5_0\", \"q8_0\"]\nbudget = { bits_per_weight = 6 }\nsearch.start = \"uniform\"\n")
	task, err := s.Prepare(e)
	if err != nil {
		t.Fatal(err)
	}
	problem, err := s.Build(context.Background(), task)
	if err != nil {
		t.Fatal(err)
	}
	id, err := s.Run(context.Background(), problem, 7)
	if err != nil {
		t.Fatal(err)
	}
	baseline, err := s.DB.Result(context.Background(), id, store.Baseline)
	if err != nil {
		t.Fatal(err)
	}
	first, ok, err := s.DB.Batch(context.Background(), id, 0, 0)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	if len(first.Candidates) != 1 || first.Candidates[0].Genome != baseline.Genome {
		t.Errorf("the search begins with %+v, the baseline is %s", first.Candidates, baseline.Genome)
	}
}

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
	// Those next to 3.3 bits, fitted to the text, for which there is time.
	for _, name := range []string{"gptq-q2_k", "imatrix-iq3_xxs", "imatrix-iq3_s", "gptq-q3_k", "gptq-iq4_xs"} {
		if !slices.Contains(e.Levels.Names, name) {
			t.Errorf("no %s among %q", name, e.Levels.Names)
		}
	}
	if want := (configs.Text{Data: p.text, Tokens: e.Calibration.Tokens, Sequence: e.Calibration.Sequence}); e.Statistics.Text != want {
		t.Errorf("statistics %+v, want %+v", e.Statistics, want)
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

// TestComposeInNoTime has levels on both sides of the budget, not fitted to anything, and can be run.
func TestComposeInNoTime(t *testing.T) {
	p := wide(t)
	s := p.session(t, "finch.db")
	for _, bits := range []float64{2.1, 3.5, 4.2, 8} {
		e := composed(t, s, p.wish(Wish{BitsPerWeight: bits, TimeLimit: time.Microsecond}))
		if len(e.Levels.Names) != 2 || e.Statistics != (configs.Statistics{}) {
			t.Fatalf("%v bits: %q, statistics %+v", bits, e.Levels.Names, e.Statistics)
		}
		for i, name := range e.Levels.Names {
			level, err := compress.ParseLevel(name)
			if err != nil {
				t.Fatal(err)
			}
			f := level.Format(256)
			if above := float64(8*f.RowBytes(256))/256 > bits; above != (i == 1) {
				t.Errorf("%v bits: %q are not on either side", bits, e.Levels.Names)
			}
		}
		if _, err := s.Prepare(e); err != nil {
			t.Errorf("%v bits: %v", bits, err)
		}
	}
}

// TestDearest leaves two offers, and one on each side of the budget.
func TestDearest(t *testing.T) {
	for _, c := range []struct {
		what   string
		offers []offer
		want   int
	}{
		{"two", []offer{{above: false, seconds: 9}, {above: true, seconds: 1}}, -1},
		{"two below", []offer{{seconds: 9}, {seconds: 1}}, -1},
		{"three below", []offer{{seconds: 1}, {seconds: 9}, {seconds: 3}}, 1},
		{"the only one below", []offer{{seconds: 9}, {above: true, seconds: 1}, {above: true, seconds: 2}}, 2},
		{"the only one above", []offer{{seconds: 2}, {seconds: 1}, {above: true, seconds: 9}}, 0},
	} {
		if got := dearest(c.offers); got != c.want {
			t.Errorf("%s: %d, want %d", c.what, got, c.want)
		}
	}
}

// TestFitOffers fits as many levels as there is time for, the smallest first, and counts what they share.
func TestFitOffers(t *testing.T) {
	p := wide(t)
	s := p.session(t, "finch.db")
	task, err := s.compose(p.wish(Wish{BitsPerWeight: 3.3}))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Time{}
	s.Clock = func() time.Time { // whatever is measured takes a second
		now = now.Add(time.Second)
		return now
	}
	names := func(limit float64) (list []string) {
		offers := []offer{{name: "q2_k"}, {name: "iq3_s"}, {name: "q8_0", above: true}}
		spent, err := s.fitOffers(context.Background(), task, task.sample(), offers, limit)
		if err != nil || spent > limit {
			t.Fatalf("%g of %g seconds, %v", spent, limit, err)
		}
		for _, o := range offers {
			list = append(list, o.name)
		}
		return list
	}
	sample := task.sample()
	sequences := float64(task.Calibration.Len())
	few := min(sequences, float64(2*s.Workers))
	shared := float64(task.Model.Blocks)*sequences/few + 2*sample.products/float64(s.Workers)
	each := sample.weights / float64(s.Workers)
	for _, c := range []struct {
		limit float64
		want  []string
	}{
		{shared, []string{"q2_k", "iq3_s", "q8_0"}},
		{shared + 1.5*each, []string{"imatrix-q2_k", "iq3_s", "q8_0"}},
		{1e12, []string{"imatrix-q2_k", "imatrix-iq3_s", "q8_0"}},
	} {
		task.Config.Calibration.Data = "builtin:calibration" // which nothing should be fitted to too closely
		if got := names(c.limit); !slices.Equal(got, c.want) {
			t.Errorf("%g seconds: %q, want %q", c.limit, got, c.want)
		}
	}
	task.Config.Calibration.Data = p.text
	if got := names(1e12); !slices.Equal(got, []string{"gptq-q2_k", "imatrix-iq3_s", "gptq-q8_0"}) {
		t.Errorf("fitted to a text of one's own: %q", got)
	}
}

// TestComposeNothingToChoose has rows that divide into no blocks, so that all levels are one.
func TestComposeNothingToChoose(t *testing.T) {
	p := newPlace(t)
	p.model = testmodel.Folder(t, testmodel.Llama(1, 2, 40, 72, testmodel.Vocab))
	_, err := p.session(t, "finch.db").Compose(context.Background(), p.wish(Wish{BitsPerWeight: 16}))
	var unreachable *UnreachableError
	if !errors.As(err, &unreachable) || !strings.Contains(err.Error(), "into no blocks") {
		t.Errorf("got %v", err)
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

package experiment

import (
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/finch-llm/finch/search"
)

// tinyTimes is a table for the tiny model, on which f16 is quicker than q4_0 in attention.
func tinyTimes(t *testing.T, task *Task) *Latency {
	t.Helper()
	table := &Latency{Machine: "none", Kernels: "none", Model: task.Model.Hash, Tokens: 1, Fixed: 100_000, Layers: map[string]map[string]int64{}}
	for i := range task.layers {
		l := &task.layers[i]
		times := map[string]int64{"q4_0": 10_000, "q8_0": 20_000, "f16": 30_000, denseLevel: 25_000}
		if l.kind.IsAttention() {
			times["q4_0"], times["f16"] = 8_000, 4_000
		}
		table.Layers[l.source.Name] = times
	}
	return table
}

func (p place) writeTable(t *testing.T, table *Latency) (path string) {
	t.Helper()
	data, err := json.Marshal(table)
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(p.dir, "latency.json")
	p.write(t, path, string(data))
	return path
}

const tinyLevels = "levels = [\"q4_0\", \"q8_0\", \"f16\", \"drop\"]\ntarget = \"packed\"\n"

// TestLatencyBound runs searches within a latency. The winner's pass, added up by hand, is within it, and near it.
func TestLatencyBound(t *testing.T) {
	place := newPlace(t)
	s := place.session(t, "a.db")
	table := tinyTimes(t, prepare(t, s, place.experiment(t, tinyLevels+"budget = { bits_per_weight = 9 }")))
	path := place.writeTable(t, table)
	for _, method := range []string{"evopress", "pareto", "uniform"} {
		e := place.experiment(t, tinyLevels+"budget = { latency_ms = 0.30, latency_table = \""+path+"\" }\nsearch = { generations = 20, method = \""+method+"\" }")
		e.Name = method
		p := build(t, s, e)
		id := run1(t, s, p)
		if problems, err := s.DB.Check(context.Background()); err != nil || len(problems) > 0 {
			t.Errorf("%v, %v", problems, err)
		}
		w, err := s.DB.Result(context.Background(), id, "winner")
		if err != nil {
			t.Fatal(err)
		}
		g, err := search.ParseGenome(w.Genome)
		if err != nil {
			t.Fatal(err)
		}
		pass := table.Fixed
		for i, level := range g {
			site := &p.Space.Sites[i]
			if name := site.Levels[level].Name; !site.IsGate() && g[site.Gate] == search.Keep {
				pass += table.Layers[site.Name][name]
			}
		}
		if got := p.Space.Cost(g); len(got) != 1 || got[0] != pass {
			t.Errorf("%s counts %d ns, by hand it is %d", method, got, pass)
		}
		if pass > 300_000 || pass < 280_000 {
			t.Errorf("%s takes %d ns of 300000", method, pass)
		}
		run, err := s.DB.Run(context.Background(), id)
		if err != nil || run.Budget != "0.3 ms a pass" {
			t.Errorf("budget %q, %v", run.Budget, err)
		}
	}
}

// Layers without a choice have the time of the model's own.
func TestLatencyOfDepth(t *testing.T) {
	place := newPlace(t)
	s := place.session(t, "a.db")
	table := tinyTimes(t, prepare(t, s, place.experiment(t, tinyLevels+"budget = { bits_per_weight = 9 }")))
	p := build(t, s, place.experiment(t, "levels = [\"drop\"]\ntarget = \"packed\"\nbudget = { latency_ms = 0.5, latency_table = \""+place.writeTable(t, table)+"\" }"))
	all := make(search.Genome, len(p.Space.Sites))
	if got := p.Space.Cost(all)[0]; got != 100_000 {
		t.Errorf("with all dropped %d ns are left", got)
	}
	all[0] = search.Keep // an attention: q, k, v and output
	if got := p.Space.Cost(all)[0]; got != 200_000 {
		t.Errorf("with one attention it is %d ns", got)
	}
}

func TestLatencyMistakes(t *testing.T) {
	place := newPlace(t)
	s := place.session(t, "a.db")
	task := prepare(t, s, place.experiment(t, tinyLevels+"budget = { bits_per_weight = 9 }"))
	tell := func(change func(*Latency)) string {
		table := tinyTimes(t, task)
		change(table)
		data, err := json.Marshal(table)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	sound := tell(func(*Latency) {})
	for _, test := range []struct{ name, table, says string }{
		{"another model", tell(func(l *Latency) { l.Model = "abc" }), "is of another model (SHA-256 abc"},
		{"a layer", tell(func(l *Latency) { delete(l.Layers, "blk.1.ffn_up") }), "no time of blk.1.ffn_up at q4_0"},
		{"a level", tell(func(l *Latency) { delete(l.Layers["blk.2.attn_q"], "f16") }), "no time of blk.2.attn_q at f16"},
		{"negative", tell(func(l *Latency) { l.Layers["blk.2.attn_q"]["f16"] = -1 }), "blk.2.attn_q at f16 takes -1"},
		{"too long", tell(func(l *Latency) { l.Layers["blk.2.attn_q"]["f16"] = 2e15 }), "blk.2.attn_q at f16 takes 2000000000000000"},
		{"fixed", tell(func(l *Latency) { l.Fixed = -5 }), `"fixed_ns" is -5`},
		{"tokens", tell(func(l *Latency) { l.Tokens = 0 }), `"tokens" is 0`},
		{"fraction", strings.Replace(sound, "100000", "0.5", 1), "no table of latencies"},
		{"unknown key", strings.Replace(sound, `"machine"`, `"maschine"`, 1), "maschine"},
		{"cut", sound[:len(sound)/2], "no table of latencies"},
		{"more", sound + "1", "something follows"},
		{"empty", "", "no table of latencies"},
		{"too little time", sound, "no feasible genome"},
	} {
		path := filepath.Join(place.dir, "wrong.json")
		place.write(t, path, test.table)
		_, err := s.Prepare(place.experiment(t, tinyLevels+"budget = { latency_ms = 0.05, latency_table = \""+path+"\" }"))
		if fails(t, err, "tiny.toml:13", test.says); t.Failed() {
			t.Errorf("%s", test.name)
		}
	}
	_, err := s.Prepare(place.experiment(t, tinyLevels+"budget = { latency_ms = 0.05, latency_table = \"none.json\" }"))
	fails(t, err, "tiny.toml:13", "none.json: no such file")
}

// MeasureLatency measures each shape once, in rounds of which the slow ones do not count, and what it writes is a table of the experiment.
func TestMeasureLatency(t *testing.T) {
	place := newPlace(t)
	s := place.session(t, "a.db")
	e := place.experiment(t, tinyLevels+"budget = { bits_per_weight = 9 }")
	if _, err := s.Build(context.Background(), prepare(t, s, e)); err != nil {
		t.Fatal(err)
	}
	var now time.Time
	calls := 0
	s.Clock = func() time.Time { // every second call ends a round, of 1 ms but for two that are disturbed
		calls++
		if calls%2 == 0 {
			now = now.Add(time.Millisecond)
			if n := calls / 2 % 6; n == 2 || n == 3 {
				now = now.Add(time.Second)
			}
		}
		return now
	}
	table, err := s.MeasureLatency(context.Background(), e, 2, 5, 1)
	if err != nil {
		t.Fatal(err)
	}
	const shapes, levels = 4, 3 // q and output; k and v; gate and up; down
	if want := 2 * 6 * (shapes*levels + 1); calls != want {
		t.Errorf("the clock was read %d times, want %d: a warm round and five for each shape and level, and the output matrix", calls, want)
	}
	if len(table.Layers) != 3*7 || table.Tokens != 2 || table.Model == "" || table.Kernels != s.Path.Name() {
		t.Errorf("%+v", table)
	}
	for name, times := range table.Layers {
		for _, level := range []string{"q4_0", "q8_0", "f16"} {
			if times[level] != 500_000 || len(times) != 3 { // a round has two copies
				t.Errorf("%s at %s: %d ns", name, level, times[level])
			}
		}
	}
	if least, most := table.Range(); table.Fixed != 500_000 || least != 11_000_000 || most != least {
		t.Errorf("fixed %d, from %d to %d", table.Fixed, least, most)
	}
	later := place.session(t, "a.db")
	prepare(t, later, place.experiment(t, tinyLevels+"budget = { latency_ms = 11, latency_table = \""+place.writeTable(t, table)+"\" }"))
}

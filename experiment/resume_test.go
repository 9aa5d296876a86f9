package experiment

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/finch-llm/finch/configs"
	"github.com/finch-llm/finch/store"
)

// A run that goes on with more generations, stopped anywhere or finished, has the record of one that had them from the beginning.
func TestMoreGenerations(t *testing.T) {
	place := newPlace(t)
	for _, test := range []struct {
		method      string
		fewer, more int
		stops       []int // after so many batches; 0: the shorter run finishes
	}{{"evopress", 3, 5, []int{1, 4, 0}}, {"finch", 40, 60, []int{1, 20, 0}}} {
		t.Run(test.method, func(t *testing.T) {
			of := func(generations int) *configs.Experiment {
				return place.experiment(t, fmt.Sprintf("%s\nsearch = { method = %q, generations = %d }", tinyBits, test.method, generations))
			}
			file := func(stop int) string { return fmt.Sprint(test.method, stop, ".db") }
			long := of(test.more)
			whole := place.session(t, file(-1))
			want := fingerprint(t, whole, run1(t, whole, build(t, whole, long)))
			for _, stop := range test.stops {
				s := place.session(t, file(stop))
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				s.Progress = &watch{after: stop, stop: cancel}
				id, err := s.Run(ctx, build(t, s, of(test.fewer)), 7)
				if stop > 0 != errors.Is(err, context.Canceled) {
					t.Fatal(err)
				}
				if done, err := s.Finished(context.Background(), long, 7); done || err != nil {
					t.Errorf("stopped after %d: finished: %v, %v", stop, done, err)
				}
				again := place.session(t, file(stop))
				if got := run1(t, again, build(t, again, long)); got != id {
					t.Errorf("stopped after %d: run %d went on as run %d", stop, id, got)
				}
				if got := fingerprint(t, again, id); got != want {
					t.Errorf("stopped after %d: fingerprint %s, want %s", stop, got, want)
				}
				if problems, err := again.DB.Check(context.Background()); err != nil || len(problems) > 0 {
					t.Errorf("stopped after %d: %v, %v", stop, problems, err)
				}
			}
		})
	}
}

// A run of finch that began as evopress does, because its tokens did not pay for measurements, keeps to that.
func TestMoreGenerationsOfAnotherBeginning(t *testing.T) {
	place := newPlace(t)
	of := func(generations int) *configs.Experiment {
		return place.experiment(t, fmt.Sprintf("%s\nsearch = { method = \"finch\", generations = %d }", tinyBits, generations))
	}
	s := place.session(t, "few.db")
	id := run1(t, s, build(t, s, of(1)))
	want := fingerprint(t, s, id)
	_, err := s.Run(context.Background(), build(t, s, of(20)), 7)
	fails(t, err, "tiny.toml:13:", "search.generations is 20", `method "finch" begins otherwise`, "write 1 again")
	if got := fingerprint(t, s, id); got != want {
		t.Error("the run has changed")
	}
}

// Every setting is either in the table of those that may not change, or is the one that may.
func TestEverySettingIsDecided(t *testing.T) {
	place := newPlace(t)
	was := place.experiment(t, tinyBits)
	r := &store.Run{ID: 1, Experiment: "tiny", Seed: 7, Config: string(was.Canonical()), ConfigHash: hash(was.Canonical())}
	for _, test := range []struct{ name, lines, want string }{
		{"the same", tinyBits, ""},
		{"more generations", tinyBits + "\nsearch = { generations = 4 }", ""},
		{"fewer generations", tinyBits + "\nsearch = { generations = 2 }", "tiny.toml:13:12: search.generations is 2, but run 1 of \"tiny\" with seed 7 was begun with 3: it may rise"},
		{"more generations and another budget", "levels = [\"q4_0\", \"q4_k\", \"q8_0\"]\nbudget = { bits_per_weight = 6.0 }\nsearch = { generations = 4 }", "tiny.toml:12:12: budget.bits_per_weight is 6, but"},
		{"levels", strings.Replace(tinyBits, "q8_0", "q6_k", 1), `levels is ["q4_0","q4_k","q6_k"], but`},
		{"one level for several layers", tinyBits + "\nsame = [\"attn_q\", \"attn_k\"]", "tiny.toml:13:1: same is [[\"attn_k\",\"attn_q\"]], but run 1 of \"tiny\" with seed 7 was begun with none"},
		{"protected layers", tinyBits + "\nprotect = [\"attn_v\"]", "protect is [\"attn_v\"], but"},
		{"levels for some", tinyBits + "\nlevels_for = [{ layers = [\"attn_v\"], levels = [\"q8_0\"] }]", "tiny.toml:13:1: levels_for is [{"},
		{"a bound of another kind", "levels = [\"q4_0\", \"q4_k\", \"q8_0\"]\nbudget = { bytes = 180000 }", "budget.bits_per_weight is none, but"},
		{"model", tinyBits + "\nmodel = \"other.gguf\"", `model is "other.gguf", but`},
		{"evaluation", tinyBits + "\nevaluation = { tokens = 256 }", "evaluation.tokens is 256, but"},
		{"method", tinyBits + "\nsearch = { method = \"random\" }", `search.method is "random", but`},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := mayGoOn(place.experiment(t, test.lines), r)
			if test.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			fails(t, err, test.want, "--fresh, which keeps the old run")
		})
	}
	random := place.experiment(t, tinyBits+"\nsearch = { method = \"random\" }")
	r.Config, r.ConfigHash = string(random.Canonical()), ""
	_, err := mayGoOn(place.experiment(t, tinyBits+"\nsearch = { method = \"random\", generations = 4 }"), r)
	fails(t, err, `method "random" spends all generations at once`)
	// No key falls through, and the documentation names each.
	docs, err := os.ReadFile("../docs/experiments.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(docs), "\n## What may change while a run goes on\n")
	section, _, _ = strings.Cut(section, "\n## ")
	fitted := place.experiment(t, strings.Replace(tinyBits, "q4_k", "gptq-q4_k", 1)+`
evaluation = { data = "builtin:evaluation" }
same = ["attn_q", "attn_k"]
protect = ["attn_v"]
levels_for = [{ layers = ["ffn_*"], levels = ["q8_0"] }]`)
	changes, err := fitted.Changes([]byte("{}")) // every setting
	if err != nil || len(changes) < 15 {
		t.Fatalf("%d settings, %v", len(changes), err)
	}
	for _, c := range changes {
		if reason := refusal(fitted, configs.Change{Key: c.Key}); strings.Contains(reason, "does not know") {
			t.Errorf("%s: %s", c.Key, reason)
		}
		table, _, _ := strings.Cut(c.Key, ".")
		if !strings.Contains(section, "| `"+table+"`") && !strings.Contains(section, "`"+c.Key+"`") {
			t.Errorf("docs/experiments.md does not say whether %s may change", c.Key)
		}
	}
}

// A session whose time is over builds no levels.
func TestTimeLimitOfLevels(t *testing.T) {
	place := newPlace(t)
	s := place.session(t, "a.db")
	s.Until = s.Clock().Add(-time.Second)
	if _, err := s.Build(context.Background(), prepare(t, s, place.experiment(t, tinyBits))); !errors.Is(err, ErrTimeLimit) {
		t.Errorf("got %v, want ErrTimeLimit", err)
	}
	s.Until = s.Clock().Add(time.Hour)
	build(t, s, place.experiment(t, tinyBits))
}

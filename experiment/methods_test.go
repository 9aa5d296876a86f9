package experiment

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/finch-llm/finch/configs"
	"github.com/finch-llm/finch/search"
)

// TestMethods runs every method on the tiny model, once as a whole and once stopped after its first batch: both leave the
// same record, which is sound. Each takes the first levels that it does not refuse.
func TestMethods(t *testing.T) {
	place := newPlace(t)
	levels := []string{
		"levels = [\"q4_0\", \"q4_k\", \"f16\"]\nbudget = { bytes = 150000 }", // measurements are over it
		"levels = [\"drop\"]\nbudget = { drop = 0.34 }\ntarget = \"packed\"\n",
		"levels = { sparse = { center = 0.5 } }\nbudget = { sparsity = 0.5 }\ntarget = \"packed\"\n",
	}
	for _, m := range search.Methods() {
		t.Run(m.Name, func(t *testing.T) {
			whole := place.session(t, m.Name+".db")
			var e *configs.Experiment
			for _, list := range levels {
				e = place.experiment(t, list+fmt.Sprintf("\nsearch = { generations = 30, method = %q }\n", m.Name))
				if _, err := whole.Prepare(e); err == nil {
					break
				}
			}
			id := run1(t, whole, build(t, whole, e))
			if problems, err := whole.DB.Check(context.Background()); err != nil || len(problems) > 0 {
				t.Errorf("%v, %v", problems, err)
			}
			stopped := place.session(t, m.Name+"-stopped.db")
			ctx, stop := context.WithCancel(context.Background())
			stopped.Progress = &watch{after: 1, stop: stop}
			if _, err := stopped.Run(ctx, build(t, stopped, e), 7); err != nil && !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			again := place.session(t, m.Name+"-stopped.db")
			if got, want := fingerprint(t, again, run1(t, again, build(t, again, e))), fingerprint(t, whole, id); got != want {
				t.Errorf("the record is another: %s, want %s", got, want)
			}
		})
	}
}

// The file's methods are the search's, and what a method needs is missed before anything is built.
func TestMethodsAreRefusedEarly(t *testing.T) {
	place := newPlace(t)
	names := configs.Methods()
	if len(names) != len(search.Methods()) {
		t.Errorf("configs knows %v", names)
	}
	for i, m := range search.Methods() {
		if i < len(names) && names[i] != m.Name {
			t.Errorf("method %s is %s in configs", m.Name, names[i])
		}
	}
	s := place.session(t, "a.db")
	_, err := s.Prepare(place.experiment(t, "levels = [\"q4_0\", \"drop\"]\nbudget = { bits_per_weight = 4 }\nsearch = { method = \"dp-local\" }"))
	fails(t, err, "tiny.toml:13", "leave the level drop out")
	_, err = s.Prepare(place.experiment(t, tinyBits+"\nsearch = { generations = 1, method = \"dp\" }"))
	fails(t, err, "tiny.toml:13", "raise generations")
}

// Local errors are those of outputs where the model is run for the levels, and those of weights elsewhere.
func TestLocalErrors(t *testing.T) {
	place := newPlace(t)
	weights, outputs := "levels = [\"q4_0\", \"q8_0\"]", "evaluation = { data = \"builtin:evaluation\" }\nlevels = [\"imatrix-q4_0\", \"q8_0\"]"
	for name, levels := range map[string]string{"weights": weights, "outputs": outputs} {
		s := place.session(t, name+".db")
		p := build(t, s, place.experiment(t, levels+"\nbudget = { bits_per_weight = 6 }"))
		errs, err := p.localErrors(s.Levels)
		if err != nil {
			t.Fatal(err)
		}
		for i := range errs {
			same := true
			for l, c := range p.sites[i].choices {
				same = same && errs[i][l] == relativeError(c.infos)
			}
			if same != (name == "weights") || !(errs[i][0] > errs[i][1]) || !(errs[i][1] > 0) {
				t.Errorf("%s of %s: %v", name, p.Space.Sites[i].Name, errs[i])
			}
		}
	}
}

// OWL is told the share of outliers of every block, and how sparse every level is.
func TestOutliers(t *testing.T) {
	place := newPlace(t)
	s := place.session(t, "a.db")
	p := build(t, s, place.experiment(t, "levels = [\"wanda-0.50\", \"wanda-0.75\"]\nevaluation = { data = \"builtin:evaluation\" }\nbudget = { sparsity = 0.6 }\ntarget = \"packed\"\nsearch = { method = \"owl\" }"))
	r := &run{Session: s, Problem: p}
	shares, err := r.outliers(context.Background())
	if err != nil || len(shares) != 3 {
		t.Fatal(shares, err)
	}
	for b, share := range shares {
		if !(share > 0 && share < 0.05) {
			t.Errorf("block %d has a share of %v", b, share)
		}
	}
	set := p.searchSettings()
	for i, zeros := range set.Zeros {
		if len(zeros) != 2 || zeros[0] != 0.75 || zeros[1] != 0.5 {
			t.Errorf("%s: zeros %v", p.Space.Sites[i].Name, zeros)
		}
	}
}

// Without generations in its preset, a search for depth takes k(n−k)/1.5 of them: here k = 1 and 2 of n = 3.
func TestDepthPresetFollowsTheModel(t *testing.T) {
	place := newPlace(t)
	for drop, want := range map[string]int{"0.34": 1, "0.67": 1} {
		task := prepare(t, place.session(t, drop+".db"), place.experiment(t, `levels = ["drop"]
target = "packed"
budget = { drop = `+drop+` }
search = { preset = "evopress-depth", tokens = [32, 96], start_tokens = 32 }`))
		p, err := task.problem(task.estimate)
		if err != nil {
			t.Fatal(err)
		}
		set, err := search.Complete(p.Space, settings(&task.Config.Search))
		if err != nil || set.Generations != want || set.Offspring != 32 || set.Start.Candidates != 64 {
			t.Errorf("%s: %+v, %v", drop, set, err)
		}
	}
}

package experiment

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/finch-llm/finch/compress"
	"github.com/finch-llm/finch/evaluator"
)

// self writes an experiment whose fitted level learns from the model's own text.
func self(settings string) string {
	return fmt.Sprintf("levels = [\"q8_0\", %q]\nbudget = { bits_per_weight = 6.0 }\nstatistics = { data = \"self\", %s }", gptq, settings)
}

// writes counts the tokens that a model writes, and may stop it.
type writes struct {
	watch
	tokens int
	after  int
	stop   func()
}

func (w *writes) Text(done, _ int) {
	w.tokens = max(w.tokens, done)
	if w.stop != nil && done >= w.after {
		w.stop()
	}
}

// The model writes its text once, and only when levels are to be fitted to it.
func TestModelsOwnText(t *testing.T) {
	p := newPlace(t)
	dense := p.experiment(t, self("tokens = 1000"))
	sequential := p.experiment(t, self(`tokens = 1000, propagation = "sequential", level = "q4_1"`))
	s, w := p.session(t, "a.db"), &writes{}
	s.Progress = w
	first, second := prepare(t, s, dense), prepare(t, s, sequential)
	if err := s.FitsLevels([]*Task{first, second}); err != nil || w.tokens != 0 {
		t.Errorf("planning has the model write %d tokens, %v", w.tokens, err)
	}
	build(t, s, dense)
	if w.tokens != 992 { // whole sequences
		t.Errorf("%d tokens were written", w.tokens)
	}
	w.tokens = 0
	build(t, s, sequential)
	if w.tokens != 0 || second.fitting.corpus != first.fitting.corpus {
		t.Errorf("a second experiment has %d tokens written again", w.tokens)
	}

	engine, err := evaluator.New(first.Model, evaluator.Options{Path: s.Path.Exact(), Workers: 1, Context: 32, NoTeacher: true})
	if err != nil {
		t.Fatal(err)
	}
	text, err := engine.Sample(context.Background(), evaluator.Sampling{Sequences: 31, Length: 32, Seed: evaluator.SampleSeed})
	if err != nil || text.Hash != first.fitting.corpus.Hash {
		t.Errorf("levels are fitted to another text than the model's, %v", err)
	}

	built := folder(t, s.Levels)
	again, w := p.session(t, "b.db"), &writes{}
	again.Progress = w
	build(t, again, dense)
	if w.tokens != 0 {
		t.Errorf("%d tokens are written for levels that are there", w.tokens)
	}
	if err := os.Remove(filepath.Join(s.Levels, string(first.layers[9].source.Key(level(t, gptq)))+".level")); err != nil {
		t.Fatal(err)
	}
	build(t, again, dense)
	if w.tokens != 992 || !maps.Equal(folder(t, s.Levels), built) {
		t.Errorf("with %d tokens written anew, a level is another", w.tokens)
	}
}

// Whoever is stopped while the model writes begins the text anew, which is the same one.
func TestModelsOwnTextIsStopped(t *testing.T) {
	p := newPlace(t)
	e := p.experiment(t, self("tokens = 1000"))
	s := p.session(t, "a.db")
	ctx, stop := context.WithCancel(context.Background())
	w := &writes{after: 200, stop: stop}
	s.Progress = w
	task := prepare(t, s, e)
	if _, err := s.Build(ctx, task); !errors.Is(err, context.Canceled) || w.tokens > 400 {
		t.Errorf("stopped at 200 tokens, %d were written, %v", w.tokens, err)
	}
	if n := len(folder(t, s.Levels)); n != 0 {
		t.Errorf("%d levels are there", n)
	}
	build(t, s, e)
	whole := p.session(t, "b.db")
	whole.Levels, whole.Workers = t.TempDir(), 3
	build(t, whole, e)
	if !maps.Equal(folder(t, s.Levels), folder(t, whole.Levels)) {
		t.Error("levels depend on whether the model was stopped, or on the workers")
	}
}

// What the text depends on is in the key of a level that is fitted to it, before it is written.
func TestKeysOfModelsOwnText(t *testing.T) {
	p := newPlace(t)
	s := p.session(t, "a.db")
	var keys []compress.Key
	for _, lines := range []string{
		p.fitting(t, ""), self("tokens = 1500"), self("tokens = 1000"), self("tokens = 1500, sequence = 64"),
		self(`tokens = 1500, propagation = "sequential", level = "q4_1"`),
	} {
		keys = append(keys, prepare(t, s, p.experiment(t, lines)).layers[9].source.Key(level(t, gptq)))
	}
	for i, key := range keys {
		if at := slices.Index(keys, key); at != i {
			t.Errorf("levels %d and %d have one key", at, i)
		}
	}
}

func TestModelsOwnTextIsPlanned(t *testing.T) {
	p := newPlace(t)
	s := p.session(t, "a.db")
	_, err := s.Prepare(p.experiment(t, self("tokens = 4096, sequence = 1024")))
	fails(t, err, "tiny.toml:13:", "1024", "write sequence = 512 or less")
	o := evaluator.Options{Workers: 1, Targets: 1}
	task := prepare(t, s, p.experiment(t, self("tokens = 16384, sequence = 512")))
	n, err := task.levelNeeds(s.Levels, o, map[compress.Key]bool{})
	if cache := task.Model.CacheBytes(512); err != nil || n.memory < 32*cache {
		t.Errorf("%d bytes are planned, and keys and values take %d, %v", n.memory, 32*cache, err)
	}
}

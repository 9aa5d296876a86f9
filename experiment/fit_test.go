package experiment

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/finch-llm/finch/compress"
	"github.com/finch-llm/finch/configs"
	"github.com/finch-llm/finch/evaluator"
	"github.com/finch-llm/finch/internal/testmodel"
	"github.com/finch-llm/finch/kernels"
	"github.com/finch-llm/finch/model"
	"github.com/finch-llm/finch/model/finchling"
)

func level(t *testing.T, name string) compress.Level {
	t.Helper()
	l, err := compress.ParseLevel(name)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// The experiment file knows which levels the compressors fit.
func TestFittedLevelsAreKnown(t *testing.T) {
	for name, want := range map[string]bool{
		"q4_k": false, "iq3_s": false, "int3-g64": false, "sparse-0.50": false, "sparse-2:4": false, "gptq-q4_k": true, "gptq-int3-g64-act": true,
		"imatrix-q4_k": true, "wanda-0.50": true, "sparsegpt-0.50+q4_0": true,
	} {
		trait, err := configs.ParseLevel(name)
		if needs := level(t, name).Needs() != compress.NeedsNothing; err != nil || trait.Statistics != want || needs != want {
			t.Errorf("%s: in the file %t, for compressors %t, want %t, %v", name, trait.Statistics, needs, want, err)
		}
	}
}

// gptq is the fitted level of these tests.
const gptq = "gptq-q4_0"

// fitting writes an experiment with a fitted level, whose statistics have these settings too.
func (p place) fitting(t *testing.T, settings string) string {
	t.Helper()
	text := filepath.Join(p.dir, "statistics")
	p.write(t, text, finchling.Calibration[8192:16384])
	return fmt.Sprintf("levels = [\"q8_0\", %q]\nbudget = { bits_per_weight = 6.0 }\nstatistics = { data = %q, tokens = 1500%s }", gptq, text, settings)
}

// folder reads the level files of a level database.
func folder(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, e := range entries {
		if filepath.Ext(e.Name()) != ".level" {
			continue
		}
		files[e.Name()] = read(t, filepath.Join(dir, e.Name()))
	}
	return files
}

// Levels are fitted to the inputs of their own layer, which come through the model's blocks or through compressed ones.
func TestFittedLevels(t *testing.T) {
	p, level := newPlace(t), level(t, gptq)
	for name, through := range map[string]string{"dense": "", "sequential": "q4_1", "sequential, sparse": "sparse-0.50", "sequential, at the level itself": gptq} {
		t.Run(name, func(t *testing.T) {
			settings := ""
			if through != "" {
				settings = fmt.Sprintf(", propagation = \"sequential\", level = %q", through)
			}
			s := p.session(t, strings.Map(func(r rune) rune { return max(r, 'a') }, name)+".db")
			s.Levels = t.TempDir()
			task := prepare(t, s, p.experiment(t, p.fitting(t, settings)))
			if _, err := s.Build(context.Background(), task); err != nil {
				t.Fatal(err)
			}

			o := evaluator.Options{Path: s.Path.Exact(), Workers: 1, Context: 32, NoTeacher: true}
			engine, err := evaluator.New(task.Model, o)
			if err != nil {
				t.Fatal(err)
			}
			compressed := func(l *layer, level compress.Level, of *compress.Statistics) compress.Layer {
				return compress.Layer{Name: l.source.Name, Rows: l.dense.Rows, Cols: l.dense.Cols, Weights: unpack(l.dense), Statistics: of}
			}
			network := task.Model.Network.Clone()
			c := &evaluator.Calibration{
				Corpus: task.fitting.corpus,
				Needs:  func(int, model.Kind) compress.Needs { return compress.NeedsHessian },
				Take: func(block int, of *[model.NumKinds]*compress.Statistics) error {
					for i := range task.layers {
						l := &task.layers[i]
						if l.block != block {
							continue
						}
						want, err := compress.Compress(compressed(l, level, of[l.kind]), level)
						if err != nil {
							return err
						}
						got, _, err := s.levels.Load(l.source.Key(level))
						if err != nil {
							return err
						}
						if !reflect.DeepEqual(got, want) {
							t.Errorf("%s is not fitted to its inputs", l.source.Name)
						}
						if through == "" {
							continue
						}
						before, err := compress.ParseLevel(through)
						if err != nil {
							return err
						}
						if network.Blocks[block].Layers[l.kind], err = compress.Compress(compressed(l, before, of[l.kind]), before); err != nil {
							return err
						}
					}
					return nil
				},
				Through: func(block int) (*model.Block, error) { return &network.Blocks[block], nil },
			}
			if err := engine.Statistics(context.Background(), c); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// A build that is there is not done again; what a level is fitted to is part of its key.
func TestFittedLevelsAreKept(t *testing.T) {
	p := newPlace(t)
	s := p.session(t, "a.db")
	task := prepare(t, s, p.experiment(t, p.fitting(t, "")))
	needs := func(limit int64) levelNeeds {
		n, err := task.levelNeeds(s.Levels, evaluator.Options{Workers: 1, Targets: limit}, map[compress.Key]bool{})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	all := needs(0)
	if all.memory < 3*8*(3*64*64+96*96) || all.disk < all.stored || all.scratch != 0 {
		t.Errorf("building is planned with %+v, fewer bytes than the moments or the levels take", all)
	}
	stream := int64(len(task.fitting.corpus.Tokens) * 64 * 4)
	if n := needs(stream - 1); n.memory != all.memory-stream || n.scratch != stream {
		t.Errorf("with the residual stream on disk, it is planned with %+v", n)
	}
	if _, err := s.Build(context.Background(), task); err != nil {
		t.Fatal(err)
	}
	if n := needs(0); n.memory != 0 || n.disk != 0 || n.stored != all.stored {
		t.Errorf("nothing is to be built, and that takes %+v", n)
	}
	built := folder(t, s.Levels)
	task.fitting.corpus.Tokens[5] = -1 // whoever runs the model now fails
	if _, err := s.Build(context.Background(), task); err != nil {
		t.Errorf("the model is run for levels that are there: %v", err)
	}
	path := filepath.Join(s.Levels, string(task.layers[9].source.Key(level(t, gptq)))+".level")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Build(context.Background(), task); err == nil {
		t.Error("a fitted level is built without statistics")
	}
	again := p.session(t, "b.db")
	build(t, again, p.experiment(t, p.fitting(t, "")))
	if !maps.Equal(folder(t, s.Levels), built) {
		t.Error("a level that was deleted is built again as another")
	}
}

// Everything that the statistics depend on is in the key of a fitted level, and in no other key.
func TestKeysOfFittedLevels(t *testing.T) {
	p := newPlace(t)
	var plains, fitted []compress.Key
	add := func(s *Session, settings string) {
		t.Helper()
		source := prepare(t, s, p.experiment(t, p.fitting(t, settings))).layers[9].source
		plains, fitted = append(plains, source.Key(level(t, "q8_0"))), append(fitted, source.Key(level(t, gptq)))
	}
	s := p.session(t, "a.db")
	for _, settings := range []string{
		"", ", sequence = 64", ", propagation = \"sequential\", level = \"q8_0\"", ", propagation = \"sequential\", level = \"q4_0\"",
	} {
		add(s, settings)
	}
	other := p.session(t, "b.db")
	other.Path = kernels.Paths()[len(kernels.Paths())-1]
	add(other, "")
	p.model = testmodel.Folder(t, testmodel.Llama(1, 4, 64, 96, testmodel.Vocab)) // the same weights, and more
	add(s, "")
	for i, key := range fitted {
		if at := slices.Index(fitted, key); at != i {
			t.Errorf("levels %d and %d have one key", at, i)
		}
		if plains[i] != plains[0] {
			t.Errorf("%d: what other levels are fitted to is in the key of one that learns nothing", i)
		}
	}
}

// progress stops a build after some levels.
type progress struct {
	watch
	after int
	stop  func()
}

func (p *progress) Levels(done, total int) {
	if done == p.after && done < total {
		p.stop()
	}
}

// However often a build is stopped, and with any number of workers, the files are those of one that was not.
func TestFittedLevelsResume(t *testing.T) {
	p := newPlace(t)
	for name, settings := range map[string]string{"dense": "", "sequential": `, propagation = "sequential", level = "q4_1"`} {
		t.Run(name, func(t *testing.T) {
			e := p.experiment(t, p.fitting(t, settings))
			whole := p.session(t, name+".db")
			whole.Levels = t.TempDir()
			build(t, whole, e)
			want := folder(t, whole.Levels)
			dir := t.TempDir()
			stops := 0
			for after := 25; after < 60; after += 5 { // 21 of q8_0 come first
				s := p.session(t, fmt.Sprintf("%s-%d.db", name, after))
				s.Levels, s.Workers = dir, 1+after%3
				ctx, stop := context.WithCancel(context.Background())
				s.Progress = &progress{after: after, stop: stop}
				if _, err := s.Build(ctx, prepare(t, s, e)); errors.Is(err, context.Canceled) {
					stops++
				} else if err != nil {
					t.Fatal(err)
				}
			}
			if got := folder(t, dir); stops < 3 || !maps.Equal(got, want) {
				t.Errorf("after %d stops, %d files of %d are there, or others: %v", stops, len(got), len(want), slices.Sorted(maps.Keys(got)))
			}
		})
	}
}

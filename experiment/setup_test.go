package experiment

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/finch-llm/finch/configs"
	"github.com/finch-llm/finch/internal/testmodel"
	"github.com/finch-llm/finch/kernels"
	"github.com/finch-llm/finch/model/finchling"
	"github.com/finch-llm/finch/store"
)

// The tiny model: 3 blocks, hidden 64, MLP 96, four query heads and two of keys and values. Weights of its layers:
const (
	tinyQ, tinyK, tinyV, tinyO = 64 * 64, 32 * 64, 32 * 64, 64 * 64
	tinyMLP                    = 96 * 64 // each of gate, up and down
	tinyAttn                   = tinyQ + tinyK + tinyV + tinyO
	tinyBlock                  = tinyAttn + 3*tinyMLP
)

// place is a folder with a tiny model, a text and, once a session is opened, a database.
type place struct {
	dir, model, text string
}

func newPlace(t *testing.T) place {
	t.Helper()
	p := place{dir: t.TempDir(), model: testmodel.Folder(t, testmodel.Llama(1, 3, 64, 96, testmodel.Vocab))}
	p.text = filepath.Join(p.dir, "text")
	p.write(t, p.text, finchling.Calibration[:8192])
	return p
}

func (p place) write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// experiment parses one experiment over the tiny model; its own lines begin at line 11.
func (p place) experiment(t *testing.T, lines string) *configs.Experiment {
	t.Helper()
	text := fmt.Sprintf(`[defaults]
model       = %q
calibration = { data = %q, tokens = 1024, sequence = 32 }
evaluation  = { data = %q, tokens = 512, sequence = 32 }
seeds       = [7]
search      = { method = "evopress", generations = 3, offspring = 4, survivors = [2, 1], tokens = [32, 96], starts = 3 }

[[experiment]]
name = "tiny"

%s`, p.model, p.text, p.text, lines)
	f, err := configs.Parse([]byte(text), "tiny.toml")
	if err != nil {
		t.Fatal(err)
	}
	return &f.Experiments[0]
}

// session opens a session on the database in the folder.
func (p place) session(t *testing.T, name string) *Session {
	t.Helper()
	path := filepath.Join(p.dir, name)
	db, err := store.Open(context.Background(), path, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := &Session{
		DB: db, Path: kernels.Paths()[0], Workers: 2, Levels: filepath.Join(p.dir, "levels"), Progress: &watch{}, Clock: time.Now, Version: "test",
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// watch counts batches and may stop the run after one.
type watch struct {
	scored, replayed int
	memo             int // scores
	after            int
	stop             func()
}

func (w *watch) Text(int, int)               {}
func (w *watch) Levels(int, int)             {}
func (w *watch) Begin(string, uint64, int64) {}
func (w *watch) End()                        {}

func (w *watch) Scored(u Update) {
	w.memo += u.Memo
	if u.Replayed {
		w.replayed++
	} else {
		w.scored++
	}
	if w.stop != nil && w.scored+w.replayed == w.after {
		w.stop()
	}
}

func prepare(t *testing.T, s *Session, e *configs.Experiment) *Task {
	t.Helper()
	task, err := s.Prepare(e)
	if err != nil {
		t.Fatal(err)
	}
	return task
}

func build(t *testing.T, s *Session, e *configs.Experiment) *Problem {
	t.Helper()
	p, err := s.Build(context.Background(), prepare(t, s, e))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func run1(t *testing.T, s *Session, p *Problem) (id int64) {
	t.Helper()
	id, err := s.Run(context.Background(), p, p.Config.Seeds[0])
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// fails wants an error that says all of these.
func fails(t *testing.T, err error, says ...string) {
	t.Helper()
	for _, s := range says {
		if err == nil || !strings.Contains(err.Error(), s) {
			t.Errorf("error %v, want %q", err, s)
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

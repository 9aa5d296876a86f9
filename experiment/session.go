package experiment

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/finch-llm/finch/compress"
	"github.com/finch-llm/finch/configs"
	"github.com/finch-llm/finch/evaluator"
	"github.com/finch-llm/finch/internal/text"
	"github.com/finch-llm/finch/kernels"
	"github.com/finch-llm/finch/model"
	"github.com/finch-llm/finch/store"
)

// Session runs experiments on one machine and one database. It opens each model and text once, however many experiments
// share them, and prepares each experiment once. It is not safe for concurrent use.
type Session struct {
	DB       *store.DB // nil for plans
	Path     *kernels.Path
	Workers  int
	Memory   int64  // bytes to make do with; beyond them weights are streamed. 0: all that is needed
	Cache    int64  // bytes that residual streams may take, and no more than their share of Memory
	Levels   string // folder of the level database
	Progress Progress
	Clock    func() time.Time
	Version  string
	NoMemo   bool // compute every score, also those that the database knows

	Resolver Resolver // nil: names are paths

	// Until is when Build and Run end with ErrTimeLimit, at the next level file or batch of scores that is committed; zero: never.
	Until time.Time

	paths   map[named]string
	tasks   []*Task
	models  map[string]*model.Model
	corpora map[corpusKey]*evaluator.Corpus
	engines map[engineKey]*evaluator.Engine
	active  *evaluator.Engine // the one that has the memory
	levels  *compress.Database
}

type corpusKey struct {
	model string
	text  configs.Text
}

type engineKey struct {
	model         string
	context, topK int
}

// Close releases models and levels.
func (s *Session) Close() error {
	var failed []error
	if s.levels != nil {
		failed = append(failed, s.levels.Close())
	}
	for _, e := range s.engines {
		failed = append(failed, e.Rest())
	}
	for _, m := range s.models {
		failed = append(failed, m.Close())
	}
	return errors.Join(failed...)
}

// model opens a model once.
func (s *Session) model(ref string) (*model.Model, error) {
	if m, ok := s.models[ref]; ok {
		return m, nil
	}
	path, err := s.path(named{name: ref})
	if err != nil {
		return nil, err
	}
	m, err := model.OpenAs(path, ref)
	if err != nil {
		return nil, err
	}
	if s.models == nil {
		s.models = map[string]*model.Model{}
	}
	s.models[ref] = m
	return m, nil
}

// corpus reads, tokenizes and packs a text once for a model.
func (s *Session) corpus(m *model.Model, t configs.Text) (*evaluator.Corpus, error) {
	key := corpusKey{m.Ref, t}
	if c, ok := s.corpora[key]; ok {
		return c, nil
	}
	if err := fitsContext(t, m); err != nil {
		return nil, err
	}
	ids, err := s.tokens(m, t.Data, t.Tokens)
	if err != nil {
		return nil, err
	}
	c, err := evaluator.NewCorpus(ids, t.Tokens, t.Sequence, m.Tokenizer.Prefix())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.Data, err)
	}
	s.keep(key, c)
	return c, nil
}

// fitsContext refuses sequences that are longer than a model can see.
func fitsContext(t configs.Text, m *model.Model) error {
	if t.Sequence > m.Context {
		return fmt.Errorf("sequences of %d tokens exceed the model's context of %d: write sequence = %d or less", t.Sequence, m.Context, m.Context)
	}
	return nil
}

// keep has a text ready for other experiments.
func (s *Session) keep(key corpusKey, c *evaluator.Corpus) {
	if s.corpora == nil {
		s.corpora = map[corpusKey]*evaluator.Corpus{}
	}
	s.corpora[key] = c
}

// tokens reads a text as a model sees it, up to a number of tokens or somewhat more.
func (s *Session) tokens(m *model.Model, data string, limit int) ([]int32, error) {
	source, err := s.source(data)
	if err != nil {
		return nil, err
	}
	return text.Tokens(m.Tokenizer, source.Documents(), limit)
}

// options are those that all engines have.
func (s *Session) options() evaluator.Options {
	o := evaluator.Options{Path: s.Path, Workers: s.Workers, Cache: s.Cache, Scratch: filepath.Dir(s.Levels)}
	if s.Memory > 0 {
		o.Share(s.Memory)
		o.Cache = min(o.Cache, s.Cache)
	}
	return o
}

// engine makes an engine once. Experiments that share one also share the dense model's targets in it; when another is
// asked for, the memory is its.
func (s *Session) engine(m *model.Model, context, topK int) (*evaluator.Engine, error) {
	key := engineKey{m.Ref, context, topK}
	e, ok := s.engines[key]
	if s.active != nil && s.active != e {
		if err := s.active.Rest(); err != nil {
			return nil, err
		}
	}
	if ok {
		s.active = e
		return e, nil
	}
	o := s.options()
	o.Context, o.TopK = context, topK
	e, err := evaluator.New(m, o)
	if err != nil {
		return nil, err
	}
	if s.engines == nil {
		s.engines = map[engineKey]*evaluator.Engine{}
	}
	s.engines[key], s.active = e, e
	return e, nil
}

package experiment

import (
	"fmt"

	"github.com/finch-llm/finch/configs"
	"github.com/finch-llm/finch/internal/text"
)

// Resolver finds the models and texts that experiments name. It may have to bring them from elsewhere first.
type Resolver interface {
	Model(name string) (path string, err error)
	Text(name string) (path string, err error)
}

// named is a model, or the file of a text, by its name.
type named struct {
	name string
	text bool
}

// path resolves a name once, so that all of a session is about the same files.
func (s *Session) path(n named) (string, error) {
	if s.Resolver == nil {
		return n.name, nil
	}
	if path, ok := s.paths[n]; ok {
		return path, nil
	}
	resolve := s.Resolver.Model
	if n.text {
		resolve = s.Resolver.Text
	}
	path, err := resolve(n.name)
	if err != nil {
		return "", err
	}
	if s.paths == nil {
		s.paths = map[named]string{}
	}
	s.paths[n] = path
	return path, nil
}

// source is a text by its name.
func (s *Session) source(data string) (text.Source, error) {
	source, err := text.Parse(data)
	if err != nil {
		return text.Source{}, err
	}
	source.Name, err = s.path(named{source.Name, true})
	return source, err
}

// fetch resolves all names of an experiment.
func (s *Session) fetch(config *configs.Experiment) error {
	resolve := func(key string, n named) error {
		if _, err := s.path(n); err != nil { // no mistake in the file: the hub may be busy, or the user have given up
			return fmt.Errorf("%s: %w", config.Position(key), err)
		}
		return nil
	}
	if err := resolve("model", named{name: config.Model}); err != nil {
		return err
	}
	for _, t := range []struct{ key, data string }{
		{"calibration.data", config.Calibration.Data}, {"evaluation.data", config.Evaluation.Data}, {"statistics.data", config.Statistics.Data},
	} {
		source, err := text.Parse(t.data)
		if err != nil {
			return config.Errorf(t.key, "%v", err)
		}
		if err := resolve(t.key, named{source.Name, true}); err != nil {
			return err
		}
	}
	return nil
}

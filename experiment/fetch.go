package experiment

import (
	"fmt"

	"github.com/finch-llm/finch/configs"
	"github.com/finch-llm/finch/internal/text"
)

// fetch brings what an experiment names on the hub.
func (s *Session) fetch(config *configs.Experiment) error {
	if s.Fetch == nil {
		return nil
	}
	names := []struct{ key, name string }{{"model", config.Model}}
	for _, t := range []struct{ key, name string }{
		{"calibration.data", config.Calibration.Data}, {"evaluation.data", config.Evaluation.Data}, {"statistics.data", config.Statistics.Data},
	} {
		source, err := text.Parse(t.name)
		if err != nil {
			return config.Errorf(t.key, "%v", err)
		}
		names = append(names, struct{ key, name string }{t.key, source.Name})
	}
	for _, n := range names {
		// No mistake in the file: the hub may be busy, or the user have given up.
		if err := s.Fetch(n.name); err != nil {
			return fmt.Errorf("%s: %w", config.Position(n.key), err)
		}
	}
	return nil
}

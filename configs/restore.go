package configs

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
)

// Restore makes an experiment of what Canonical wrote, such as a run's record. Name and seeds, which are no part of it, are
// the caller's to say.
func Restore(name string, seeds []uint64, canonical []byte) (*Experiment, error) {
	var c struct {
		Model, Target           string
		Calibration, Evaluation Text
		Statistics              Statistics
		Levels                  json.RawMessage
		LevelsFor               []LevelsFor `json:"levels_for"`
		Same                    [][]string
		Protect                 []string
		Budget                  struct {
			BitsPerWeight  float64 `json:"bits_per_weight"`
			Bytes          int64
			Sparsity, Drop float64
			LatencyMS      float64 `json:"latency_ms"`
			LatencyTable   string  `json:"latency_table"`
		}
		Search struct {
			Method, Fitness, Group, Start  string
			Generations, Offspring, Starts int
			Survivors, Tokens              []int
			StartTokens                    int  `json:"start_tokens"`
			TopK                           int  `json:"top_k"`
			WholeBlocks                    bool `json:"whole_blocks"`
		}
	}
	var ladder struct {
		Sparse *struct {
			Center      float64
			StepWeights int64 `json:"step_weights"`
			Count       int
		}
	}
	err := json.Unmarshal(canonical, &c)
	e := &Experiment{
		Name: name, Seeds: seeds, Model: c.Model, Calibration: c.Calibration, Evaluation: c.Evaluation, Statistics: c.Statistics,
		Target: c.Target, Rules: Rules{c.LevelsFor, c.Same, c.Protect}, Budget: Budget(c.Budget),
		Search: Search{
			Method: c.Search.Method, Generations: c.Search.Generations, Offspring: c.Search.Offspring, Survivors: c.Search.Survivors,
			Tokens: c.Search.Tokens, Fitness: c.Search.Fitness, TopK: c.Search.TopK, Starts: c.Search.Starts,
			Start: cmp.Or(c.Search.Start, StartRandom), StartTokens: c.Search.StartTokens, Group: c.Search.Group, WholeBlocks: c.Search.WholeBlocks,
		},
	}
	if json.Unmarshal(c.Levels, &e.Levels.Names) != nil && json.Unmarshal(c.Levels, &ladder) == nil && ladder.Sparse != nil {
		l := Ladder(*ladder.Sparse)
		e.Levels = Levels{Sparse: &l}
	}
	if err != nil || !bytes.Equal(e.Canonical(), canonical) {
		return nil, errors.New("its settings were recorded in another form than this version of finch writes: use the version that made it")
	}
	return e, nil
}

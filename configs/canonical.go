package configs

import (
	"encoding/json"
	"maps"
)

// Canonical is every setting that determines the results of a run, besides its seed, as JSON with sorted keys and all
// defaults filled in: equal for experiments that are written differently and mean the same. The name and the list of
// seeds are not part of it, so that renaming an experiment or adding a seed leaves finished runs valid.
func (e *Experiment) Canonical() []byte {
	s := e.Search
	search := map[string]any{
		"method":       s.Method,
		"generations":  s.Generations,
		"offspring":    s.Offspring,
		"survivors":    s.Survivors,
		"tokens":       s.Tokens,
		"fitness":      s.Fitness,
		"starts":       s.Starts,
		"start_tokens": s.StartTokens,
		"group":        s.Group,
		"whole_blocks": s.WholeBlocks,
	}
	if s.Start != StartRandom { // left out otherwise, as before there was a choice
		search["start"] = s.Start
	}
	if s.Fitness == TopKKL {
		search["top_k"] = s.TopK
	}
	settings := map[string]any{
		"model":       e.Model,
		"calibration": e.Calibration.canonical(),
		"evaluation":  e.Evaluation.canonical(),
		"target":      e.Target,
		"levels":      e.Levels.canonical(),
		"budget":      e.Budget.canonical(),
		"search":      search,
	}
	if e.Statistics != (Statistics{}) {
		settings["statistics"] = e.Statistics.canonical()
	}
	maps.Copy(settings, e.Rules.canonical())
	data, err := json.Marshal(settings)
	if err != nil {
		panic(err) // only for NaN and Inf, which no checked experiment has
	}
	return data
}

func (t Text) canonical() map[string]any {
	return map[string]any{"data": t.Data, "tokens": t.Tokens, "sequence": t.Sequence}
}

func (s Statistics) canonical() any {
	if s.Imatrix != "" {
		return map[string]any{"imatrix": s.Imatrix}
	}
	settings := s.Text.canonical()
	settings["propagation"] = s.Propagation
	if s.Level != "" {
		settings["level"] = s.Level
	}
	return settings
}

func (l Levels) canonical() any {
	if l.Sparse == nil {
		return l.Names
	}
	return map[string]any{"sparse": map[string]any{
		"center":       l.Sparse.Center,
		"step_weights": l.Sparse.StepWeights,
		"count":        l.Sparse.Count,
	}}
}

func (b Budget) canonical() any {
	bounds := map[string]any{}
	for key, v := range map[string]float64{"bits_per_weight": b.BitsPerWeight, "sparsity": b.Sparsity, "drop": b.Drop, "latency_ms": b.LatencyMS} {
		if v != 0 {
			bounds[key] = v
		}
	}
	if b.Bytes != 0 {
		bounds["bytes"] = b.Bytes
	}
	if b.LatencyTable != "" {
		bounds["latency_table"] = b.LatencyTable
	}
	return bounds
}

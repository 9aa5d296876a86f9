package cmd

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"

	"github.com/finch-llm/finch/store"
)

// side is an experiment beside others.
type side struct {
	experiment, method string
	runs               int
	measured           []winner // runs that have ended

	// Against the first; NaN where it is not known.
	pairs                int // seeds that both have
	difference, interval float64
	over                 string // what the interval is over: "seeds" or "text"
}

// winner is what the query compare says of a run that has one.
type winner struct {
	seed    int64
	texts   string             // hashes of the model and of the held-out text
	figures map[string]float64 // by column
}

// figureColumns are averaged over seeds.
var figureColumns = []string{"file_bytes", "bits_per_weight", "kl", "ppl", "tokens", "search_seconds"}

// errorColumns are what the interval on the text comes from.
var errorColumns = []string{"kl_error", "baseline_kl", "paired_error"}

// sideBySide sorts runs into the experiments asked for, in their order, and holds each against the first.
func sideBySide(runs *store.Table, experiments []string) ([]side, error) {
	var sides []side
	for _, name := range experiments {
		s := side{experiment: name, difference: math.NaN(), interval: math.NaN()}
		for _, row := range runs.Rows {
			if row[slices.Index(runs.Columns, "experiment")] == any(name) {
				s.add(runs.Columns, row)
			}
		}
		if s.runs == 0 {
			return nil, usagef("no experiment is named %q: finch status lists the runs", name) // a run by its id
		}
		sides = append(sides, s)
	}
	for i := range sides[1:] {
		if err := sides[1+i].holdAgainst(&sides[0]); err != nil {
			return nil, err
		}
	}
	return sides, nil
}

func (s *side) add(columns []string, row []any) {
	value := func(column string) any { return row[slices.Index(columns, column)] }
	s.method = value("method").(string)
	s.runs++
	if value("kl") == nil {
		return
	}
	w := winner{value("seed").(int64), fmt.Sprint(value("model_hash"), value("evaluation_hash")), map[string]float64{}}
	for _, column := range slices.Concat(figureColumns, errorColumns) {
		w.figures[column] = asFloat(value(column))
	}
	s.measured = append(s.measured, w)
}

// asFloat reads a number of a table; NULL is NaN.
func asFloat(v any) float64 {
	switch v := v.(type) {
	case int64:
		return float64(v)
	case float64:
		return v
	}
	return math.NaN()
}

// holdAgainst pairs the runs of one seed.
func (s *side) holdAgainst(first *side) error {
	var differences, onText []float64
	for _, a := range s.measured {
		for _, b := range first.measured {
			if a.texts != b.texts {
				return fmt.Errorf("%s was measured on another model or another text than %s: their KLs do not compare", s.experiment, first.experiment)
			}
			if a.seed != b.seed {
				continue
			}
			differences = append(differences, a.figures["kl"]-b.figures["kl"])
			half := "kl_error" // of each by itself, where they have no baseline in common
			if a.figures["baseline_kl"] == b.figures["baseline_kl"] {
				half = "paired_error"
			}
			onText = append(onText, a.figures[half]+b.figures[half])
		}
	}
	if s.pairs = len(differences); s.pairs == 0 {
		return nil
	}
	s.difference = stat.Mean(differences, nil)
	if n := float64(s.pairs); slices.Min(differences) < slices.Max(differences) {
		t := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: n - 1}.Quantile(0.975)
		s.interval, s.over = t*stat.StdDev(differences, nil)/math.Sqrt(n), "seeds"
	} else {
		s.interval, s.over = slices.Max(onText), "text"
	}
	return nil
}

// verdict is "" where the interval is not known.
func (s *side) verdict() string {
	switch {
	case math.IsNaN(s.interval):
		return ""
	case s.difference+s.interval < 0:
		return "win"
	case s.difference-s.interval > 0:
		return "loss"
	}
	return "tie"
}

// spread is the mean and the standard deviation of one of figureColumns; NaN where there are too few runs.
func (s *side) spread(column string) (mean, sd float64) {
	var values []float64
	for _, w := range s.measured {
		values = append(values, w.figures[column])
	}
	switch len(values) {
	case 0:
		return math.NaN(), math.NaN()
	case 1:
		return values[0], math.NaN()
	}
	return stat.MeanStdDev(values, nil)
}

// figures are sides with every figure in a column of its own.
func figures(sides []side) *store.Table {
	t := &store.Table{Columns: []string{"experiment", "method", "runs", "measured"}}
	for _, column := range figureColumns {
		t.Columns = append(t.Columns, column, column+"_sd")
	}
	t.Columns = append(t.Columns, "pairs", "difference", "interval", "interval_over", "verdict")
	for i := range sides {
		s := &sides[i]
		row := []any{s.experiment, s.method, int64(s.runs), int64(len(s.measured))}
		for _, column := range figureColumns {
			mean, sd := s.spread(column)
			row = append(row, known(mean), known(sd))
		}
		t.Rows = append(t.Rows, append(row, int64(s.pairs), known(s.difference), known(s.interval), s.over, s.verdict()))
	}
	return t
}

// known is a number, or NULL for NaN.
func known(x float64) any {
	if math.IsNaN(x) {
		return nil
	}
	return x
}

// forPeople are sides in the columns that matter most.
func forPeople(sides []side) *store.Table {
	t := &store.Table{Columns: []string{
		"experiment", "method", "runs", "file_bytes", "bits_per_weight", "kl", "ppl", "tokens", "seconds", "against " + sides[0].experiment,
	}}
	for i := range sides {
		s := &sides[i]
		runs := fmt.Sprint(s.runs)
		if ended := len(s.measured); ended < s.runs {
			runs = fmt.Sprintf("%d of %d", ended, s.runs)
		}
		t.Rows = append(t.Rows, []any{
			s.experiment, s.method, runs, s.around("file_bytes", 0), s.around("bits_per_weight", 3), s.around("kl", 5), s.around("ppl", 3),
			s.around("tokens", 0), s.around("search_seconds", 1), s.against(),
		})
	}
	return t
}

// around writes a mean and its spread.
func (s *side) around(column string, digits int) string {
	mean, sd := s.spread(column)
	switch {
	case math.IsNaN(mean):
		return ""
	case math.IsNaN(sd), sd == 0:
		return fmt.Sprintf("%.*f", digits, mean)
	}
	return fmt.Sprintf("%.*f ± %.*f", digits, mean, digits, sd)
}

// against writes the difference to the first side.
func (s *side) against() string {
	if s.pairs == 0 {
		return ""
	}
	return fmt.Sprintf("%s (%+.5f ± %.5f over %s)", s.verdict(), s.difference, s.interval, s.over)
}

package compress

import (
	"math"
	"slices"
)

// Rung is a level in a ladder: the levels of one layer, from the smallest to the largest, that learn nothing or were fitted to the
// same statistics. Its OutputError is that on these.
type Rung struct {
	Stored
	Statistics string  // what they come from; empty: no level of the layer has any
	Seconds    float64 // that it took to make, NaN if unknown

	// DominatedBy is a level of the ladder that takes no more bytes and errs no more, and is better in one of them; nil if there is
	// none. JudgedBy says which error that is.
	DominatedBy *Rung
	JudgedBy    Judge
}

// Judge is an error that the levels of a ladder are compared by.
type Judge string

const (
	Unjudged  Judge = ""
	ByOutputs Judge = "output_error"   // Info.OutputError: all levels of the ladder have one
	ByWeights Judge = "relative_error" // Info.RelativeError: not all have, and this one learns nothing
)

// Ladders are those of all layers among levels, which are in the order of List. Where levels of a layer were fitted to several
// statistics, it has a ladder for each, and those that learn nothing are in all of them.
func Ladders(levels []Stored, known *Measures) []*Rung {
	var all []*Rung
	for len(levels) > 0 {
		n := 1
		for n < len(levels) && levels[n].Layer == levels[0].Layer && levels[n].Weights == levels[0].Weights {
			n++
		}
		for _, statistics := range fittedTo(levels[:n], known) {
			all = append(all, newLadder(levels[:n], statistics, known)...)
		}
		levels = levels[n:]
	}
	return all
}

// fittedTo lists the statistics that levels of a layer were fitted to or, if none was, that their output errors were measured on.
func fittedTo(levels []Stored, known *Measures) []string {
	var fitted, measured []string
	for _, l := range levels {
		if l.Calibration != "" {
			fitted = append(fitted, l.Calibration)
		}
		measured = append(measured, known.statistics(l.Key)...)
	}
	if len(fitted) == 0 {
		fitted = measured
	}
	if len(fitted) == 0 {
		return []string{""}
	}
	slices.Sort(fitted)
	return slices.Compact(fitted)
}

func newLadder(levels []Stored, statistics string, known *Measures) []*Rung {
	var ladder []*Rung
	unknown := false
	for _, l := range levels {
		if l.Calibration != "" && l.Calibration != statistics {
			continue
		}
		l.OutputError = known.OutputError(l.Key, statistics)
		unknown = unknown || math.IsNaN(l.OutputError)
		ladder = append(ladder, &Rung{Stored: l, Statistics: statistics, Seconds: known.Seconds(l.Key)})
	}
	for _, r := range ladder {
		switch {
		case !unknown:
			r.JudgedBy = ByOutputs
		case r.Calibration == "":
			r.JudgedBy = ByWeights // which a fitted level gives up for its outputs
		}
	}
	for _, r := range ladder {
		if at := slices.IndexFunc(ladder, func(o *Rung) bool { return o.dominates(r) }); at >= 0 {
			r.DominatedBy = ladder[at]
		}
	}
	return ladder
}

func (r *Rung) dominates(o *Rung) bool {
	mine, other := r.judged(), o.judged() // NaN compares as false
	return r.Bytes <= o.Bytes && mine <= other && (r.Bytes < o.Bytes || mine < other)
}

// judged is the error that a level is compared by, NaN if it is not.
func (r *Rung) judged() float64 {
	switch r.JudgedBy {
	case ByOutputs:
		return r.OutputError
	case ByWeights:
		return r.RelativeError
	}
	return math.NaN()
}

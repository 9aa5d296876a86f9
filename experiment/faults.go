package experiment

import (
	"context"
	"errors"
	"fmt"
	"math"
	"syscall"
	"time"

	"github.com/finch-llm/finch/evaluator"
	"github.com/finch-llm/finch/model"
	"github.com/finch-llm/finch/search"
)

const (
	// hopeless is how many scores in a row may fail: what is wrong then is not the candidates. So many processes may end in one batch, too.
	hopeless = 10
	// triesAlone is how often a candidate is scored by itself after a fault. That a score is not finite is no fault: it would be the same again.
	triesAlone = 2
	// deadly is how many processes end in a batch before its candidates are scored with as little memory as can be.
	deadly = 2

	// patience is what any batch may take, and slack how often what it should take, by the slowest of the session so far: much more than
	// other programs on the machine make of it, for what is stopped in vain is computed again.
	patience = 10 * time.Minute
	slack    = 20
)

// errSlow says that scoring took so long that something must be wrong.
var errSlow = errors.New("no score")

// faults counts scores that failed.
type faults struct{ row int }

// count looks at the scores of a batch, of which the infeasible candidates have none, and refuses to go on after too many failures in
// a row. Replayed batches count as scored ones do, so a run that goes on stops where it did.
func (f *faults) count(b *search.Batch, a answers) error {
	for i, c := range b.Candidates {
		switch {
		case a.failed[i] != "":
			if f.row++; f.row == hopeless {
				return fmt.Errorf("%d scores in a row failed, the last that of candidate %d in generation %d (%s): see finch query failures; if they are not finite, allow milder levels, or see with finch eval whether the model itself gives finite ones",
					hopeless, c.ID+1, b.Generation, a.failed[i])
			}
		case !math.IsNaN(a.fitness[i]):
			f.row = 0
		}
	}
	return nil
}

// fault is the reason why networks have no score, if the error is about them or may not come again; "" if the run cannot go on.
func fault(err error) string {
	var p *evaluator.Panic
	switch {
	case errors.As(err, &p):
		return p.Error()
	case errors.Is(err, errSlow):
		return err.Error()
	case errors.Is(err, syscall.ENOMEM):
		return "out of memory: " + err.Error()
	}
	return ""
}

// outcome is a network's score, or the reason why it has none: then all that it tells of a network is NaN, for it has no positions.
type outcome struct {
	evaluator.Score
	fault string
}

// outcomes scores the networks of a batch. After a fault, or if the batch has ended several processes, each is scored by itself: that
// takes the least memory, and finds those that cannot be scored. The others get the bits that they would have got together.
func (r *run) outcomes(ctx context.Context, b *search.Batch, networks []*model.Network, slice evaluator.Slice) ([]outcome, error) {
	killed, err := r.DB.Attempt(ctx, r.id, b.Generation, b.Stage)
	if err != nil {
		return nil, err
	}
	where := fmt.Sprintf("generation %d stage %d", b.Generation, b.Stage)
	if killed >= hopeless {
		return nil, fmt.Errorf("%d processes in a row were killed while they scored %s, for want of memory perhaps: allow less with --memory, and see what the system's log says", killed, where)
	}
	if killed >= deadly {
		return r.apart(ctx, where, fmt.Sprintf("%d processes were killed", killed), networks, slice)
	}
	return r.together(ctx, where, networks, slice)
}

// together scores networks at once, or, after a fault, each by itself.
func (r *run) together(ctx context.Context, where string, networks []*model.Network, slice evaluator.Slice) ([]outcome, error) {
	scores, err := r.timed(ctx, networks, slice)
	if err != nil {
		reason := fault(err)
		if reason == "" {
			return nil, err
		}
		return r.apart(ctx, where, reason, networks, slice)
	}
	all := make([]outcome, len(scores))
	for i, s := range scores {
		all[i].Score = s
	}
	return all, nil
}

// apart scores networks each by itself, for a reason, and again after a fault. It gives up when too many in a row fail, and leaves the batch
// unrecorded: when what was wrong is mended the run goes on.
func (r *run) apart(ctx context.Context, where, reason string, networks []*model.Network, slice evaluator.Slice) ([]outcome, error) {
	if err := r.DB.Event(ctx, r.id, "fault", where+": "+reason+": each candidate is scored by itself"); err != nil {
		return nil, err
	}
	all := make([]outcome, len(networks))
	row := r.faults.row
	for i := range networks {
		o := &all[i]
		for range triesAlone {
			r.engine.Forget() // memory, and what a panic may have left behind
			scores, err := r.timed(ctx, networks[i:i+1], slice)
			if err == nil {
				*o = outcome{Score: scores[0]}
				break
			}
			if o.fault = fault(err); o.fault == "" {
				return nil, err
			}
		}
		if o.fault == "" {
			row = 0
		} else if row++; row == hopeless {
			return nil, fmt.Errorf("%d candidates in a row could not be scored: %s", hopeless, o.fault)
		}
	}
	return all, nil
}

// insist scores networks that all must have a score. what says what they are scored for.
func (r *run) insist(ctx context.Context, what string, networks []*model.Network, slice evaluator.Slice) ([]evaluator.Score, error) {
	all, err := r.together(ctx, what, networks, slice)
	if err != nil {
		return nil, err
	}
	var scores []evaluator.Score
	for _, o := range all {
		if o.fault != "" {
			return nil, fmt.Errorf("%s: %s, after %d tries: give the command again, with less --memory if it was short of that", what, o.fault, 1+triesAlone)
		}
		scores = append(scores, o.Score)
	}
	return scores, nil
}

// timed scores networks in the time that they may take, which is known from the second batch of a session on: the first may have to
// read a model from a slow disk. A worker looks at the time between two blocks.
func (r *run) timed(ctx context.Context, networks []*model.Network, slice evaluator.Slice) ([]evaluator.Score, error) {
	limited := ctx
	work := float64(len(networks)) * float64(slice.Tokens)
	if r.pace > 0 {
		limit := patience + time.Duration(slack*work*float64(r.pace))
		var cancel context.CancelFunc
		limited, cancel = context.WithTimeoutCause(ctx, limit, fmt.Errorf("%w after %v", errSlow, limit.Round(time.Second)))
		defer cancel()
	}
	start := r.Clock()
	scores, err := r.engine.Score(limited, networks, slice)
	if err == nil {
		r.pace = max(r.pace, time.Duration(float64(r.Clock().Sub(start))/work))
	} else if cause := context.Cause(limited); errors.Is(cause, errSlow) {
		err = cause
	}
	return scores, err
}

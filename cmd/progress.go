package cmd

import (
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/finch-llm/finch/experiment"
)

// newProgress shows progress as a live bar on a terminal, and as plain lines elsewhere.
func newProgress(w io.Writer) experiment.Progress {
	if f, ok := w.(*os.File); ok && isTerminal(f) {
		return &bars{out: w}
	}
	return &lines{out: w}
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// state is what both kinds of progress know about the current run.
type state struct {
	name   string
	total  int64 // tokens
	scored int64 // tokens in this session
	known  int64 // tokens of answers that the database had, replayed or from the memo
	memo   int   // scores from the memo
	start  time.Time
	update experiment.Update
}

func (s *state) begin(name string, seed uint64, tokens int64) {
	*s = state{name: fmt.Sprintf("%s seed %d", name, seed), total: tokens, start: time.Now()}
}

func (s *state) scoredBatch(u experiment.Update) {
	s.update = u
	known := u.Memo
	if u.Replayed {
		known = u.Scores
	}
	s.known += int64(known) * u.Tokens
	s.scored += int64(u.Scores-known) * u.Tokens
	s.memo += u.Memo
}

// rate is tokens per second in this session.
func (s *state) rate() float64 {
	if seconds := time.Since(s.start).Seconds(); seconds > 0 {
		return float64(s.scored) / seconds
	}
	return 0
}

// left is the time that the run still takes at this rate.
func (s *state) left() time.Duration {
	rate := s.rate()
	if rate == 0 {
		return 0
	}
	return time.Duration(float64(max(0, s.total-s.scored-s.known)) / rate * float64(time.Second)).Round(time.Second)
}

func (s *state) text() string {
	text := fmt.Sprintf("best %.5f  %.0f tokens/s  %v left", s.update.Best, s.rate(), s.left())
	if s.update.Generations > 0 {
		text = fmt.Sprintf("generation %d/%d  %s", s.update.Generation, s.update.Generations, text)
	}
	if s.memo > 0 {
		text += fmt.Sprintf("  %d scores from the memo", s.memo)
	}
	return text
}

// counting is what both kinds of progress know about levels, or the tokens of a text before them: the first call says how many there were.
type counting struct {
	start time.Time // zero: not begun
	first int
}

// left is the time that the rest still takes at the rate so far; false if there is none.
func (c *counting) left(done, total int) (left time.Duration, ok bool) {
	if c.start.IsZero() {
		c.start, c.first = time.Now(), done
	}
	made := done - c.first
	if made == 0 {
		return 0, false
	}
	return (time.Since(c.start) * time.Duration(total-done) / time.Duration(made)).Round(time.Second), true
}

// lines writes a line now and then.
type lines struct {
	out     io.Writer
	last    time.Time
	counted counting
	state
}

const linePeriod = 5 * time.Second

func (l *lines) Text(done, total int) { l.count("tokens written", done, total) }

func (l *lines) Levels(done, total int) { l.count("levels", done, total) }

func (l *lines) count(what string, done, total int) {
	left, ok := l.counted.left(done, total)
	switch {
	case done == total:
		fmt.Fprintf(l.out, "%s: %d of %d\n", what, done, total)
		l.counted = counting{}
	case ok && time.Since(l.last) > linePeriod:
		l.last = time.Now()
		fmt.Fprintf(l.out, "%s: %d of %d  %v left\n", what, done, total, left)
	}
}

func (l *lines) Begin(name string, seed uint64, tokens int64) {
	l.begin(name, seed, tokens)
	l.last = time.Now()
	fmt.Fprintf(l.out, "%s: up to %d tokens to score\n", l.name, tokens)
}

func (l *lines) Scored(u experiment.Update) {
	l.scoredBatch(u)
	if time.Since(l.last) > linePeriod {
		l.last = time.Now()
		fmt.Fprintf(l.out, "%s: %s\n", l.name, l.text())
	}
}

func (l *lines) End() {
	fmt.Fprintf(l.out, "%s: ended after generation %d, %d tokens scored, %d from the database, %d scores from the memo, %v\n",
		l.name, l.update.Generation, l.scored, l.known, l.memo, time.Since(l.start).Round(100*time.Millisecond))
}

// bars draws one live bar at a time.
type bars struct {
	out io.Writer
	state
	pool    *mpb.Progress
	bar     *mpb.Bar
	counted counting
	label   atomic.Pointer[string] // read by the goroutine that draws
}

func (b *bars) open(name string, total int64, text func() string) {
	b.close()
	b.pool = mpb.New(mpb.WithOutput(b.out), mpb.WithWidth(40))
	b.bar = b.pool.AddBar(total,
		mpb.PrependDecorators(decor.Name(name, decor.WCSyncSpaceR), decor.Percentage(decor.WCSyncSpace)),
		mpb.AppendDecorators(decor.Any(func(decor.Statistics) string { return text() })))
}

func (b *bars) close() {
	if b.pool == nil {
		return
	}
	b.bar.Abort(false)
	b.pool.Wait()
	b.pool = nil
}

func (b *bars) Text(done, total int) { b.count("tokens written", done, total) }

func (b *bars) Levels(done, total int) { b.count("levels", done, total) }

func (b *bars) count(what string, done, total int) {
	begun := !b.counted.start.IsZero()
	text := ""
	if left, ok := b.counted.left(done, total); ok {
		text = fmt.Sprintf("%v left", left)
	}
	b.label.Store(&text)
	if !begun {
		b.open(what, int64(total), func() string { return *b.label.Load() })
	}
	b.bar.SetCurrent(int64(done))
	if done == total {
		b.counted = counting{}
		b.close()
	}
}

func (b *bars) Begin(name string, seed uint64, tokens int64) {
	b.begin(name, seed, tokens)
	b.relabel()
	b.open(b.name, tokens, func() string { return *b.label.Load() })
}

func (b *bars) relabel() {
	text := b.text()
	b.label.Store(&text)
}

func (b *bars) Scored(u experiment.Update) {
	b.scoredBatch(u)
	b.relabel()
	b.bar.SetCurrent(b.scored + b.known)
}

func (b *bars) End() { b.close() }

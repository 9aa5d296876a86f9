//go:build unix

package cmd_test

import (
	"flag"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/finch-llm/finch/internal/failpoint"
)

// More of it: go test ./cmd -run TestKill -v -timeout 0 -args -kills 1000 -seed 7
var (
	kills = flag.Int("kills", 12, "how many processes TestKill and TestKillMigration kill")
	seed  = flag.Uint64("seed", 0, "seed of the moments of killing; 0: others each time")
)

// draws are those of -seed, which it logs.
func draws(t *testing.T) *rand.Rand {
	t.Helper()
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-seed %d", *seed)
	return rand.New(rand.NewPCG(*seed, 0))
}

// migrationKills is how many of the kills are TestKillMigration's.
func migrationKills() int { return (*kills + 15) / 16 }

// TestKill kills runs at random moments, some times each, and lets them end then: what they leave must be what a run leaves
// that nobody killed. A tenth of the kills at least hits processes that go on with a run and have not yet added to it.
func TestKill(t *testing.T) {
	whole := progressOf(finishedRun(t))
	rng := draws(t)
	resumes := (*kills + 9) / 10
	moments := make([]float64, *kills-migrationKills()-resumes) // one in each of so many equal parts of the run
	for i := range moments {
		moments[i] = (float64(i) + rng.Float64()) / float64(len(moments)) * whole
	}
	rng.Shuffle(len(moments), func(i, j int) { moments[i], moments[j] = moments[j], moments[i] })
	step := time.Duration(float64(finished.took) / whole)
	killed, ended := 0, 0
	last := map[string]int{} // points that were passed last before a kill
	for len(moments) > 0 {
		folder := moments[:min(3, len(moments))]
		moments = moments[len(folder):]
		slices.Sort(folder)
		dir := experiments(t)
		var kept []string
		kill := func(doze time.Duration, when func(*process, *points) bool) (inRun bool) {
			t.Helper()
			p, told := startTold(t, dir, "run", "two.toml")
			if when(p, told) {
				time.Sleep(time.Duration(rng.Float64() * float64(doze)))
				p.Process.Kill()
			}
			switch r := p.end(); r.code {
			case -1:
				killed++
				last[told.last()]++
				now := committed(t, dir)
				keeps(t, "a kill", kept, now)
				kept = now
				step, _, _ := strings.Cut(told.at, ".")
				return slices.Contains(ofRuns, failpoint.Step(step))
			case 0:
				ended++
			default:
				t.Fatalf("exit code %d\n%s", r.code, r.stderr)
			}
			return false
		}
		for _, moment := range folder {
			inRun := kill(step, func(p *process, _ *points) bool { return p.reaches(moment) })
			if inRun && last[resumed] < resumes {
				kill(step/8, func(p *process, told *points) bool { return told.reach(p, resumed) })
			}
		}
		wantSame(t, dir, "run", "two.toml")
		keeps(t, "the end", kept, committed(t, dir))
		nothingRuns(t, dir)
		if t.Failed() {
			t.FailNow()
		}
		if ended > *kills/2 {
			t.Fatal("most processes ended before they were killed")
		}
		for killed+len(moments)+resumes-last[resumed] < *kills-migrationKills() { // where a process ended before
			moments = append(moments, rng.Float64()*whole)
		}
	}
	t.Logf("%d kills; the points that the processes had passed last: %v; %d processes ended before", killed, last, ended)
	if last[resumed] < resumes {
		t.Errorf("%d processes were killed before they had added to the run that they went on with, want %d", last[resumed], resumes)
	}
}

// ofRuns are the steps between the beginning of a run and its end.
var ofRuns = []failpoint.Step{failpoint.Begin, failpoint.Space, failpoint.Resume, failpoint.Attempt, failpoint.Batch, failpoint.Generation, failpoint.Result}

// resumed is the point at which a process goes on with a run: what is recorded is replayed then.
const resumed = string(failpoint.Resume) + "." + string(failpoint.Committed)

// points is a stderr that takes note of the points that a process tells of.
type points struct {
	io.Writer
	told chan string // with room for all of a run
	at   string      // the last that was looked at, see pass
}

func (p *points) Write(text []byte) (int, error) {
	for line := range strings.Lines(string(text)) {
		if point, ok := strings.CutPrefix(strings.TrimSpace(line), "failpoint "); ok {
			p.told <- point
		}
	}
	return p.Writer.Write(text)
}

// reach waits until a process is at a point, and says whether it got there.
func (p *points) reach(running *process, point string) bool {
	for p.at != point {
		select {
		case point := <-p.told:
			p.pass(point)
		case <-running.ended:
			return false
		}
	}
	return true
}

// pass takes a point for the last one. A process that goes on with a run records its space again and that it tries a stage: the
// first score that it adds comes after that.
func (p *points) pass(point string) {
	step, _, _ := strings.Cut(point, ".")
	if p.at != resumed || step != string(failpoint.Space) && step != string(failpoint.Attempt) {
		p.at = point
	}
}

// last is the last point of a process that has ended.
func (p *points) last() string {
	for {
		select {
		case point := <-p.told:
			p.pass(point)
		default:
			return p.at
		}
	}
}

// TestProcs wants one fingerprint of each seed, whatever of the machine Go and finch may use.
func TestProcs(t *testing.T) {
	seen := map[string]string{}
	for _, seed := range []string{"2", "3"} {
		for _, n := range []string{"1", "2", "8"} {
			dir := t.TempDir()
			write(t, dir, "two.toml", strings.ReplaceAll(twoExperiments(t), "[[experiment]]", "[[experiment]]\nseeds = ["+seed+"]"))
			if r := startWith(t, []string{"GOMAXPROCS=" + n}, dir, "run", "two.toml", "--threads", n).end(); r.code != 0 {
				t.Fatalf("seed %s, GOMAXPROCS=%s: exit code %d\n%s", seed, n, r.code, r.stderr)
			}
			seen[fingerprint(t, dir)] += " seed " + seed + " GOMAXPROCS " + n
		}
	}
	if len(seen) != 2 {
		t.Errorf("%d fingerprints of two seeds: %v", len(seen), seen)
	}
}

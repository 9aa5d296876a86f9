// Package failpoint lets tests end finch, or stop it for ever, at a named point, as a kill or a lost power supply would at the
// worst of moments. The environment variable FINCH_FAILPOINT names the point: "batch.committed" ends the process when it
// first gets there, "batch.committed:3" at the third time, and "batch.committed:3:hang" has it wait there instead. "tell" ends
// nothing: every point that is passed is told on stderr. Without the variable a point costs a comparison with nil.
package failpoint

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
)

// Step is something that finch does in phases: a kill between them must lose nothing that was committed.
type Step string

// Steps that are transactions pass Written when their rows are, and Committed when the transaction is.
const (
	Begin      Step = "begin"      // a run is recorded
	Resume     Step = "resume"     // a run changes its status to running
	Extend     Step = "extend"     // a run gets more generations
	Space      Step = "space"      // sites and levels of a run
	Attempt    Step = "attempt"    // a stage is about to be scored
	Batch      Step = "batch"      // candidates and scores of a stage
	Generation Step = "generation" // a generation is closed
	Result     Step = "result"     // a held-out result
	Stop       Step = "stop"       // a run is interrupted or failed
	Finish     Step = "finish"     // a run is sealed
	Supersede  Step = "supersede"  // a run is set aside
	Merge      Step = "merge"      // a run of another database is copied
	Note       Step = "note"       // an event or an artifact of a run
	Migration  Step = "migration"  // a step from one schema to the next, or the making of a database
)

// Steps that are files pass Written when the content is synced under a temporary name, and Renamed when it has its own.
const (
	File   Step = "file"   // a level file, or another that is replaced as a whole
	Folder Step = "folder" // an export of several files
	Backup Step = "backup" // the copy of a database before it is migrated
)

// Phase is how far a step is.
type Phase string

const (
	Written   Phase = "written"
	Committed Phase = "committed"
	Renamed   Phase = "renamed"
)

// Transactions are the steps that pass Written and Committed.
func Transactions() []Step {
	return []Step{Begin, Resume, Extend, Space, Attempt, Batch, Generation, Result, Stop, Finish, Supersede, Merge, Note, Migration}
}

// Files are the steps that pass Written and Renamed.
func Files() []Step { return []Step{File, Folder, Backup} }

// Variable is the environment variable that names a point.
const Variable = "FINCH_FAILPOINT"

// Tell is the variable's value that has points told, each in a line "failpoint batch.committed".
const Tell = "tell"

// point is where the process is to end.
type point struct {
	step  Step
	phase Phase
	left  atomic.Int64 // times to pass, this one included
	act   func()
}

// armed is what a point does. It is read once: nothing that runs can change it.
var armed = fromEnvironment()

func fromEnvironment() func(Step, Phase) {
	text := os.Getenv(Variable)
	switch text {
	case "":
		return nil
	case Tell:
		return tell
	}
	p, err := parse(text)
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", Variable, err)
		os.Exit(2)
	}
	return p.pass
}

func parse(text string) (*point, error) {
	fields := strings.Split(text, ":")
	step, phase, _ := strings.Cut(fields[0], ".")
	p := &point{step: Step(step), phase: Phase(phase), act: kill}
	p.left.Store(1)
	if !known(p.step, p.phase) {
		return nil, fmt.Errorf("there is no point %q", fields[0])
	}
	if len(fields) > 1 {
		n, err := strconv.ParseInt(fields[1], 10, 64)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("%q is no number of times", fields[1])
		}
		p.left.Store(n)
	}
	if len(fields) > 2 {
		if len(fields) > 3 || fields[2] != "hang" {
			return nil, fmt.Errorf("%q: write hang, or nothing", strings.Join(fields[2:], ":"))
		}
		p.act = hang
	}
	return p, nil
}

func known(step Step, phase Phase) bool {
	for _, s := range Transactions() {
		if s == step {
			return phase == Written || phase == Committed
		}
	}
	for _, s := range Files() {
		if s == step {
			return phase == Written || phase == Renamed
		}
	}
	return false
}

// At passes a point.
func At(step Step, phase Phase) {
	if armed != nil {
		armed(step, phase)
	}
}

func tell(step Step, phase Phase) { fmt.Fprintf(os.Stderr, "failpoint %s.%s\n", step, phase) }

func (p *point) pass(step Step, phase Phase) {
	if step == p.step && phase == p.phase && p.left.Add(-1) == 0 {
		p.act()
	}
}

// kill ends the process as SIGKILL does: no deferred call runs and no buffer is written.
func kill() {
	if self, err := os.FindProcess(os.Getpid()); err == nil {
		self.Kill()
	}
	select {}
}

// hang says that it is there and waits, deaf to every context.
func hang() {
	fmt.Fprintln(os.Stderr, "failpoint")
	select {}
}
